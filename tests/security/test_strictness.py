"""What other servers let through on HTTP/1.1: refused here, or answered as HTTP says."""

from __future__ import annotations

import pytest

from tests.security.attacks import SMUGGLED, chunked, get, post, refused
from tests.wire import Wire, ask


@pytest.mark.parametrize(
    "host",
    [b"Host:", b"Host: u@a", b"Host: a/b", b"Host: a, b", b"Host: a\r\nHost: a",
     b"Host: a\r\nHost: b", b""],
)  # fmt: skip
def test_host(url, host):
    refused(url, get(host=host))


def test_asterisk_goes_with_options_only(url):
    refused(url, get(b"*"))
    refused(url, b"POST * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")


def test_options_of_the_server(url):
    reply, _ = ask(url, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")

    assert 200 <= reply.status < 300
    assert "GET" in reply.get("allow")


@pytest.mark.parametrize("method", [b"DELETE", b"PUT", b"PATCH"])
def test_405_has_allow(url, method):
    reply, _ = ask(url, method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert reply.status == 405
    assert set(reply.get("allow").split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.parametrize("method", [b"BREW", b"PROPFIND", b"X-Y", b"TRACE", b"TRACK", b"DEBUG"])
def test_unknown_methods(url, method):
    assert ask(url, method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")[0].status in (405, 501)


def test_connect(url):
    reply = refused(url, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400, 405, 501)

    assert reply.status != 200


def test_204_has_no_content_length(url):
    reply, _ = ask(url, b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert reply.status == 204
    assert reply.get("content-length") is None
    assert reply.get("transfer-encoding") is None


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"GET / HTTP/1.1"])
@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"foo"])
def test_upgrade_is_never_answered_by_101_unasked(url, line, protocol):
    """No protocol to change to exists yet; the field is ignored (RFC 9110 section 7.8)."""
    fields = b"Host: a\r\nConnection: upgrade\r\nUpgrade: " + protocol
    settings = b"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0\r\n\r\n"
    reply, _ = ask(url, line + b"\r\n" + fields + settings)

    assert reply.status == 200
    assert reply.get("upgrade") is None


def test_empty_transfer_encoding(url):
    refused(url, post(b"Transfer-Encoding:", body=SMUGGLED))
    refused(url, post(b"Transfer-Encoding: ", b"Content-Length: 0", body=SMUGGLED))


BODIES = [SMUGGLED, b"\r\n\r\n", b"\x00\xff" * 50, b"x"]


@pytest.mark.parametrize("body", BODIES)
def test_get_with_a_body_stays_in_step(url, seen, body):
    length = b"Content-Length: %d" % len(body)
    with Wire(url) as wire:
        wire.send(get(b"/early", length) + body + get(b"/about"))

        assert wire.read().body == b"early"
        assert b'"path":"/about"' in wire.read().body
    assert seen == ["/early", "/about"]


@pytest.mark.parametrize("body", BODIES)
def test_get_with_a_chunked_body_stays_in_step_or_closes(url, seen, body):
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with Wire(url) as wire:
        wire.send(get(b"/early", b"Transfer-Encoding: chunked") + chunk + get(b"/about"))
        first = wire.read()

        assert first.body == b"early"
        assert first.closes or b'"path":"/about"' in wire.read().body
    assert seen in (["/early"], ["/early", "/about"])


@pytest.mark.parametrize(
    "extension", [b";a[]", b";", b";;", b";=a", b';"a"', b";a b", b" x", b",a"]
)
def test_chunk_extensions_that_are_no_tokens(url, extension):
    refused(url, chunked(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n"))


def test_http_0_9_and_versions_of_the_future(url):
    for line in (b"GET /", b"GET / HTTP/1.2", b"GET / HTTP/2.0", b"GET / HTTP/3"):
        refused(url, line + b"\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize("value", [b"chunked", b"chunked, gzip"])
def test_chunked_on_http_1_0(url, value):
    head = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: " + value
    refused(url, head + b"\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, 501)
