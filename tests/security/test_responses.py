"""What goes out: nothing from outside breaks out of its field, its page or its log line."""

from __future__ import annotations

import queue
from urllib.parse import quote

import pytest

from tarry.message.heads import InvalidField, ResponseHead
from tarry.server.accesslog import AccessLog
from tests.security.attacks import get, refused
from tests.security.conftest import make_app
from tests.wire import Wire, ask

BREAKING = ["\r\n", "\r", "\n", "\0", "\r\n\r\n<html>", "\x0b", "\x7f", "\x1b[31m"]


@pytest.mark.parametrize("bad", BREAKING)
@pytest.mark.parametrize(
    ("path", "parameter", "good"),
    [
        ("/header-name", "name", "x-injected"),
        ("/header-value", "value", "value"),
        ("/cookie-name", "name", "x-injected"),
        ("/cookie-value", "value", "value"),
        ("/redirect", "url", "/there"),
    ],
)
def test_header_injection(url, path, parameter, good, bad):
    """NUL is refused in the query already; the rest reaches the handler and gives 500."""
    fine, _ = ask(url, get(f"{path}?{parameter}={quote(good)}".encode()))
    assert fine.status in (200, 302)

    value = quote(f"{good}{bad}set-cookie: a=b", safe="")
    reply, _ = ask(url, get(f"{path}?{parameter}={value}".encode()))

    assert reply.status == (400 if bad == "\0" else 500)
    assert b"leaked" not in reply.body
    for name in ("x-injected", "set-cookie", "location"):
        assert reply.get(name) is None


@pytest.mark.parametrize("bad", ["\r\nx: y", "\0", "\n"])
def test_heads_of_answers_refuse_what_breaks_lines(bad):
    for field in ((b"x", b"a" + bad.encode()), (b"x" + bad.encode(), b"a"), (b"", b"a")):
        with pytest.raises(InvalidField):
            ResponseHead(200, [field])


@pytest.mark.parametrize("name", ["transfer-encoding", "connection", "upgrade", "keep-alive"])
def test_a_handler_cannot_set_the_fields_of_the_connection(url, name):
    assert ask(url, get(f"/header-name?name={name}".encode()))[0].status == 500


def test_the_reason_is_the_servers(url):
    """A handler has no way to set the reason phrase; it follows from the status."""
    with Wire(url) as wire:
        wire.send(get(b"/nothing", b"Connection: close"))
        assert wire.rest().startswith(b"HTTP/1.1 404 Not Found\r\n")


ATTACK = b"/%3Cscript%3Ealert(1)%3C/script%3E?%22%3E%3Cscript%3E"


@pytest.mark.parametrize("accept", [b"text/html", b"application/json", b"*/*"])
@pytest.mark.parametrize("target", [ATTACK, b"/number?n=%3Cscript%3E", b"/redirect?url=%3Cscript"])
def test_pages_escape_what_came_from_outside(url, accept, target):
    reply, _ = ask(url, get(target, b"Accept: " + accept, b"X: <script>"))

    assert reply.status >= 400
    assert b"<script" not in reply.body
    if "html" in reply.get("content-type"):
        assert "script-src" not in reply.get("content-security-policy")
        assert reply.get("x-content-type-options") == "nosniff"


def test_a_redirect_has_no_page_that_could_carry_a_script(url):
    reply, _ = ask(url, get(b"/redirect?url=/%22%3E%3Cscript%3E"))

    assert reply.status == 302
    assert reply.body == b""


def test_text_is_never_taken_for_html(url):
    reply, _ = ask(url, get(b"/early"))

    assert reply.get("content-type") == "text/plain; charset=utf-8"


def test_refusals_repeat_nothing_of_the_request(url):
    reply = refused(url, b"GET <script>alert(1)</script> HTTP/1.1\r\nHost: a\r\n\r\n")

    assert b"script" not in reply.body


def lines_of(logged, data, times=1):
    """The log lines of a server on which `data` was sent, after it has stopped."""
    with make_app().start() as server:
        for _ in range(times):
            ask(server.url, data)
    return logged


@pytest.mark.parametrize(
    "data",
    [
        get(b"/%0d%0a127.0.0.1%20GET%20/forged"),
        get(b"/about?%1b[31m", b"User-Agent: \x80\x9b31m", b'Referer: a"b\\c'),
        get(b"/about?x=%0a"),
        get(b"/about?%22"),
    ],
)
def test_log_injection(logged, data):
    lines = lines_of(logged, data)

    assert len(lines) == 1
    assert lines[0].isprintable()
    assert lines[0].count('"') == 2


def test_fields_of_the_log_are_escaped():
    log = AccessLog('%(client)s "%(method)s %(target)s" "%(referer)s" "%(user_agent)s"')
    log.close()
    head = RequestHeadWith(b"/\x1b[2J\x9b\r\n", b'"\\\x00\x7f')
    line = log.line(head, "1.2.3.4", 200, 0, 0.0)

    assert line.isprintable()
    assert line.count('"') == 6
    assert "\\x1b[2J\\x9b\\x0d\\x0a" in line


class RequestHeadWith:
    method, http_version = b"GET", b"1.1"

    def __init__(self, target, value):
        self.target = target
        self.headers = {b"referer": value, b"user-agent": value}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        get(b"/", b"bad"),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
        get(b"/%zz"),
        get(b"/missing"),
        get(b"/number?n=x"),
    ],
)
def test_log_storm(logged, data):
    """A faulty request makes one line at most, and never a traceback."""
    lines = lines_of(logged, data, times=10)

    assert len(lines) <= 10
    assert not any("Traceback" in line for line in lines)


def test_a_slow_log_costs_lines_and_not_memory():
    log = AccessLog("%(target)s")
    log.close()
    head = RequestHeadWith(b"/", b"")
    for _ in range(20_000):
        log.record(head, "", 200, 0, 0.0)

    assert log._queue.qsize() <= 10_000
    assert isinstance(log._queue, queue.SimpleQueue)
