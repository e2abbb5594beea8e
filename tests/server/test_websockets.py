"""WebSockets over real sockets: pace, time, clients that leave, and the end of the server."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from tarry.exchange import ClientGone, HandshakeError, WebSocketClosed
from tarry.message.heads import InvalidField, ResponseHead
from tarry.message.websockets import Ping, Pong, WebSocketOptions
from tarry.server.websockets import QUEUE_HIGH_WATER_BYTES, UNREAD_PONGS_BYTES
from tests.server.serving import OK
from tests.websocket_frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Peer,
    close,
    close_code,
    frame,
    request,
    text,
)
from tests.wire import Wire


class Talking:
    """An application that accepts each WebSocket and has a coroutine function talk on it."""

    def __init__(self, talk, **options):
        self.talk = talk
        self.options = WebSocketOptions(**options)
        self.links = []
        self.exchanges = []
        self.ends = []
        self.tasks = set()

    def __call__(self, exchange):
        try:
            handshake = exchange.websocket(self.options)
        except HandshakeError as error:
            exchange.respond(ResponseHead(error.status), error.detail.encode())
            return
        task = asyncio.get_running_loop().create_task(self.run(exchange, handshake))
        self.tasks.add(task)

    async def run(self, exchange, handshake):
        link = handshake.accept([(b"x-here", b"yes")])
        self.links.append(link)
        self.exchanges.append(exchange)
        try:
            await self.talk(link)
            link.close(1000, "")
        except WebSocketClosed as closed:
            self.ends.append((closed.code, closed.reason))


async def echo(link):
    while True:
        link.send(await link.receive())
        await link.drained()


async def keep(link):
    await link.ended()


def until_reading_pauses(server):
    server.until(lambda: [each._reading_paused for each in server.service.connections] == [True])


def until_writing_pauses(server):
    server.until(lambda: [each._writing_paused for each in server.service.connections] == [True])


def send_for_ever(peer):
    while True:
        peer.send(b"x" * 100_000)


def url(server):
    return server.url.replace("http://", "ws://")


# ── messages ──────────────────────────────────────────────────────────────────────────────


def test_a_real_client_is_echoed(serve):
    server = serve(Talking(echo))
    with connect(url(server), max_size=None) as client:
        for message in ["hello", "", "grüße", b"\x00\xff", "x" * 70_000, b"y" * 1_000_000]:
            client.send(message)
            assert client.recv() == message


def test_a_real_client_that_compresses_is_echoed(serve):
    server = serve(Talking(echo, compression=True))
    with connect(url(server)) as client:
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        for message in ["hello", "x" * 70_000, b"", b"y" * 1_000_000]:
            client.send(message)
            assert client.recv() == message


def test_frames_may_come_in_the_same_packet_as_the_handshake(serve):
    server = serve(Talking(echo))
    with Peer(server.url, tail=text("one") + text("two")) as peer:
        assert peer.reply.get("x-here") == "yes"
        assert [peer.read_text(), peer.read_text()] == ["one", "two"]


def test_a_handshake_may_follow_other_requests_on_a_connection(serve):
    talking = Talking(echo)

    def handle(exchange):
        if exchange.head.path == b"/":
            exchange.respond(OK, b"hello")
        else:
            talking(exchange)

    server = serve(handle)
    with Wire(server.url) as wire:
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" + request("/socket") + text("now"))
        assert wire.read().body == b"hello"
        assert wire.read().status == 101
        assert wire._exactly(5) == b"\x81\x03now"


def test_a_handshake_byte_by_byte(serve):
    server = serve(Talking(echo))
    with Wire(server.url) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request() + text("slow"):
            wire.send(bytes([byte]))
        assert wire.read().status == 101
        assert wire._exactly(6) == b"\x81\x04slow"


def test_many_messages_at_once_are_answered_in_order(serve):
    server = serve(Talking(echo))
    with Peer(server.url) as peer:
        peer.send(b"".join(text(str(number)) for number in range(2000)))
        assert [peer.read_text() for _ in range(2000)] == [str(number) for number in range(2000)]


def test_pings_are_answered_and_told_only_who_asks(serve):
    for told in (False, True):
        received = []

        async def listen(link, received=received):
            while True:
                received.append(await link.receive())

        talking = Talking(listen, control_frames=told)
        server = serve(talking)
        with Peer(server.url) as peer:
            peer.send(frame(PING, b"a") + frame(PONG, b"b") + text("c") + close(1000))
            assert peer.read_frame() == (PONG, True, b"a")
            assert peer.read_close() == 1000
        server.until(lambda talking=talking: talking.ends)
        assert received == ([Ping(b"a"), Pong(b"b"), "c"] if told else ["c"])


def test_a_message_in_frames_lets_pings_in_between(serve):
    async def talk(link):
        link.send_first(b"a", last=False)
        link.ping(b"?")
        link.send_next(b"b", last=True)
        await link.ended()

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        frames = [peer.read_frame() for _ in range(3)]
    assert frames == [(BINARY, False, b"a"), (PING, True, b"?"), (CONT, True, b"b")]


def test_only_one_task_receives(serve):
    failures = []

    async def talk(link):
        first = asyncio.ensure_future(link.receive())
        await asyncio.sleep(0)
        try:
            await link.receive()
        except RuntimeError as error:
            failures.append(str(error))
        link.send("ready")
        link.send(await first)
        await link.ended()

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        assert peer.read_text() == "ready"
        peer.send(text("for the first"))
        assert peer.read_text() == "for the first"
    assert "another task" in failures[0]


def test_a_receive_that_is_cancelled_loses_nothing(serve):
    async def talk(link):
        waiting = asyncio.ensure_future(link.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        link.send("ready")
        await echo(link)

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        assert peer.read_text() == "ready"
        peer.send(text("kept"))
        assert peer.read_text() == "kept"


# ── pace ──────────────────────────────────────────────────────────────────────────────────


def test_reading_pauses_while_the_handler_is_behind(serve):
    gate = {}

    async def talk(link):
        gate["open"] = asyncio.Event()
        await gate["open"].wait()
        await echo(link)

    server = serve(Talking(talk, max_queued_messages=4))
    with Peer(server.url) as peer:
        peer.send(b"".join(text(str(number)) for number in range(50)))
        until_reading_pauses(server)
        assert len(server.connections[0]._queue) == 4
        server.call(lambda: gate["open"].set())
        assert [peer.read_text() for _ in range(50)] == [str(number) for number in range(50)]
        server.until(lambda: not next(iter(server.service.connections))._reading_paused)


def test_large_messages_pause_reading_before_they_are_many(serve):
    server = serve(Talking(keep))
    with Peer(server.url) as peer:
        peer.send(frame(BINARY, b"x" * QUEUE_HIGH_WATER_BYTES) + frame(BINARY, b"y" * 10))
        until_reading_pauses(server)
        assert [len(each) for each in server.connections[0]._queue] == [QUEUE_HIGH_WATER_BYTES]


def test_who_sends_waits_for_a_slow_reader(serve):
    sent = []

    async def talk(link):
        while len(sent) < 1000:
            link.send(b"x" * 100_000)
            sent.append(1)
            await link.drained()

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        until_writing_pauses(server)
        stuck_at = len(sent)
        assert stuck_at < 1000
        for _ in range(1000):
            assert len(peer.read_frame()[2]) == 100_000
        assert peer.read_frame()[0] == CLOSE
    assert len(sent) == 1000


def test_a_flood_of_pings_from_who_reads_nothing_stops_reading(serve):
    server = serve(Talking(keep))
    with Peer(server.url) as peer:
        peer.socket.settimeout(0.05)
        (connection,) = server.connections
        flood = frame(PING, b"x" * 125) * 1000
        rest = b""
        while not connection._reading_paused:
            rest = rest or flood
            try:
                rest = rest[peer.socket.send(rest) :]
            except TimeoutError:
                continue
        unsent_bytes = server.call(connection._transport.get_write_buffer_size)
        assert UNREAD_PONGS_BYTES < unsent_bytes < 10 * UNREAD_PONGS_BYTES


# ── the end ───────────────────────────────────────────────────────────────────────────────


def test_a_close_of_the_peer_ends_it_after_its_messages(serve):
    talking = Talking(echo)
    server = serve(talking)
    with Peer(server.url) as peer:
        peer.send(text("last") + close(4000, b"bye"))
        assert peer.read_frame()[0] in (TEXT, CLOSE)
        server.until(lambda: talking.ends)
    assert talking.ends == [(4000, "bye")]
    server.until_connected(0)


def test_messages_before_a_close_are_received_even_if_the_handler_is_late(serve):
    received = []
    gate = {}

    async def talk(link):
        gate["open"] = asyncio.Event()
        await gate["open"].wait()
        while True:
            received.append(await link.receive())

    talking = Talking(talk)
    server = serve(talking)
    with Peer(server.url) as peer:
        peer.send(b"".join(text(str(number)) for number in range(10)) + close(1000))
        assert peer.read_close() == 1000
        server.until_connected(0)
        server.call(lambda: gate["open"].set())
        server.until(lambda: talking.ends)
    assert received == [str(number) for number in range(10)]


def test_our_close_waits_for_the_answer_of_the_peer(serve):
    ended = []

    async def talk(link):
        link.close(4001, "enough")
        await link.ended()
        ended.append((link.close_code, link.close_reason))

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        kind, _, payload = peer.read_frame()
        assert (kind, close_code(payload), payload[2:]) == (CLOSE, 4001, b"enough")
        assert not ended
        peer.send(text("on the way") + close(4001))
        assert peer.is_closed()
        server.until(lambda: ended)
    assert ended == [(4001, "enough")]


def test_a_real_client_sees_our_close(serve):
    async def talk(link):
        link.close(1000, "done")

    server = serve(Talking(talk))
    with connect(url(server)) as client, pytest.raises(ConnectionClosedOK) as raised:
        client.recv()
    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (1000, "done")


def test_a_peer_that_does_not_answer_a_close_is_cut(serve):
    async def talk(link):
        link.close(1000, "")
        await link.ended()

    server = serve(Talking(talk, close_timeout_s=5))
    with Peer(server.url) as peer:
        assert peer.read_frame()[0] == CLOSE
        server.jump(4)
        assert len(server.connections) == 1
        server.jump(2)
        assert peer.is_closed()


def test_nothing_can_be_sent_after_the_end(serve):
    refused = []

    async def talk(link):
        link.close(4000, "over")
        for send in (
            lambda: link.send("x"),
            lambda: link.send_first(b"x", last=True),
            lambda: link.send_next(b"x", last=True),
            lambda: link.ping(b""),
        ):
            try:
                send()
            except WebSocketClosed as closed:
                refused.append(closed.code)
        link.close(1000, "")
        await link.ended()

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        assert close_code(peer.read_frame()[2]) == 4000
        server.until(lambda: len(refused) == 4)
    assert refused == [4000] * 4


def test_a_close_that_cannot_be_sent_is_refused(serve):
    refused = []

    async def talk(link):
        for code, reason in ((1005, ""), (1000, "x" * 124)):
            try:
                link.close(code, reason)
            except ValueError:
                refused.append(code)
        await echo(link)

    server = serve(Talking(talk))
    with Peer(server.url) as peer:
        peer.send(text("still open"))
        assert peer.read_text() == "still open"
    assert refused == [1005, 1000]


@pytest.mark.parametrize("sent", [b"", frame(TEXT, b"half a mess")[:-3]])
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_ends_it(serve, sent, reset):
    gone = []

    async def talk(link):
        talking.exchanges[0].on_gone(lambda: gone.append(True))
        await link.receive()

    talking = Talking(talk)
    server = serve(talking)
    with Peer(server.url) as peer:
        server.until(lambda: talking.exchanges)
        peer.send(sent)
        if reset:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.until(lambda: talking.ends)
    assert talking.ends == [(1006, "")]
    server.until(lambda: gone)
    server.until_connected(0)


def test_who_waits_to_send_hears_that_the_client_left(serve):
    async def talk(link):
        while True:
            link.send(b"x" * 100_000)
            await link.drained()

    talking = Talking(talk)
    server = serve(talking)
    with Peer(server.url):
        until_writing_pauses(server)
    server.until(lambda: talking.ends)
    assert talking.ends == [(1006, "")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(BINARY, b"", length=2**40), 1009),
    ],
)
def test_a_peer_that_breaks_the_protocol_reads_why(serve, data, code):
    talking = Talking(echo)
    server = serve(talking)
    with Peer(server.url) as peer:
        # Still sending, as who sends a large message is: no reset may overtake the close frame.
        peer.send(data + text("x" * 1000) * 500)
        assert peer.read_close() == code
    server.until(lambda: talking.ends)
    assert talking.ends[0][0] == code


def test_who_goes_on_sending_after_the_end_is_cut(serve):
    server = serve(Talking(echo))
    with Peer(server.url) as peer:
        peer.send(frame(TEXT, b"x", masked=False))
        assert peer.read_frame()[0] == CLOSE
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(peer)


def test_who_does_not_close_after_the_end_is_cut(serve):
    server = serve(Talking(echo), linger_timeout_s=1.0)
    with Peer(server.url) as peer:
        peer.send(frame(TEXT, b"\xff"))
        assert peer.read_frame()[0] == CLOSE
        server.until(lambda: next(iter(server.service.connections))._linger_left is not None)
        server.jump(2)
        server.until_connected(0)


# ── time ──────────────────────────────────────────────────────────────────────────────────


def test_no_timeout_of_http_ends_it(serve):
    server = serve(Talking(echo, ping_interval_s=10_000))
    with Peer(server.url) as peer:
        server.jump(5_000)
        peer.send(text("still here"))
        assert peer.read_text() == "still here"


def test_a_peer_that_answers_pings_is_kept(serve):
    server = serve(Talking(echo))
    with Peer(server.url) as peer:
        for _ in range(3):
            server.jump(21)
            assert peer.read_frame() == (PING, True, b"")
            peer.send(frame(PONG) + text("x"))
            assert peer.read_text() == "x"


def test_a_peer_that_answers_no_ping_is_given_up(serve):
    talking = Talking(echo)
    server = serve(talking)
    with Peer(server.url) as peer:
        server.jump(21)
        assert peer.read_frame()[0] == PING
        server.jump(21)
        assert peer.read_close() == 1011
        server.until(lambda: talking.ends)
    assert talking.ends == [(1011, "no answer to a ping")]


def test_a_peer_that_we_do_not_listen_to_is_not_given_up(serve):
    gate = {}

    async def talk(link):
        gate["open"] = asyncio.Event()
        await gate["open"].wait()
        await echo(link)

    server = serve(Talking(talk, max_queued_messages=1))
    with Peer(server.url) as peer:
        peer.send(text("a") + text("b"))
        until_reading_pauses(server)
        for _ in range(5):
            server.jump(21)
        server.call(lambda: gate["open"].set())
        kinds = [peer.read_frame()[0] for _ in range(7)]
        assert kinds == [PING] * 5 + [TEXT] * 2


def test_a_peer_that_takes_nothing_is_given_up(serve):
    async def talk(link):
        while True:
            link.send(b"x" * 1_000_000)
            await link.drained()

    talking = Talking(talk)
    server = serve(talking)
    with Peer(server.url):
        until_writing_pauses(server)
        for _ in range(4):
            server.jump(21)
        server.until(lambda: talking.ends)
        assert talking.ends == [(1011, "no answer to a ping")]
        server.jump(21)
        server.until_connected(0)


# ── refused handshakes ────────────────────────────────────────────────────────────────────


def test_a_refused_handshake_is_an_ordinary_answer(serve):
    server = serve(Talking(echo))
    with Wire(server.url) as wire:
        wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        reply = wire.read()
        assert (reply.status, reply.get("upgrade")) == (426, "websocket")
        assert reply.get("connection") == "upgrade"
        wire.send(request(sec_websocket_key="short"))
        assert wire.read().status == 400
        wire.send(request(method="POST", content_length="0"))
        assert wire.read("POST").status == 426
        wire.send(request() + text("and now"))
        assert wire.read().status == 101


def test_a_body_with_a_handshake_is_never_taken_for_frames(serve):
    server = serve(Talking(echo))
    with Wire(server.url) as wire:
        wire.send(request(content_length="9") + text("abc"))
        assert wire.read().status == 400


def test_http_1_0_is_never_upgraded(serve):
    server = serve(Talking(echo))
    with Wire(server.url) as wire:
        wire.send(request(version="1.0"))
        assert wire.read().status == 426


def test_a_field_that_would_break_the_answer_is_refused_before_it_is_sent(serve):
    errors = []

    def handle(exchange):
        handshake = exchange.websocket(WebSocketOptions())
        for field in ((b"x-a", b"b\r\nc: d"), (b"Connection", b"close")):
            try:
                handshake.accept([field])
            except InvalidField as error:
                errors.append(error)
        exchange.respond(OK, b"still http")

    server = serve(handle)
    with Wire(server.url) as wire:
        wire.send(request())
        assert wire.read().body == b"still http"
    assert len(errors) == 2


def test_a_client_that_left_before_the_answer_is_not_accepted(serve, keeping):
    server = serve(keeping)
    with Wire(server.url) as wire:
        wire.send(request())
        server.until(lambda: keeping.exchanges)
        (exchange,) = keeping.exchanges
        handshake = server.call(exchange.websocket, WebSocketOptions())
    server.until(lambda: exchange.gone)
    with pytest.raises(ClientGone):
        server.call(handshake.accept, [])


# ── the server's own end, and its log ──────────────────────────────────────────────────────


def test_a_server_that_stops_says_so_and_waits_for_the_answer(serve):
    talking = Talking(echo)
    server = serve(talking, stop_timeout_s=5.0)
    with Peer(server.url) as first, Peer(server.url) as second:
        server.until(lambda: len(talking.links) == 2)
        server.stop_soon()
        for peer in (first, second):
            kind, _, payload = peer.read_frame()
            assert (kind, close_code(payload)) == (CLOSE, 1001)
        first.send(close(1001))
        assert first.is_closed()
        second.send(close(1001))
        assert second.is_closed()
        server.stop()
    assert talking.ends == [(1001, "the server stops")] * 2


def test_a_server_that_stops_does_not_wait_for_long(serve):
    server = serve(Talking(echo), stop_timeout_s=0.05)
    with Peer(server.url) as peer:
        server.stop()
        assert close_code(peer.read_frame()[2]) == 1001
        assert peer.is_closed()


def test_a_server_that_stops_takes_no_handshake(serve, keeping):
    server = serve(keeping, stop_timeout_s=5.0)
    with Wire(server.url) as wire:
        wire.send(request() * 1)
        server.until(lambda: keeping.exchanges)
        server.stop_soon()
        server.until(lambda: server.service.draining)
        with pytest.raises(HandshakeError) as raised:
            server.call(keeping.exchanges[0].websocket, WebSocketOptions())
        assert raised.value.status == 503
        server.answer(keeping.exchanges[0])
        assert wire.read().status == 200


def test_a_handshake_that_was_begun_before_the_stop_opens_and_closes(serve, keeping):
    server = serve(keeping, stop_timeout_s=5.0)
    with Wire(server.url) as wire:
        wire.send(request())
        server.until(lambda: keeping.exchanges)
        handshake = server.call(keeping.exchanges[0].websocket, WebSocketOptions())
        server.stop_soon()
        server.until(lambda: server.service.draining)
        server.call(handshake.accept, [])
        assert wire.read().status == 101
        assert wire._exactly(4)[2:] == b"\x03\xe9"


def test_the_log_has_one_line_at_the_end(serve, caplog):
    caplog.set_level(logging.INFO)
    server = serve(Talking(echo), access_log=True)
    with Peer(server.url, "/chat") as peer:
        peer.send(text("hello"))
        assert peer.read_text() == "hello"
        server.jump(3)
        assert not [each for each in caplog.records if each.name == "tarry.access"]
        peer.send(close(1000))
        assert peer.read_close() == 1000
    server.until_connected(0)
    server.stop()
    lines = [each.getMessage() for each in caplog.records if each.name == "tarry.access"]
    # A text frame of 7 bytes and a close frame of 4.
    assert lines == ['127.0.0.1 "GET /chat HTTP/1.1" 101 11 run=3000.0ms']
    assert not [each for each in caplog.records if "websocket" in each.name]
