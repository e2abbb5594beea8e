"""The access log: one line for each request, nothing forged, written off the loop."""

from __future__ import annotations

import re
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.heads import Fields, PlainRequestHead
from tarry.server import accesslog
from tarry.server.accesslog import AccessLog
from tarry.server.settings import ServerSettings
from tests.server.serving import OK, greet
from tests.wire import Wire, ask

FORMAT = ServerSettings().access_log_format
ALL = "%(client)s|%(method)s|%(target)s|%(version)s|%(referer)s|%(user_agent)s"


def head(target=b"/", fields=(), method=b"GET"):
    return PlainRequestHead(method, target, Fields(fields))


def line(head, *, line_format=ALL, client="192.0.2.7", parked_s=0.0):
    log = AccessLog(line_format)
    try:
        return log.line(head, client, 200, 5, 0.0042, parked_s)
    finally:
        log.close()


# ── one line ──────────────────────────────────────────────────────────────────────────────


def test_the_default_line():
    expected = '192.0.2.7 "GET /a?b=c HTTP/1.1" 200 5 run=4.2ms'

    assert line(head(b"/a?b=c"), line_format=FORMAT) == expected


def test_the_line_of_a_request_that_was_parked():
    assert line(head(), line_format=FORMAT, parked_s=12.34).endswith(" 5 run=4.2ms park=12.3s")
    assert line(head(), line_format="%(park_s).2f|%(park)s", parked_s=2) == "2.00| park=2.0s"
    assert line(head(), line_format="%(park_s).2f|%(park)s") == "0.00|"


def test_tickets_and_wake_tokens_are_not_written():
    ticket, token = "tk_" + "Ab-_" * 9, "wk_" + "cD9x" * 9
    target = f"/-/t/{ticket}/result?t={ticket},{token}&a=b"
    fields = [(b"referer", f"http://a/-/w/{token}".encode())]
    logged = line(head(target.encode(), fields))

    assert "/-/t/tk_Ab-_…/result?t=tk_Ab-_…,wk_cD9x…&a=b|" in logged
    assert "|http://a/-/w/wk_cD9x…|" in logged


def test_all_fields():
    fields = [(b"referer", b"http://a/"), (b"User-Agent", b"curl/8")]

    assert line(head(b"/", fields)) == "192.0.2.7|GET|/|1.1|http://a/|curl/8"
    assert line(head(), client="") == "-|GET|/|1.1|-|-"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'a"b', "a\\x22b"),
        (b"a\\b", "a\\x5cb"),
        (b"a\r\nb", "a\\x0d\\x0ab"),
        (b"\x1b[31m", "\\x1b[31m"),
        (b"\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        (b"%s%d%(method)s", "%s%d%(method)s"),
        (b"\xfc", "ü"),
    ],
)
@pytest.mark.parametrize("name", [b"referer", b"user-agent"])
def test_what_could_forge_a_line_is_escaped(name, raw, text):
    assert text in line(head(b"/", [(name, raw)]))


@given(st.binary())
def test_no_client_makes_a_second_line_or_ends_the_quotes(raw):
    text = accesslog._text(raw)

    assert text.isprintable() or "\xa0" in text or "\xad" in text
    assert '"' not in text
    assert len(text.splitlines()) <= 1


@given(st.binary(), st.binary())
def test_two_different_values_never_look_the_same(one, other):
    assert (accesslog._text(one) == accesslog._text(other)) == (one == other)


# ── the queue ─────────────────────────────────────────────────────────────────────────────


def test_lines_are_written_in_order_by_another_thread_and_all_by_the_end(lines):
    log = AccessLog(FORMAT)
    for number in range(100):
        log.record(head(b"/%d" % number), "a", 200, 0, 0)
    log.close()

    assert [re.search(r"/(\d+)", text)[1] for text in lines.texts] == [
        str(number) for number in range(100)
    ]
    assert threading.get_ident() not in lines.threads


def test_a_log_that_is_too_slow_loses_lines_and_tells_how_many(lines, monkeypatch):
    monkeypatch.setattr(accesslog, "MAX_QUEUED", 3)
    lines.gate.clear()
    log = AccessLog(FORMAT)
    log.record(head(b"/first"), "a", 200, 0, 0)
    assert lines.inside.wait(10)
    for _ in range(8):
        log.record(head(b"/more"), "a", 200, 0, 0)
    lines.gate.set()
    log.close()

    assert [text for text in lines.texts if "/more" in text] == lines.texts[-3:]
    assert "5 requests were not logged: the log is too slow" in lines.texts
    assert len(lines.texts) == 1 + 1 + 3


# ── in a server ───────────────────────────────────────────────────────────────────────────


def test_one_line_for_each_request(serve, lines):
    server = serve(greet, access_log=True)
    with Wire(server.url) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\nHEAD /b HTTP/1.1\r\nhost: a\r\n\r\n")
        wire.read()
        wire.read("HEAD")
    ask(server.url, b"GET /c HTTP/1.0\r\n\r\n")
    server.stop()

    assert [text.split(" run=")[0] for text in lines.texts] == [
        '127.0.0.1 "GET /a HTTP/1.1" 200 5',
        '127.0.0.1 "HEAD /b HTTP/1.1" 200 5',
        '127.0.0.1 "GET /c HTTP/1.0" 200 5',
    ]


def test_the_time_is_that_from_the_head_to_the_end_of_the_answer(serve, keeping, lines):
    server = serve(keeping, access_log=True)
    with Wire(server.url) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
        server.until(lambda: keeping.exchanges)
        server.jump(1.5)
        server.call(keeping.exchanges[0].start, OK)
        server.call(keeping.exchanges[0].send, b"four")
        server.jump(1)
        server.call(keeping.exchanges[0].end)
        wire.read()
    server.stop()

    assert lines.texts == ['127.0.0.1 "GET /a HTTP/1.1" 200 4 run=2500.0ms']


def test_while_it_is_parked_a_request_does_not_run(serve, keeping, lines):
    server = serve(keeping, access_log=True)
    with Wire(server.url) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
        exchange = server.until(lambda: keeping.exchanges)[0]
        server.jump(1)
        for parked_s in (2, 3):
            server.call(exchange.park)
            server.jump(parked_s)
            server.call(exchange.resume)
            server.jump(0.5)
        server.answer(exchange)
        wire.read()
    server.stop()

    assert lines.texts == ['127.0.0.1 "GET /a HTTP/1.1" 200 5 run=2000.0ms park=5.0s']


def test_a_request_whose_client_left_was_parked_to_the_end(serve, keeping, lines):
    server = serve(keeping, access_log=True)
    with Wire(server.url) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
        exchange = server.until(lambda: keeping.exchanges)[0]
        server.jump(1)
        server.call(exchange.park)
        server.jump(60)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.until(lambda: not server.service.connections)
    server.stop()

    assert lines.texts == ['127.0.0.1 "GET /a HTTP/1.1" 499 0 run=1000.0ms park=60.0s']


def test_the_log_does_not_hold_up_the_loop(serve, lines):
    server = serve(greet, access_log=True)
    lines.gate.clear()
    for _ in range(5):
        assert ask(server.url, b"GET / HTTP/1.0\r\n\r\n")[0].status == 200
    assert lines.texts == []
    lines.gate.set()
    server.stop()

    assert len(lines.texts) == 5


def test_no_log(serve, lines):
    server = serve(greet, access_log=False)
    ask(server.url, b"GET / HTTP/1.0\r\n\r\n")
    server.stop()

    assert lines.texts == []
