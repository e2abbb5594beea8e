"""Functions given as `then=`: found again by their names, called in their lanes."""

from __future__ import annotations

import functools
import threading

import pytest

from tarry import HttpError, Response
from tarry.waiting import continuations
from tarry.waiting.continuations import function_of, name_of
from tests.exchanges import Recorded
from tests.waiting.nodes import waited, with_node


def shown(value):
    return {"shown": value}


def shown_with_request(value, info):
    return {"shown": value, "of": info.path if info else None}


async def shown_on_the_loop(value):
    return {"shown": value}


def shown_where(value):
    return threading.current_thread().name


def refusing(value):
    raise HttpError(409, "not so")


def broken(value):
    raise KeyError("what nobody expects")


async def broken_on_the_loop(value):
    raise KeyError("what nobody expects")


def created(value):
    return Response({"made": value}, 201)


class Holder:
    def method(self, value):
        return value


def test_a_function_of_a_module_is_found_again():
    assert function_of(name_of(shown)) is shown


def nested():
    def inner(value):
        return value

    return inner


@pytest.mark.parametrize(
    "function",
    [nested(), lambda value: value, functools.partial(shown), Holder().method, Holder.method, str,
     print, Holder()],
)  # fmt: skip
def test_what_another_process_could_not_find_is_refused_where_it_is_written(function):
    async def test(node):
        with pytest.raises(ValueError, match="then= takes a function of a module"):
            node.park(str, then=function)

    with_node(test)


def test_a_function_that_is_gone_is_said_to_be():
    for name in ("tests.waiting.test_continuations:gone", "tests.nowhere:f", "tarry:a.b"):
        with pytest.raises(ImportError):
            continuations.function_of(name)


def answered(function, *, durable=False, awaited=False):
    """What is answered from a value with a function."""

    async def test(node):
        wait = node.park(int, then=function, durable=durable)
        exchange = node.ask(wait, awaited=awaited)
        await wait.wake(7)
        return await waited(exchange)

    return with_node(test)


def test_its_result_is_the_answer():
    assert answered(shown).json == {"shown": 7}
    assert answered(shown_on_the_loop).json == {"shown": 7}
    made = answered(created)
    assert (made.status, made.json) == (201, {"made": 7})


def test_a_def_runs_in_a_thread_of_the_pool():
    assert answered(shown_where).body == b"tarry-handler"


def test_it_may_take_what_is_known_of_the_request():
    assert answered(shown_with_request).json == {"shown": 7, "of": None}


def test_the_request_of_a_durable_wait_is_kept_for_it():
    async def test(node):
        asked = []

        def handler():
            wait = node.park(int, then=shown_with_request, durable=True)
            asked.append(wait)
            return wait

        node.add("/approve", handler)
        exchange = Recorded("GET", "/approve?a=1")
        node.dispatcher.handle(exchange)
        await asked[0].wake(7)
        return await waited(exchange)

    assert with_node(test).json == {"shown": 7, "of": "/approve"}


def test_its_error_is_the_answer():
    assert answered(refusing).status == 409


@pytest.mark.parametrize("function", [broken, broken_on_the_loop])
def test_an_error_that_nobody_expects_is_logged_and_answered(function, caplog):
    assert answered(function).status == 500
    assert "what nobody expects" in caplog.text


def test_who_awaits_gets_the_value_itself():
    assert answered(shown, awaited=True).json == 7


def test_it_is_not_called_for_an_error():
    async def test(node):
        wait = node.park(int, then=broken)
        exchange = node.ask(wait)
        await wait.fail("no", 409)
        return await waited(exchange)

    assert with_node(test).status == 409


def test_a_default_goes_the_same_way():
    async def test(node):
        wait = node.park(int, then=shown, timeout=5, default=[])
        exchange = node.ask(wait)
        node.clock.advance(6)
        node.parking.tick()
        return await waited(exchange)

    assert with_node(test).json == {"shown": []}


def test_it_is_called_although_all_threads_are_taken():
    """Who has waited so long is not refused now."""
    release = threading.Event()

    async def test(node):
        taken = [Recorded("GET", "/blocking") for _ in range(3)]
        node.add("/blocking", release.wait, inline=False)
        for exchange in taken:
            node.dispatcher.handle(exchange)
        wait = node.park(int, then=shown)
        exchange = node.ask(wait)
        await wait.wake(7)
        release.set()
        return await waited(exchange)

    assert with_node(test, max_queued=1).json == {"shown": 7}
