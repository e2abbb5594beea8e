"""Which host and which route a request means: exactly one of each, or it is refused."""

from __future__ import annotations

import json

import pytest

from tarry.message.target import InvalidTarget, valid_authority
from tests.security.attacks import get, refused
from tests.wire import ask


def about(url, *args, **kwargs):
    reply, _ = ask(url, get(*args, b"Connection: close", **kwargs))
    assert reply.status == 200
    return json.loads(reply.body)


@pytest.mark.parametrize(
    "host",
    [
        b"", b"Host:", b"Host: ", b"Host: a\r\nHost: a", b"Host: a\r\nHost: b",
        b"Host: a\r\nhost: a", b"Host: a/?", b"Host: a/", b"Host: a?b", b"Host: a#b",
        b"Host: u@a", b"Host: a@b:80", b"Host: a, b", b"Host: a,", b"Host: a b", b"Host: a:",
        b"Host: a:b", b"Host: a:99999", b"Host: a:80:80", b"Host: a\\b", b"Host: [::1",
        b"Host: [zz]", b"Host: ::1", b"Host: \xc3\xa4", b"Host: a%00", b"Host: a<b>", b"Host: a;b",
        b"Host: a'", b'Host: "a"', b"Host: " + b"a" * 256, b"Host: http://a",
    ],
)  # fmt: skip
def test_missing_duplicate_or_garbage_host(url, host, seen):
    refused(url, get(b"/about", host=host))
    assert not seen


@pytest.mark.parametrize("host", [b"a", b"A.example:80", b"127.0.0.1:8000", b"[::1]:1", b"a_b.c"])
def test_good_hosts_make_the_url(url, host):
    told = about(url, b"/about?x=1", host=b"Host: " + host)

    assert told["host"] == host.decode()
    assert told["url"] == f"http://{host.decode()}/about?x=1"
    assert told["path"] == "/about"


def test_absolute_target_replaces_host(url):
    told = about(url, b"http://b:81/about", host=b"Host: a")

    assert told["host"] == "b:81"
    assert told["url"] == "http://b:81/about"


@pytest.mark.parametrize(
    "target",
    [b"@google.com", b"@google.com/", b"about", b"?x", b"*", b"a:80", b"//", b"http:/about",
     b"http:///about", b"http://u:p@a/about", b"http://a b/", b"file:///etc/passwd",
     b"javascript:alert(1)", b"\\about", b"./about", b"%2fabout", b"http://a#b", b"HTTP://"],
)  # fmt: skip
def test_target_that_does_not_begin_with_a_slash(url, target, seen):
    if target == b"//":
        # It does begin with one, and means an empty segment: nothing is there.
        assert ask(url, get(target))[0].status == 404
    else:
        refused(url, get(target))
    assert not seen


@pytest.mark.parametrize(
    "field",
    [b"X-Forwarded-Host: evil", b"Forwarded: host=evil;proto=https", b"X-Host: evil",
     b"X-Forwarded-Proto: https", b"X-Forwarded-For: 6.6.6.6", b"X-Real-IP: 6.6.6.6",
     b"X-Original-URL: /evil", b"X-Rewrite-URL: /evil", b"X-HTTP-Method-Override: DELETE"],
)  # fmt: skip
def test_forwarding_headers_change_nothing(url, field):
    """There is no list of allowed hosts yet, and no trusted proxy: all of these are ignored."""
    told = about(url, b"/about", field)

    assert told["url"] == "http://a/about"
    assert told["client"] == "127.0.0.1"
    assert told["path"] == "/about"


def test_a_dot_in_a_host_is_a_dot():
    """Hosts are compared as they are; there is no pattern that `exampleXcom` could match."""
    assert valid_authority(b"example.com")
    assert valid_authority(b"exampleXcom")
    assert not valid_authority(b"example.com|evil")


