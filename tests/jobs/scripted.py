"""A runner that runs nothing: the test says what each attempt tells and how it ends."""

from __future__ import annotations

import asyncio
import json

from tarry import App
from tarry.jobs.attempts import failed, succeeded
from tarry.jobs.job import JobCancelled, Told
from tarry.waiting.records import Progress

WAIT_S = 3.0
LANES = ("threads", "processes", "tasks")


class Attempted:
    """An attempt that is under way, until the test has it end."""

    def __init__(self, attempt, reporter):
        self.attempt = attempt
        self.reporter = reporter
        self.id, self.number = attempt.id, attempt.number
        self.cancels = 0
        self.is_over = False

    def __repr__(self):
        return f"<attempt {self.number} at {self.id}>"

    @property
    def job(self):
        return self.attempt.order.job

    @property
    def arguments(self):
        kept = self.attempt.order.arguments
        return {name: json.loads(argument.data) for name, argument in kept.items()}

    def cancel(self):
        self.cancels += 1

    def tell(self, at=None, of=None, text=""):
        self.reporter.told(Told(progress=Progress(at, of, text)))

    def log(self, line):
        self.reporter.told(Told(line=line))

    def end(self, ended):
        self.is_over = True
        self.reporter.ended(ended)

    def succeed(self, result=None):
        self.end(succeeded(result))

    def fail(self, error=None):
        self.end(failed(error or RuntimeError("it went wrong")))

    def obey(self):
        """End as a job that was cancelled."""
        self.end(failed(JobCancelled()))


class Script:
    """All attempts of one application, in the order in which they began."""

    def __init__(self):
        self.begun = []
        self.closed_lanes = []
        self.on_start = None
        self._news = asyncio.Event()

    @property
    def running(self):
        return [each for each in self.begun if not each.is_over]

    def runners(self):
        """What makes the runners of all lanes."""
        return {lane: self._maker(lane) for lane in LANES}

    def _maker(self, lane):
        return lambda *_: ScriptedRunner(self, lane)

    def start(self, attempt, reporter):
        attempted = Attempted(attempt, reporter)
        self.begun.append(attempted)
        self._news.set()
        if self.on_start is not None:
            self.on_start(attempted)
        return attempted

    async def until(self, is_there):
        """Wait until something is as it shall be; looks when the loop has had a turn."""
        async with asyncio.timeout(WAIT_S):
            while not is_there():
                await asyncio.sleep(0)

    async def next(self, number=1):
        """The attempt that begins as the first, second, …"""
        await self.until(lambda: len(self.begun) >= number)
        return self.begun[number - 1]


class ScriptedRunner:
    def __init__(self, script, lane):
        self._script = script
        self._lane = lane

    def start(self, *arguments):
        attempt, reporter = arguments[-2:]
        return self._script.start(attempt, reporter)

    def close(self, timeout_s):
        self._script.closed_lanes.append(self._lane)


def scripted(monkeypatch, **settings):
    """An application whose jobs do what the test says, and the script of that."""
    app, script = App(**settings), Script()
    monkeypatch.setattr(app.jobs.engine, "_make_runner", script.runners())
    return app, script
