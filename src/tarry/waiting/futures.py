"""Futures that go on, without an event loop: what a store gives is made into what was asked for."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")
Other = TypeVar("Other")
Error = TypeVar("Error", bound=Exception)


def done(value: Result) -> Future[Result]:
    """A future that has its result."""
    future: Future[Result] = Future()
    future.set_result(value)
    return future


def failed(error: BaseException) -> Future[Any]:
    """A future that has an error."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def then(future: Future[Result], function: Callable[[Result], Other]) -> Future[Other]:
    """The future of what `function` makes of the result."""
    return chain(future, lambda result: done(function(result)))


def rescue(
    future: Future[Result], kind: type[Error], function: Callable[[Error], Result]
) -> Future[Result]:
    """The same future, but for an error of a kind: then of what `function` makes of it."""
    outer: Future[Result] = Future()
    outer.set_running_or_notify_cancel()

    def go_on(finished: Future[Result]) -> None:
        try:
            try:
                outer.set_result(finished.result())
            except kind as error:
                outer.set_result(function(error))
        except BaseException as error:  # noqa: BLE001 — it belongs to whoever asks for the result
            outer.set_exception(error)

    future.add_done_callback(go_on)
    return outer


def chain(future: Future[Result], function: Callable[[Result], Future[Other]]) -> Future[Other]:
    """The future of the future that `function` makes of the result."""
    if future.done() and future.exception() is None:
        try:
            return function(future.result())
        except Exception as error:  # noqa: BLE001 — it belongs to whoever asks for the result
            return failed(error)
    outer: Future[Other] = Future()
    # Whoever waits can go away; what was begun is done anyway.
    outer.set_running_or_notify_cancel()

    def pass_on(inner: Future[Other]) -> None:
        error = inner.exception()
        if error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

    def go_on(finished: Future[Result]) -> None:
        try:
            function(finished.result()).add_done_callback(pass_on)
        except BaseException as error:  # noqa: BLE001 — it belongs to whoever asks for the result
            outer.set_exception(error)

    future.add_done_callback(go_on)
    return outer
