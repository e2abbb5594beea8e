"""`tarry.request`: the request at hand, wherever the code runs that asks for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

import tarry
from tarry import App, HttpError, Stream
from tests.app.serving import ask, once, started
from tests.exchanges import Recorded, turns
from tests.wire import Wire


def path():
    return tarry.request.path


async def later():
    await asyncio.sleep(0)
    return path()


async def nested():
    async with asyncio.TaskGroup() as group:
        task = group.create_task(later())
    return task.result()


async def in_thread():
    return await asyncio.to_thread(path)


async def pieces():
    for _ in range(2):
        await asyncio.sleep(0)
        yield path()


def plain_pieces():
    for _ in range(2):
        yield path()


@pytest.mark.parametrize("function", [path, later, nested, in_thread])
def test_it_is_known_in_handlers_and_what_they_call(function):
    app = App()
    app.add_route("/a", function)

    assert once(app, target="/a").body == b"/a"


def test_it_is_known_inline():
    app = App()
    app.add_route("/a", path, inline=True)

    assert once(app, target="/a").body == b"/a"


@pytest.mark.parametrize("make", [pieces, plain_pieces])
@pytest.mark.parametrize("inline", [True, False])
def test_it_is_known_where_a_stream_comes_from(make, inline):
    app = App()
    app.add_route("/a", lambda: Stream(make()), inline=inline)

    assert once(app, target="/a").body == b"/a/a"


@pytest.mark.parametrize("function", [path, later, nested, in_thread])
@pytest.mark.parametrize("inline", [True, False])
def test_it_is_known_in_error_handlers(function, inline):
    app = App()
    app.error(404)(function)
    app.add_route("/other", lambda: "other", inline=True)

    def fail():
        raise HttpError(404)

    app.add_route("/a", fail, inline=inline)

    async def test():
        async with started(app):
            exchange = Recorded(target="/a")
            app.handle(exchange)
            assert (await ask(app, target="/other")).body == b"other"
            await exchange.complete.wait()
            return exchange.answer

    assert asyncio.run(test()) == b"/a"


def test_each_of_many_has_its_own():
    app = App()

    async def handler(number: int):
        await turns(number % 3)
        return path()

    app.add_route("/{number}", handler)

    async def test():
        async with started(app):
            targets = [f"/{number}" for number in range(50)]
            asked = await asyncio.gather(*(ask(app, target=target) for target in targets))
            return [each.body.decode() for each in asked] == targets

    assert asyncio.run(test())


def test_it_is_the_request_that_filters_and_handlers_have():
    app = App()

    @app.filter
    async def filter(request, next):
        assert tarry.request.get() is request
        tarry.request.state["a"] = "from the filter"
        response = await next(request)
        assert tarry.request.get() is request
        return response

    app.add_route("/", lambda: tarry.request.state["a"])

    assert once(app).body == b"from the filter"


def test_outside_there_is_none():
    with pytest.raises(LookupError, match="no request here"):
        tarry.request.path  # noqa: B018 — because asking is the test
    assert repr(tarry.request) == "<no request here>"


def test_after_inline_answers_and_in_other_threads_there_is_none():
    app = App()
    app.add_route("/", lambda: "fine", inline=True)

    async def test():
        async with started(app):
            await ask(app)
            with pytest.raises(LookupError):
                path()
            with pytest.raises(LookupError):
                await asyncio.to_thread(path)

    asyncio.run(test())


def test_a_task_that_outlives_the_answer_still_knows_it():
    app, tasks, go_on = App(), [], asyncio.Event()

    async def outliving():
        await go_on.wait()
        return path()

    @app.get("/a")
    async def handler():
        tasks.append(asyncio.ensure_future(outliving()))

    async def test():
        async with started(app):
            await ask(app, target="/a")
            go_on.set()
            return await tasks[0]

    assert asyncio.run(test()) == "/a"


def test_two_applications_in_two_threads():
    gate = threading.Barrier(2, timeout=10)
    handles, replies = [], []

    def handler():
        gate.wait()
        return path()

    for name in ("/a", "/b"):
        app = App()
        app.add_route(name, handler, inline=True)
        handles.append(app.start(access_log=False))
    try:
        with Wire(handles[0].url) as one, Wire(handles[1].url) as other:
            one.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
            other.send(b"GET /b HTTP/1.1\r\nhost: a\r\n\r\n")
            replies += [one.read().body, other.read().body]
    finally:
        for handle in handles:
            handle.stop()

    assert replies == [b"/a", b"/b"]


@pytest.mark.parametrize("first", ["async", "thread"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_pipelined_requests_do_not_take_one_for_the_other(first, loop):
    app = App()
    app.add_route("/async", later)
    app.add_route("/thread", path)
    app.add_route("/inline", path, inline=True)
    with app.start(access_log=False, loop=loop) as handle, Wire(handle.url) as wire:
        targets = [f"/{first}", "/inline", "/thread", "/async", "/inline"]
        wire.send("".join(f"GET {each} HTTP/1.1\r\nhost: a\r\n\r\n" for each in targets).encode())

        assert [wire.read().body.decode() for _ in targets] == targets
