"""The life of a worker: where it listens, how it starts, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from tarry.protocol.engine import Reading
from tarry.server.listeners import ListenError, listen, url_of
from tarry.server.settings import ServerSettings
from tarry.server.worker import Phase, ServerHandle, Worker, loop_factory
from tests.server.http2_client import HTTP2Client
from tests.server.serving import OK, Handling, greet
from tests.wire import Wire, ask

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def get(path):
    return b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path


def port_of(url):
    return int(url.rpartition(":")[2])


# ── where it listens ──────────────────────────────────────────────────────────────────────


def test_port_0_takes_a_free_one(serve):
    first, second = serve(greet, port=0), serve(greet, port=0)

    assert port_of(first.url) != port_of(second.url)
    for server in (first, second):
        assert server.url.startswith("http://127.0.0.1:")
        assert ask(server.url, GET)[0].body == b"hello"


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:"), ("", "http://"), ("0.0.0.0", "http://127.0.0.1:")],
)
def test_the_url_is_one_that_can_be_asked(serve, host, url):
    server = serve(greet, host=host)

    assert server.url.startswith(url)
    assert ask(server.url, GET)[0].body == b"hello"


def test_the_url_of_ipv6():
    try:
        listener = listen("::1", 0, 1)
    except ListenError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_port_in_use_is_told_in_one_line(serve):
    port = port_of(serve(greet).url)
    with pytest.raises(ListenError) as caught:
        serve(greet, port=port)

    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: it is in use; "
        "stop the other program or choose another port"
    )


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("192.0.2.1", "this machine does not have that address"),
        ("no such host.invalid", 'the host "no such host.invalid" is unknown'),
    ],
)
def test_an_address_that_cannot_be(host, says):
    with pytest.raises(ListenError, match=says):
        listen(host, 0, 1)


def test_a_listener_that_fails_is_closed():
    with listen("127.0.0.1", 0, 1) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError):
            listen("127.0.0.1", port, 1)

    # A socket that was left open would be a ResourceWarning, which fails the test; and
    # the port is free again.
    listen("127.0.0.1", port, 1).close()


def test_unknown_loops():
    assert loop_factory("asyncio") is asyncio.new_event_loop
    with pytest.raises(ValueError, match="loop must be"):
        ServerSettings(loop="trio")


# ── start ─────────────────────────────────────────────────────────────────────────────────


def test_an_application_is_started_before_and_ended_after_its_connections(serve, keeping):
    application = Handling(keeping)
    server = serve(application)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        assert application.events == ["startup"]
        server.call(keeping.exchanges[0].on_gone, lambda: application.events.append("gone"))
        server.stop()

    assert application.events[0] == "startup"
    assert sorted(application.events) == ["drain", "gone", "shutdown", "startup"]


def test_what_waits_can_answer_when_the_server_begins_to_stop(serve, keeping):
    class Waiting(Handling):
        def drain(self):
            for exchange in keeping.exchanges:
                exchange.respond(OK, b"come back")

    server = serve(Waiting(keeping), stop_timeout_s=3600)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        server.stop()

        assert wire.read().body == b"come back"
        assert wire.is_closed()


def test_an_application_whose_drain_fails_stops_all_the_same(serve, caplog):
    class Failing(Handling):
        def drain(self):
            raise LookupError("of the drain")

    server = serve(Failing(greet), stop_timeout_s=3600)
    with Wire(server.url) as wire:
        wire.send(GET)
        wire.read()
        server.stop()

        assert wire.is_closed()
    assert "LookupError: of the drain" in caplog.text


def test_an_application_that_does_not_start_leaves_the_port_free():
    class Broken(Handling):
        async def startup(self):
            raise RuntimeError("no database")

    with listen("127.0.0.1", 0, 1) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(RuntimeError, match="no database"):
        ServerHandle(Broken(greet), ServerSettings(port=port, access_log=False))
    listen("127.0.0.1", port, 1).close()


def test_two_applications_in_one_process(serve):
    one = serve(lambda exchange: exchange.respond(OK, b"one"))
    two = serve(lambda exchange: exchange.respond(OK, b"two"))

    assert ask(one.url, GET)[0].body == b"one"
    assert ask(two.url, GET)[0].body == b"two"
    one.stop()
    assert ask(two.url, GET)[0].body == b"two"


def test_the_same_application_starts_and_stops_again_and_again():
    application = Handling(greet)
    for _ in range(3):
        with ServerHandle(application, ServerSettings(port=0, access_log=False)) as handle:
            assert ask(handle.url, GET)[0].body == b"hello"
        handle.stop()

    assert application.events == ["startup", "drain", "shutdown"] * 3


def test_the_same_port_can_be_used_again_at_once():
    port = 0
    for _ in range(3):
        settings = ServerSettings(port=port, access_log=False)
        with ServerHandle(Handling(greet), settings) as handle:
            port = port_of(handle.url)
            assert ask(handle.url, GET)[0].status == 200


# ── the end ───────────────────────────────────────────────────────────────────────────────


def is_refused(server):
    try:
        socket.create_connection(("127.0.0.1", port_of(server.url)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_under_way_is_finished_and_nothing_new_is_taken(serve, keeping):
    server = serve(keeping, stop_timeout_s=10)
    with Wire(server.url) as busy, Wire(server.url) as idle:
        idle.send(get(b"/idle"))
        server.until(lambda: keeping.exchanges)
        server.answer(keeping.exchanges[0])
        assert idle.read().status == 200
        busy.send(get(b"/busy"))
        server.until(lambda: len(keeping.exchanges) == 2)

        server.stop_soon()
        server.until(lambda: server.worker.phase is Phase.DRAINING)
        assert idle.is_closed()
        server.until(lambda: is_refused(server))
        assert not keeping.exchanges[1].gone

        server.answer(keeping.exchanges[1], b"finished")
        reply = busy.read()
        assert (reply.status, reply.body, reply.closes) == (200, b"finished", True)
        assert busy.is_closed()
    server.thread.join(5)

    assert server.worker.phase is Phase.CLOSED


def test_a_pipelined_request_behind_the_one_under_way_is_not_begun(serve, keeping):
    server = serve(keeping, stop_timeout_s=10)
    with Wire(server.url) as wire:
        wire.send(get(b"/a") + get(b"/b"))
        server.until(lambda: keeping.exchanges)
        server.stop_soon()
        server.answer(keeping.exchanges[0], b"a")

        assert wire.read().closes
        assert wire.is_closed()
    assert len(keeping.exchanges) == 1


def test_a_body_under_way_is_still_taken(serve):
    server = serve(
        lambda exchange: exchange.body.on_complete(
            lambda body: exchange.respond(OK, body), pytest.fail
        ),
        stop_timeout_s=10,
    )
    with Wire(server.url) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na")
        server.until_reading(Reading.BODY)
        server.stop_soon()
        server.until(lambda: server.worker.phase is Phase.DRAINING)
        wire.send(b"bc")

        assert wire.read().body == b"abc"


def test_a_half_sent_head_is_not_waited_for(serve):
    server = serve(greet, stop_timeout_s=10)
    with Wire(server.url) as wire:
        wire.send(GET[:10])
        server.until_reading(Reading.HEAD)
        server.stop_soon()

        assert wire.is_closed()


def test_http2_streams_are_finished_too(serve, keeping):
    server = serve(keeping, stop_timeout_s=10)
    with HTTP2Client(server.url) as client:
        stream_id = client.request()
        server.until(lambda: keeping.exchanges)
        server.stop_soon()
        client.receive(lambda: client.terminated)
        server.answer(keeping.exchanges[0], b"finished")

        # Window updates could cross the close, and a reset take the answer away.
        assert client.read(stream_id, acknowledge=False) == (200, b"finished")
        client.receive(lambda: False)
    server.thread.join(5)

    assert server.worker.phase is Phase.CLOSED


def test_what_does_not_finish_in_time_is_cut(serve, keeping, caplog):
    caplog.set_level(logging.WARNING, "tarry")
    server = serve(keeping, stop_timeout_s=0.05)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        server.stop_soon()

        assert wire.is_closed()
    server.thread.join(5)
    assert server.worker.phase is Phase.CLOSED
    assert "1 connections did not finish in time" in caplog.text


def test_a_second_wish_to_stop_cuts_at_once(serve, keeping):
    server = serve(keeping, stop_timeout_s=1000)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        server.stop_soon()
        server.until(lambda: server.worker.phase is Phase.DRAINING)
        server.stop_soon()

        assert wire.is_closed()
    server.thread.join(5)
    assert server.worker.phase is Phase.CLOSED


def test_an_application_hears_of_a_second_wish_to_stop(serve, keeping):
    class Hurrying(Handling):
        def hurry(self):
            self.events.append("hurry")

    server = serve(Hurrying(keeping), stop_timeout_s=1000)
    with Wire(server.url) as wire:
        wire.send(GET)
        server.until(lambda: keeping.exchanges)
        server.stop_soon()
        server.until(lambda: server.worker.phase is Phase.DRAINING)
        assert server.application.events == ["startup", "drain"]
        server.stop_soon()
        server.thread.join(5)

    assert server.application.events == ["startup", "drain", "hurry", "shutdown"]


def test_stop_can_be_called_by_many():
    async def run():
        worker = Worker(Handling(greet), ServerSettings(port=0, access_log=False))
        assert worker.phase is Phase.NEW
        await worker.start()
        assert worker.phase is Phase.ACCEPTING
        await asyncio.gather(worker.stop(), worker.stop(), worker.stopped())

        assert worker.phase is Phase.CLOSED

    asyncio.run(asyncio.wait_for(run(), 10))