@pytest.mark.parametrize(
    "target",
    [b"//evil.com/..", b"//evil.com/%2e%2e", b"/\\evil.com", b"/%5cevil.com", b"//about",
     b"//evil.com/about/", b"/about/", b"/about//", b"/%2f/evil.com", b"/.//evil.com"],
)  # fmt: skip
def test_no_redirect_to_another_origin(url, target):
    """The router makes no redirects of its own, so these are 404 or 400, without Location."""
    reply, _ = ask(url, get(target))

    assert reply.status in (400, 404)
    assert reply.get("location") is None


@pytest.mark.parametrize(
    "target",
    [b"//evil.com", b"//evil.com/..", b"/%5Cevil.com".replace(b"%5C", b"%5C"), b"https://evil.com",
     b"/%09/evil.com", b"evil.com", b"", b"javascript:alert(1)", b"%20//evil.com"],
)  # fmt: skip
def test_a_handler_cannot_be_led_to_redirect_elsewhere(url, target):
    """`Redirect` takes paths of this site alone, unless the author says otherwise."""
    reply, _ = ask(url, get(b"/redirect?url=" + target))

    assert reply.status == 500
    assert reply.get("location") is None


def test_a_semicolon_separates_nothing(url):
    told = about(url, b"/about?a=1;b=2&c=3;d")

    assert told["query"] == {"a": ["1;b=2"], "c": ["3;d"]}


@pytest.mark.parametrize(
    "path",
    [b"/\x00", b"/%00", b"/a%00b", b"/%c0%af", b"/%e0%80%af", b"/%c0%80", b"/%ed%a0%80", b"/%ff",
     b"/%", b"/%2", b"/%zz", b"/%u0041", b"/\xc3\xa9"],
)  # fmt: skip
def test_paths_that_do_not_decode_in_one_way(url, path, seen):
    assert ask(url, get(path))[0].status == 400
    assert not seen


@pytest.mark.parametrize(
    "query", [b"a=%00", b"a=%c0%af", b"a=%ed%a0%80", b"a=%ff", b"a=%", b"%zz=1", b"a=%u0041"]
)
def test_queries_that_do_not_decode_in_one_way(url, query):
    assert ask(url, get(b"/about?" + query))[0].status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/%61bout", 200),
        (b"/%2561bout", 404),
        (b"/ABOUT", 404),
        (b"/About", 404),
        (b"/%C5%BFmuggled", 404),
        (b"/%EF%BC%A1bout", 404),
        (b"/abo%C3%BCt", 404),
        (b"/x/../about", 404),
        (b"/./about", 404),
        (b"/about%2f", 404),
    ],
)
def test_paths_are_decoded_once_and_never_normalised(url, path, status):
    """Neither case, nor Unicode compatibility, nor dots make two paths one."""
    assert ask(url, get(path))[0].status == status


@pytest.mark.parametrize("digits", [5_000, 7_000])
def test_a_number_of_thousands_of_digits(url, digits):
    assert ask(url, get(b"/number?n=" + b"9" * digits))[0].status in (400, 422)
    assert ask(url, get(b"/number?n=" + b"1" * 15))[0].body == b"1" * 15


@pytest.mark.parametrize("label", [b"a" * 10_000, b"xn--" + b"a" * 8_000, b"1." * 4_000])
def test_long_labels_in_hosts(url, label):
    """There is no IDNA here: a host is ASCII and at most 255 bytes, so nothing can be slow."""
    refused(url, get(b"/about", host=b"Host: " + label))


@pytest.mark.parametrize("port", [b"9" * 5_000, b"-1", b"+80", b"8_0", b"\xd9\xa1"])
def test_odd_ports(url, port):
    refused(url, get(b"/about", host=b"Host: a:" + port))


def test_long_accept_language_does_nothing(url):
    assert ask(url, get(b"/about", b"Accept-Language: " + b"aa-" * 5_000))[0].status == 200


def test_error_for_targets_is_known():
    assert issubclass(InvalidTarget, ValueError)
