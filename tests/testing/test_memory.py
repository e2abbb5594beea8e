from __future__ import annotations

import asyncio

import pytest

from tarry import App, ClientGone, Request, Stream
from tarry.message.heads import LengthError, ResponseHead
from tarry.testing import MemoryExchange


def test_what_a_handler_answers():
    app = App()
    app.add_route("/hello/{name}", lambda name: {"hello": name}, inline=True)
    exchange = MemoryExchange(target="/hello/you")

    app.handle(exchange)

    assert exchange.answered
    assert exchange.reply.json() == {"hello": "you"}
    assert (exchange.status, exchange.sent_bytes) == (200, 15)


@pytest.mark.parametrize("data", [b"abc", [b"a", b"", b"bc"]])
def test_a_body_whole_or_in_pieces(data):
    exchange = MemoryExchange("POST", data=data)
    bodies = []

    exchange.body.on_complete(bodies.append, pytest.fail)

    assert bodies == [b"abc"]


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
def test_a_body_that_waits_is_asked_for_when_it_is_read(expect):
    exchange = MemoryExchange("POST", headers={"expect": expect}, open_body=True)
    assert not exchange.asked_for_body

    exchange.body.on_complete(lambda body: None, pytest.fail)

    assert exchange.asked_for_body


def test_a_request_without_a_body():
    assert MemoryExchange("POST").body is None


def test_an_open_body_goes_on():
    exchange = MemoryExchange("POST", data=[b"a"], open_body=True)
    bodies = []
    exchange.body.on_complete(bodies.append, pytest.fail)
    assert not bodies

    exchange.body.feed(b"b")
    exchange.body.finish([])

    assert bodies == [b"ab"]


def test_a_reader_that_has_caught_up_is_counted():
    exchange = MemoryExchange("POST", data=bytes(100_000), open_body=True)

    assert exchange.resumed == 0
    assert len(asyncio.run(exchange.body.read())) == 100_000
    assert exchange.resumed == 1


def test_an_application_sees_the_request_as_it_was_made():
    request = Request(MemoryExchange("PUT", "/a?b=c", {"X-A": "1"}, http_version="1.0"))

    assert (request.method, request.path, request.query) == ("PUT", "/a", {"b": ["c"]})
    assert (request.host, request.headers["x-a"], request.http_version) == (
        "tarry.test",
        "1",
        "1.0",
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_length_that_is_not_kept_is_an_error(method):
    head = ResponseHead(200, [(b"content-length", b"5")])
    exchange = MemoryExchange(method)

    if method == "HEAD":
        exchange.respond(head, b"")
        assert exchange.reply.headers["content-length"] == "5"
        return
    with pytest.raises(LengthError):
        exchange.respond(head, b"1234")
    assert not exchange.started
    exchange.start(head)
    exchange.send(b"1234")
    with pytest.raises(LengthError, match="1 bytes shorter"):
        exchange.end()
    with pytest.raises(LengthError, match="1 bytes longer"):
        exchange.send(b"56")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
def test_an_answer_without_a_body_drops_what_is_given(method, status):
    exchange = MemoryExchange(method)

    exchange.respond(ResponseHead(status), b"abc")

    assert exchange.reply.body == b""


def test_a_second_answer_is_a_bug():
    exchange = MemoryExchange()
    exchange.respond(ResponseHead(200), b"")

    with pytest.raises(RuntimeError, match="answered already"):
        exchange.respond(ResponseHead(200), b"")


def test_there_is_no_reply_before_an_answer():
    with pytest.raises(RuntimeError, match="no answer yet"):
        _ = MemoryExchange().reply


def test_a_full_client_makes_the_writer_wait():
    async def run() -> None:
        exchange = MemoryExchange()
        exchange.start(ResponseHead(200))
        exchange.full = True
        write = asyncio.create_task(exchange.write(b"a"))
        done, _ = await asyncio.wait([write], timeout=0)
        assert not done
        assert exchange.full

        exchange.full = False
        await write
        exchange.end()
        assert exchange.reply.body == b"a"

    asyncio.run(run())


def test_a_client_that_leaves_ends_the_wait_of_the_writer():
    async def run() -> None:
        exchange = MemoryExchange()
        left = []
        exchange.on_gone(lambda: left.append(True))
        exchange.start(ResponseHead(200))
        exchange.full = True
        write = asyncio.create_task(exchange.write(b"a"))
        await asyncio.wait([write], timeout=0)

        exchange.lose()

        with pytest.raises(ClientGone):
            await write
        assert left == [True]

    asyncio.run(run())


def test_a_stream_that_fails_is_broken_off():
    def pieces():
        yield "a"
        raise KeyError

    app = App()
    app.add_route("/", lambda: Stream(pieces()), inline=True)

    async def run() -> MemoryExchange:
        await app.startup()
        exchange = MemoryExchange()
        app.handle(exchange)
        await exchange.task
        await app.shutdown()
        return exchange

    exchange = asyncio.run(run())
    assert exchange.aborted
    assert exchange.reply.body == b"a"
