"""Handlers made of methods look and behave like the methods, without `self`."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from tarry.app.handlers import bound_handler, fresh_handler
from tarry.app.lanes import Lane, lane_of


class Kinds:
    """One method of each kind; `made` counts the objects."""

    made = 0

    def __init__(self, start=0):
        type(self).made += 1
        self.start = start

    def plain(self, number: int, *, more: str = "x") -> str:
        """Says something."""
        return f"{self.start + number}{more}"

    async def slow(self, number: int):
        await asyncio.sleep(0)
        return self.start + number

    def pieces(self, number: int):
        got = yield self.start + number
        yield got
        return "result"

    async def slow_pieces(self, number: int):
        got = yield self.start + number
        yield got

    @staticmethod
    def fixed(number: int):
        return number

    @classmethod
    def counted(cls, number: int):
        return cls.__name__, number

    def without_self():
        return None


@pytest.fixture(autouse=True)
def _nothing_made():
    Kinds.made = 0


def fresh(name):
    return fresh_handler(Kinds, name, functools.partial(Kinds, 10))


def on_object(name):
    return bound_handler(Kinds(10), name)


both = pytest.mark.parametrize("handler_of", [fresh, on_object])


@both
def test_signature_and_names_are_those_of_the_method(handler_of):
    handler = handler_of("plain")

    assert str(inspect.signature(handler)) == "(number: 'int', *, more: 'str' = 'x') -> 'str'"
    assert handler.__name__ == "plain"
    assert handler.__qualname__ == "Kinds.plain"
    assert handler.__module__ == __name__
    assert handler.__doc__ == "Says something."


@both
@pytest.mark.parametrize(
    "is_kind",
    [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction],
)
@pytest.mark.parametrize("name", ["plain", "slow", "pieces", "slow_pieces"])
def test_the_kind_is_that_of_the_method(handler_of, is_kind, name):
    assert is_kind(handler_of(name)) == is_kind(getattr(Kinds, name))


@both
def test_the_lane_is_that_of_the_method(handler_of):
    assert lane_of(handler_of("slow"), inline=False) is Lane.ASYNC
    assert lane_of(handler_of("plain"), inline=False) is Lane.THREADS
    assert lane_of(handler_of("plain"), inline=True) is Lane.INLINE


def test_an_object_is_made_for_each_call_and_none_before():
    handler = fresh("plain")
    assert Kinds.made == 0

    assert [handler(number=1), handler(number=2, more="y")] == ["11x", "12y"]
    assert Kinds.made == 2


def test_a_coroutine_makes_its_object_when_it_runs():
    coroutine = fresh("slow")(number=1)
    assert Kinds.made == 0

    assert asyncio.run(coroutine) == 11
    assert Kinds.made == 1


@both
def test_what_is_sent_into_a_generator_arrives(handler_of):
    pieces = handler_of("pieces")(number=1)

    assert next(pieces) == 11
    assert pieces.send("sent") == "sent"
    with pytest.raises(StopIteration) as end:
        next(pieces)
    assert end.value.value == "result"


@both
def test_what_is_sent_into_an_async_generator_arrives(handler_of):
    async def run():
        pieces = handler_of("slow_pieces")(number=1)
        return [await anext(pieces), await pieces.asend("sent"), [each async for each in pieces]]

    assert asyncio.run(run()) == [11, "sent", []]


class Cautious:
    """An async generator that tells what is thrown into it, and when it ends."""

    def __init__(self, events):
        self.events = events

    async def pieces(self):
        try:
            try:
                yield "first"
            except KeyError as error:
                self.events.append(repr(error))
                yield "caught"
        finally:
            await asyncio.sleep(0)
            self.events.append("ended")

    async def raising(self):
        yield "first"
        raise LookupError("nothing more")


def cautious(name, events):
    return fresh_handler(Cautious, name, functools.partial(Cautious, events))


def test_an_error_thrown_into_an_async_generator_arrives():
    events = []

    async def run():
        pieces = cautious("pieces", events)()
        return [await anext(pieces), await pieces.athrow(KeyError("x")), await anext(pieces, "end")]

    assert asyncio.run(run()) == ["first", "caught", "end"]
    assert events == ["KeyError('x')", "ended"]


def test_an_error_that_an_async_generator_does_not_catch_comes_back():
    events = []

    async def run():
        pieces = cautious("pieces", events)()
        await anext(pieces)
        with pytest.raises(ZeroDivisionError):
            await pieces.athrow(ZeroDivisionError())

    asyncio.run(run())
    assert events == ["ended"]


def test_an_error_of_an_async_generator_comes_out():
    async def run():
        return [each async for each in cautious("raising", [])()]

    with pytest.raises(LookupError, match="nothing more"):
        asyncio.run(run())


def test_closing_an_async_generator_closes_the_method():
    events = []

    async def run():
        pieces = cautious("pieces", events)()
        await anext(pieces)
        await pieces.aclose()
        return list(events)  # before the loop ends and closes what is left

    assert asyncio.run(run()) == ["ended"]


def test_cancelling_reaches_the_method():
    events = []

    class Waiting:
        async def pieces(self):
            try:
                yield 1
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

    async def read(reading):
        async for _ in fresh_handler(Waiting, "pieces", Waiting)():
            reading.set()

    async def run():
        reading = asyncio.Event()
        task = asyncio.create_task(read(reading))
        await reading.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert events == ["cancelled"]


def test_static_and_class_methods_need_no_object():
    assert bound_handler(Kinds, "fixed")(number=1) == 1
    assert bound_handler(Kinds, "counted")(number=1) == ("Kinds", 1)
    assert Kinds.made == 0


@both
def test_a_method_without_self_is_told_what_to_do(handler_of):
    with pytest.raises(ValueError, match="takes no self"):
        handler_of("without_self")


def test_a_decorated_method_has_the_signature_of_the_one_within():
    def logged(method):
        @functools.wraps(method)
        def wrapper(*arguments, **named):
            return f"logged {method(*arguments, **named)}"

        return wrapper

    class Wrapped:
        @logged
        def show(self, number: int):
            return number

        @functools.lru_cache  # noqa: B019 — because the class lives for one test
        def kept(self, number: int):
            return number

    for name, result in [("show", "logged 7"), ("kept", 7)]:
        handler = fresh_handler(Wrapped, name, Wrapped)
        assert list(inspect.signature(handler).parameters) == ["number"]
        assert handler(number=7) == result


def test_attributes_of_the_method_are_there():
    class Tagged:
        def show(self):
            return None

        show.needs_login = True

    assert fresh_handler(Tagged, "show", Tagged).needs_login
    assert bound_handler(Tagged(), "show").needs_login


def test_an_inherited_method_is_called_by_its_class():
    class Special(Kinds):
        pass

    assert fresh_handler(Special, "plain", Special).__qualname__.endswith("Special.plain")
