"""Requests of every kind for `fuzz.application`: random ones, and those that nearly fit a route."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st

from tests.websocket_frames import KEY


class AnyRequest(NamedTuple):
    """A request as both protocols can send it; `fields` are without those of the framing."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes

    def encode(self, version, connection):
        """The bytes of HTTP/1."""
        lines = [f"{self.method} {self.target} HTTP/{version}", "Host: a"]
        lines += [f"{name}: {value}" for name, value in [*self.fields, *connection]]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


# ---- pieces --------------------------------------------------------------------------------

WORDS = (
    "", "a", "1", "-1", "0", "red", "blue", "x", "y", "up", "true", "off", "nan", "1e999", "2026",
    "2026-11-21", "2026-11-21T10:00:00Z", "10:00", "P1D", "00000000-0000-4000-8000-000000000000",
    "9" * 20, "9" * 5000, "1_0", "\u0661", "é", "\U0001f600", "\x00", "\r\n", "a/b", "..", "%", "+",
    "body", "json", "form", "stream", "file.txt", "small.txt", "missing", "none", "text", "404",
    "401", "2026-xx", "kind", "early", "<p>", '"', "'", ";", "a" * 300,
)  # fmt: skip

PARAMETERS = (
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "number", "size", "order",
    "kind", "not", "q", "times", "retries", "day", "colours", "length", "name", "age", "tag",
    "user", "password", "keep", "note", "early", "page",
)  # fmt: skip

PATHS = (
    "/", "/query", "/many", "/page", "/fields", "/required", "/about", "/json/struct", "/json/data",
    "/json/dict", "/json/attrs", "/json/model", "/json/list", "/json/models", "/json/union",
    "/json/mapping", "/json/any", "/raw", "/file-like", "/heard", "/form", "/login", "/form-data",
    "/upload", "/upload-async", "/small-form", "/stream", "/stream-async", "/generator", "/events",
    "/tenant", "/connection", "/clock", "/cookie", "/file", "/open-file", "/narrow", "/shop",
    "/socket",
)  # fmt: skip

PREFIXES = (
    "/int/", "/float/", "/uuid/", "/str/", "/path/", "/two/", "/star/", "/rest/", "/re/2026-x",
    "/date/2026-11-21/", "/request/", "/answer/", "/refuse/", "/file/", "/narrow/", "/shop/",
    "/api/", "/socket/", "/nothing/", "//",
)  # fmt: skip

word = st.one_of(st.sampled_from(WORDS), st.text(max_size=8), st.integers().map(str))


def quoted(text):
    return quote(text.encode("utf-8", "surrogatepass"), safe="/%;,:@")


segments = st.lists(word.map(quoted), min_size=1, max_size=3).map("/".join)
printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12)

paths = st.one_of(
    st.sampled_from(PATHS),
    st.builds("{}{}".format, st.sampled_from(PREFIXES), segments),
    st.builds("{}{}".format, st.sampled_from(PREFIXES), segments),
    st.builds("{}/{}".format, st.sampled_from(PATHS), segments),
    printable.map("/{}".format),
)

pairs = st.lists(st.tuples(st.one_of(st.sampled_from(PARAMETERS), word), word), max_size=5)


def urlencoded(fields):
    return "&".join(f"{quoted(name)}={quoted(value)}" for name, value in fields)


queries = st.one_of(st.just(""), pairs.map(urlencoded), printable).map(
    lambda text: text and f"?{text}"
)

methods = st.one_of(
    st.sampled_from(("GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH")),
    st.sampled_from(("BREW", "TRACE", "QUERY", "M-SEARCH", "A")),
)


# ---- header fields -------------------------------------------------------------------------

DATES = ("Sat, 21 Nov 2026 10:00:00 GMT", "Sun Nov  6 08:49:37 1994",
         "Sunday, 06-Nov-94 08:49:37 GMT", "yesterday")  # fmt: skip

