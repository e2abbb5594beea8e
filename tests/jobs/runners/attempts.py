"""Attempts at the functions of `tests.jobs.work`, and who hears of them."""

from __future__ import annotations

import contextlib
import inspect
import threading
from pathlib import Path

from tarry.jobs import orders
from tarry.jobs.attempts import Attempt
from tarry.jobs.callables import job_function
from tarry.jobs.orders import Order
from tests.jobs import work

FUNCTIONS = {
    each.name: each
    for each in (
        job_function(function)
        for _, function in inspect.getmembers(work, inspect.isfunction)
        if function.__module__ == work.__name__
    )
}

WAIT_S = 20.0


class Heard:
    """A reporter that keeps what it hears; `wait` gives the end."""

    def __init__(self):
        self.all_told = []
        self.ends = []
        self._has_changed = threading.Condition()

    def told(self, told):
        with self._has_changed:
            assert not self.ends, "something was told after the end"
            self.all_told.append(told)
            self._has_changed.notify_all()

    def ended(self, ended):
        with self._has_changed:
            self.ends.append(ended)
            self._has_changed.notify_all()

    def wait(self):
        with self._has_changed:
            assert self._has_changed.wait_for(lambda: self.ends, WAIT_S), "it has not ended"
            [ended] = self.ends
            return ended

    def wait_told(self, count=1):
        """What was told, once it is so much."""
        with self._has_changed:
            assert self._has_changed.wait_for(lambda: len(self.all_told) >= count, WAIT_S)
            return list(self.all_told)

    @property
    def lines(self):
        return [told.line for told in self.all_told if told.line is not None]

    @property
    def steps(self):
        return [told.progress.at for told in self.all_told if told.progress is not None]


def attempt(function, folder=Path("/nowhere"), *, timeout_s=None, kept=None, **values):
    """An attempt at a function with these arguments; `kept` are arguments as an order has them."""
    described = FUNCTIONS.get(f"{function.__module__}:{function.__name__}")
    arguments = {
        name: orders.argument(described.annotations[name], value) for name, value in values.items()
    }
    name = f"{function.__module__}:{function.__name__}"
    return Attempt("job-1", 1, Order(name, {**arguments, **(kept or {})}), folder, timeout_s)


@contextlib.contextmanager
def closing(runner):
    try:
        yield runner
    finally:
        runner.close(WAIT_S)


def started(runner, function, *arguments, **values):
    heard = Heard()
    heard.running = runner.start(attempt(function, *arguments, **values), heard)
    return heard


def ended(runner, function, *arguments, **values):
    return started(runner, function, *arguments, **values).wait()