NAMED = {
    "content-type": ("text/plain", "application/json; charset=latin-1", "text/", "image/png",
                     "multipart/form-data", "application/vnd.api+json", "a/b; boundary=x"),
    "content-encoding": ("gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "cow", ","),
    "range": ("bytes=0-0", "bytes=-5", "bytes=5-", "bytes=0-1,5-9,100000-", "bytes=9-0", "cows=1",
              "bytes=" + "1-2," * 50, "bytes=999999999-"),
    "if-range": ('"a"', 'W/"a"', *DATES),
    "if-match": ("*", '"a", "b"', ""),
    "if-none-match": ("*", 'W/"a"', '"'),
    "if-modified-since": DATES,
    "if-unmodified-since": DATES,
    "accept": ("text/html", "image/png, */*;q=0", "application/json", "*/*;q=nan", ",",
               "text/html;q"),
    "accept-encoding": ("gzip", "br;q=1, *;q=0", "zstd", "identity;q=0", "gzip;q=2"),
    "cookie": ("session=a; n=1", "n=x", "=a; b", 'session="é"', "sid=" + "a" * 8200),
    "x-token": ("1", "body", "x", "", "9" * 5000),
    "x-tenant": ("none", "é", "a b"),
    "last-event-id": ("1", "\x80"),
    "origin": ("http://a", "null", "http://b"),
    "sec-websocket-key": (KEY, "short", ""),
    "sec-websocket-version": ("13", "8", "x"),
    "sec-websocket-protocol": ("chat", "a, chat", "\xff", "a b"),
    "sec-websocket-extensions": ("permessage-deflate", "x; y=\"z\"", ";",
                                 "permessage-deflate; server_max_window_bits=8"),
    "x-forwarded-for": ("1.2.3.4",),
    "user-agent": ("\x1b[31m", "agent"),
}  # fmt: skip

values = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"), max_size=10).map(
    str.strip
)
named_fields = st.sampled_from(
    [(name, value) for name, choices in NAMED.items() for value in choices]
)
odd_fields = st.tuples(st.sampled_from([*NAMED, "x", "priority"]), values)
fields = st.lists(st.one_of(named_fields, named_fields, odd_fields), max_size=5)

HANDSHAKE = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", KEY))  # fmt: skip

connections = st.one_of(
    st.just(()),
    st.sampled_from((
        (("Connection", "close"),), (("Connection", "keep-alive"),), (("Expect", "100-continue"),),
        (("Expect", "cows"),), (("Connection", "x, upgrade"), ("Upgrade", "h2c, x")), HANDSHAKE,
    )),
)  # fmt: skip


# ---- bodies --------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), word, st.sampled_from((10**400, "\ud800"))
)
names = st.sampled_from(("name", "price", "tags", "count", "inner", "made", "levels", "id", "a"))
values_of_json = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, word), inner, max_size=4)
    ),
    max_leaves=8,
)
named_values = st.dictionaries(names, values_of_json, max_size=4).map(lambda it: {"name": "a"} | it)


def damaged(data):
    """A body as it is, cut off, or with a byte changed."""
    place = st.integers(0, 200)
    return st.one_of(
        st.just(data),
        st.just(data),
        place.map(lambda at: data[:at]),
        st.builds(
            lambda at, byte: data[:at] + bytes([byte]) + data[at + 1 :], place, st.integers(0, 255)
        ),
    )


json_bodies = st.one_of(values_of_json, named_values, st.lists(named_values, max_size=3)).map(
    lambda value: json.dumps(value).encode()
)
deep_bodies = st.integers(1, 3000).map(lambda depth: b"[" * depth + b"]" * depth)

BOUNDARY = "xYzZY"


def multipart_body(parts):
    pieces = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode(
            "utf-8", "replace"
        )
        + content
        + b"\r\n"
        for name, extra, content in parts
    ]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


part_extras = st.sampled_from((
    "", "", '; filename="a.txt"', '; filename="../a\\b"\r\nContent-Type: text/plain',
    "; filename*=UTF-8''%e2%82%ac", '; filename=""', "\r\nContent-Type: text/plain; charset=x",
))  # fmt: skip
parts = st.tuples(
    st.sampled_from(("name", "file", "files", "age", "user", "note", 'a"b', "a%22")),
    part_extras,
    st.one_of(st.binary(max_size=30), word.map(lambda text: text.encode("utf-8", "replace"))),
)
multipart_bodies = st.lists(parts, max_size=5).map(multipart_body)

JSON, URLENCODED = "application/json", "application/x-www-form-urlencoded"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"

typed_bodies = st.one_of(
    st.just((b"", None)),
    st.tuples(json_bodies, st.just(JSON)),
    st.tuples(json_bodies.flatmap(damaged), st.just(JSON)),
    st.tuples(deep_bodies, st.just(JSON)),
    st.tuples(pairs.map(urlencoded).map(str.encode), st.just(URLENCODED)),
    st.tuples(multipart_bodies, st.just(MULTIPART)),
    st.tuples(multipart_bodies.flatmap(damaged), st.just(MULTIPART)),
    st.tuples(st.binary(max_size=60), st.sampled_from((None, JSON, URLENCODED, MULTIPART))),
    st.just((b"x" * 70_000, JSON)),
)

CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress}


def coded(body, coding):
    data, content_type = body
    fields = [] if content_type is None else [("content-type", content_type)]
    if coding is not None:
        return CODINGS[coding](data), [*fields, ("content-encoding", coding)]
    return data, fields


bodies = st.builds(coded, typed_bodies, st.sampled_from((None, None, None, *CODINGS)))


@st.composite
def any_requests(draw):
    """Any request."""
    body, fields_of_body = draw(bodies)
    return AnyRequest(
        draw(methods), draw(paths) + draw(queries), fields_of_body + draw(fields), body
    )
