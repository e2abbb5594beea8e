"""Bodies and forms: refused while they come, in bounded memory, and never by one's own fault.

One test or group for each class of known faults; the server runs apart, so that
its memory can be measured.  After each attack a neighbour is still answered.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
import select
import threading
import time
import zlib
from pathlib import Path

import brotli
import pytest

from tarry import App, Upload
from tarry.app.spool import SPOOL_BYTES, Spool
from tarry.message.codings import encoder_for
from tests.security.apart import Apart
from tests.security.attacks import get
from tests.security.bodies_app import GIBIBYTE, SMALL_BYTES
from tests.wire import Wire, ask

MEBIBYTE = 1024 * 1024

MAX_GROWTH_BYTES = 20_000_000
"""How much more memory than before an attack the server may have at any time."""

MAX_WORK_S = 5.0
"""Generous: what is linear takes less than a tenth of it, what is quadratic takes hours."""

URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def server():
    with Apart("tests.security.bodies_app") as server:
        # What is made once, at the first use of a route, is not the attack's.
        for path in (b"/form", b"/raw", b"/pieces", b"/small/file_like"):
            ask(server.url, post(path, part(b"name=a", b"x") + b"--b--\r\n", MULTIPART))
        yield server


@pytest.fixture
def url(server):
    return server.url


@pytest.fixture(autouse=True)
def a_neighbour_is_answered(url):
    with Wire(url) as neighbour:
        neighbour.send(get(b"/neighbour"))
        assert neighbour.read().body == b"here"
        yield
        neighbour.send(get(b"/neighbour"))
        assert neighbour.read().body == b"here"


@pytest.fixture
def flat_memory(server):
    """The server's memory stays as it is, at any time of the test."""
    before = server.memory("VmRSS")
    server.forget_peak()
    yield
    assert server.memory("VmHWM") - before < MAX_GROWTH_BYTES


@pytest.fixture
def in_time():
    """The test, and so the server's work, takes no longer than linear work can take."""
    started = time.perf_counter()
    yield
    assert time.perf_counter() - started < MAX_WORK_S


def head(path, size, content_type, *fields):
    lines = b"".join(b"%b\r\n" % field for field in fields)
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (
        path,
        content_type,
        size,
        lines,
    )


def post(path, body, content_type=b"application/octet-stream", *fields):
    return head(path, len(body), content_type, *fields) + body


def part(parameters, content=b"", *fields):
    lines = b"".join(b"%b\r\n" % field for field in fields)
    disposition = b"Content-Disposition: form-data; " + parameters
    return b"--b\r\n%b\r\n%b\r\n%b\r\n" % (disposition, lines, content)


def form(url, *parts, path=b"/form"):
    reply, _ = ask(url, post(path, b"".join(parts) + b"--b--\r\n", MULTIPART))
    return reply


def while_sending(url, start, pieces):
    """Send pieces until an answer comes: the answer, and how many bytes of them were sent."""
    sent_bytes = 0
    with Wire(url) as wire:
        wire.send(start)
        for piece in pieces:
            if select.select([wire.socket], [], [], 0.001)[0]:
                break
            try:
                wire.send(piece)
            except ConnectionError:
                break
            sent_bytes += len(piece)
        return wire.read(), sent_bytes


def endless(piece, least_bytes=65_536):
    """A piece again and again, together many times as long as anything may be."""
    piece *= -(-least_bytes // len(piece))
    return (piece for _ in range(64 * MEBIBYTE // len(piece)))


# ---- too many parts, no total limit --------------------------------------------------------

ENDLESS_FORMS = {
    "parts": (MULTIPART, b"", part(b"name=a", b"x")),
    "files": (MULTIPART, b"", part(b'name=a; filename="f"', b"x")),
    "files not chosen": (MULTIPART, b"", part(b'name=a; filename=""')),
    "parts of different names": (MULTIPART, b"", part(b"name=" + b"n" * 4000)),
    "one field": (MULTIPART, b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n", b"x"),
    "fields of a MiB": (MULTIPART, b"", part(b"name=a", b"x" * (MEBIBYTE - 100))),
    "the head of a part": (MULTIPART, b"--b\r\nContent-Disposition: form-data; name=", b"a"),
    "headers of a part": (MULTIPART, b"--b\r\n", b"X: y\r\n"),
    "one urlencoded field": (URLENCODED, b"a=", b"x"),
    "an urlencoded name": (URLENCODED, b"", b"x"),
    "urlencoded nothing": (URLENCODED, b"", b"&"),
    "percents": (URLENCODED, b"a=", b"%41"),
}


@pytest.mark.parametrize("attack", ENDLESS_FORMS)
@pytest.mark.parametrize("path", [b"/form", b"/field", b"/upload"])
def test_a_gibibyte_of_a_form_is_413_while_it_comes(url, flat_memory, in_time, attack, path):
    content_type, start, piece = ENDLESS_FORMS[attack]
    if attack.startswith("files") and path == b"/form":
        path = b"/upload"

    start = head(path, GIBIBYTE, content_type) + start
    reply, sent_bytes = while_sending(url, start, endless(piece))

    assert reply.status == 413
    assert reply.closes
    assert sent_bytes < 32 * MEBIBYTE


@pytest.mark.parametrize("path", [b"/small/raw", b"/small/json", b"/small/pieces",
                                  b"/small/file_like", b"/small/form"])  # fmt: skip
def test_a_body_without_length_is_413_at_the_limit_of_its_route(url, flat_memory, path):
    content_type = b"application/json" if path == b"/small/json" else MULTIPART
    start = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\n" % (path, content_type)
    start += b"Transfer-Encoding: chunked\r\n\r\n"
    begin = part(b'name=a; filename="f"').removesuffix(b"\r\n")
    start += b"%x\r\n%b\r\n" % (len(begin), begin)
    reply, _ = while_sending(url, start, endless(b"1000\r\n" + b"x" * 4096 + b"\r\n"))

    assert reply.status == 413


def test_64_mebibytes_of_a_file_are_taken_in_flat_memory(url, flat_memory):
    begin = part(b'name=file; filename="f"').removesuffix(b"\r\n")
    size = 64 * MEBIBYTE
    with Wire(url) as wire:
        wire.send(head(b"/upload", len(begin) + size + 9, MULTIPART) + begin)
        for _ in range(size // 65_536):
            wire.send(b"x" * 65_536)
        wire.send(b"\r\n--b--\r\n")

        assert json.loads(wire.read().body) == {"filename": "f", "bytes": size}


# ---- multipart: quadratic, endless ---------------------------------------------------------

ALMOST_BOUNDARIES = [b"\r", b"\n", b"\r\n", b"\r\n-", b"\r\n--", b"-", b"--b", b"\r\r\n"]


@pytest.mark.parametrize("unit", ALMOST_BOUNDARIES)
def test_content_that_looks_like_a_boundary_takes_linear_time(url, flat_memory, in_time, unit):
    content = b"x" + unit * (8 * MEBIBYTE // len(unit))
    reply = form(url, part(b'name=a; filename="f"', content))

    assert json.loads(reply.body)["files"] == [["f", "f", len(content)]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b--",
        b"--b\r\n",
        part(b"name=a", b"x"),
        part(b"name=a", b"x") + b"--b",
        part(b"name=a", b"x") + b"--b-",
        part(b"name=a", b"x") + b"--c--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=a",
        b"\r" * MEBIBYTE,
        part(b'name=a; filename="f"', b"\r" * MEBIBYTE),
    ],
)
def test_without_its_last_boundary(url, in_time, body):
    reply, _ = ask(url, post(b"/form", body, MULTIPART))

    assert reply.status == (200 if body == b"--b--" else 400)


@pytest.mark.parametrize("text", [b"x", b"\r\n", b"\r", b"--", b"--c\r\n", b" "])
def test_a_preamble_is_refused_at_its_beginning(url, flat_memory, in_time, text):
    reply, sent_bytes = while_sending(url, head(b"/form", GIBIBYTE, MULTIPART), endless(text))

    assert reply.status == 400
    assert sent_bytes < 32 * MEBIBYTE


def test_an_epilogue_is_refused_at_its_beginning(url, flat_memory, in_time):
    start = head(b"/form", GIBIBYTE, MULTIPART) + part(b"name=a", b"x") + b"--b--\r\n"
    reply, sent_bytes = while_sending(url, start, endless(b"x"))

    assert reply.status == 400
    assert sent_bytes < 32 * MEBIBYTE


# ---- Content-Type --------------------------------------------------------------------------

NASTY = [
    b"application/x-www-form-urlencoded; !=\"" + b"\\" * 16_000,  # CVE-2024-24762
    b'multipart/form-data; boundary="' + b'\\"' * 8_000,
    b'multipart/form-data; boundary="' + b"\\a" * 8_000 + b'" x',
    b"multipart/form-data" + b"; " * 7_900 + b"=",
    b"multipart/form-data" + b";" * 16_000 + b"!",
    b"multipart/form-data; " + b"a=b; " * 3_000 + b"a",
    b"multipart/form-data; boundary=" + b"b" * 257,
    b"multipart/form-data; boundary=" + b"b" * 16_000,
    b'multipart/form-data; boundary=""',
    b"multipart/form-data; boundary=b; boundary=c",
    b"multipart/form-data; boundary=b; charset=utf-16",
    b"multipart/form-data; boundary*=utf-8''b",
    b"multipart/form-data; boundary*0=b",
    b"multipart/form-data; boundary=\xe9",
    b"multipart/form-data",
    b"multipart/form-data\t" + b"\t " * 7_000 + b"!",
    b"multipart/mixed; boundary=b",
    b"a" * 16_000,
    b"/" * 16_000,
    b"application/" + b"json+" * 3_000,
    b"application/json;" * 900,
]  # fmt: skip


@pytest.mark.parametrize("path", [b"/form", b"/field", b"/upload", b"/json"])
def test_content_types_take_linear_time(url, in_time, path):
    for content_type in NASTY:
        reply, _ = ask(url, post(path, b"--b--\r\n", content_type))

        assert reply.status in (400, 415), content_type[:60]


def test_a_route_that_looks_into_forms_answers_all_content_types(url, in_time):
    """Whether it is meant, a parameter decides, which could stand in the form."""
    for content_type in NASTY:
        reply, _ = ask(url, post(b"/narrowed?a=b", b"--b--\r\n", content_type))

        is_form = content_type.startswith((b"multipart/form-data", URLENCODED))
        assert reply.status in ((400, 415) if is_form else (200, 400)), content_type[:60]


@pytest.mark.parametrize("size", [1, 70, 256])
def test_boundaries_of_any_useful_length(url, size):
    boundary = b"b" * size
    body = part(b"name=a", b"x").replace(b"--b", b"--" + boundary) + b"--%b--\r\n" % boundary
    reply, _ = ask(url, post(b"/form", body, b"multipart/form-data; boundary=" + boundary))

    assert json.loads(reply.body)["fields"] == {"a": 1}


# ---- heads of parts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        part(b"name=a", b"x", b"Content-Length: +1"),
        part(b"name=a", b"x", b"Content-Length: 1_0"),
        part(b"name=a", b"x", b"Content-Length: -1"),
        part(b"name=a", b"x", b"Content-Length: 2"),
        part(b"name=a", b"x", b"Content-Type: multipart/mixed; boundary=c"),
        part(b"name=a", b"--c--", b"Content-Type: Multipart/Form-Data; boundary=c"),
        part(b"name=a", b"eA==", b"Content-Transfer-Encoding: base64"),
        part(b"name=a", b"x", b"Content-Type: text/plain; charset=utf-7"),
        part(b"name=a", b"x", b"Content-Type: text/plain", b"Content-Type: text/html"),
        part(b"name=a", b"x", b"Content-Disposition: form-data; name=b"),
        part(b"name=a; name=b"),
        part(b"name=a; filename=a; FileName=b"),
        part(b"filename=a"),
        part(b"name*=utf-8''a"),
        part(b"name*0=a; name*1=b"),
        part(b"name=a; filename*0=a; filename*1=b"),
        part(b"name=a; filename*0*=utf-8''a"),
        part(b"name=a; filename*=utf-16''a"),
        part(b"name=a; filename*=utf-8''%ff"),
        part(b"name=a; filename*=utf-8''%00"),
        part(b"name=a; filename*=a"),
        part(b"name=a\x00"),
        part(b'name="a\x00"'),
        part(b'name="a\x0bb"'),
        part(b'name="a'),
        part(b'name="a"b'),
        part(b"name=\xff"),
        part(b"name=a").replace(b"form-data", b"attachment"),
        part(b"name=a", b"x", b" folded"),
        part(b"name=a", b"x", b"no colon"),
        part(b"name=a", b"x", b"X\xc3\xa4: y"),
        part(b"name=a", b"x", b": y"),
        part(b"name=a", b"x").replace(b"\r\n\r\n", b"\n\n"),
        part(b"name=a", b"x").replace(b"Content-Disposition", b"Content-Type"),
        part(b"name=a", b"\xff"),
        part(b"name=a", b"a\x00b"),
    ],
)
def test_heads_of_parts(url, bad):
    assert form(url, part(b"name=a", b"x")).status == 200
    assert form(url, bad).status == 400
    assert form(url, part(b"name=before"), bad, part(b"name=after")).status == 400


def test_charset_is_an_ordinary_name(url):
    reply = form(url, part(b"name=_charset_", b"utf-16"), part(b"name=a", b"\xc3\xa4"))

    assert json.loads(reply.body)["fields"] == {"_charset_": 6, "a": 1}


# ---- file names ----------------------------------------------------------------------------

TRAVERSAL = [
    "../x", "/etc/passwd", "../../etc/passwd", "..\\..\\x", "C:\\x", "C:x", "\\\\host\\share\\x",
    "//etc/passwd", "x/../../y", ".", "..", "...", " ", "a/b/", "~/x", "x:y", "file:///etc/passwd",
    "..%2fx", "..\u2215x", "\u2024\u2024/x", "a\u202egnp.exe", "x" * 300, "\U0001f600" * 100,
    "CON ", "<script>", "-rf", "$(id)", "`id`", "x;y", "|id", "a&b", "*",
]  # fmt: skip


@pytest.mark.parametrize("sent", TRAVERSAL)
@pytest.mark.parametrize("extended", [False, True])
def test_file_names_lead_nowhere(url, tmp_path, sent, extended):
    if extended:
        parameter = (
            b"filename*=utf-8''" + "".join(f"%{each:02x}" for each in sent.encode()).encode()
        )
    else:
        parameter = b'filename="%b"' % sent.encode()
    reply = form(url, part(b"name=a; " + parameter, b"x"))

    [[name, client_name, _]] = json.loads(reply.body)["files"]
    assert client_name == sent
    assert name not in ("", ".", "..")
    assert not set('/\\:\0<>|*?"') & set(name)
    assert name.isprintable()
    assert len(name.encode()) <= 255
    assert (tmp_path / name).resolve().parent == tmp_path
    (tmp_path / name).write_bytes(b"x")
    assert Path(tmp_path / name).is_file()


@pytest.mark.parametrize("sent", [b"x\x00.jpg", b"x\x1b[2J", b"x\x07"])
def test_file_names_with_controls_are_refused(url, sent):
    assert form(url, part(b'name=a; filename="%b"' % sent, b"x")).status == 400


# ---- disks ---------------------------------------------------------------------------------


def test_a_slow_disk_delays_nobody_else(monkeypatch):
    """Writing blocks until the test says so, and meanwhile others are answered."""
    writing, may_write = threading.Event(), threading.Event()
    write = Spool._write_pending

    def slowly(spool):
        writing.set()
        assert may_write.wait(10)
        write(spool)

    monkeypatch.setattr(Spool, "_write_pending", slowly)
    app = App()
    app.post("/")(size_of)
    app.get("/", inline=True)(lambda: "here")
    size = SPOOL_BYTES * 2
    content = part(b'name=file; filename="f"', b"x" * size) + b"--b--\r\n"
    with app.start() as server, Wire(server.url) as slow:
        try:
            slow.send(post(b"/", content, MULTIPART))
            assert writing.wait(10)
            for _ in range(10):
                assert ask(server.url, get())[0].body == b"here"
        finally:
            may_write.set()
        assert json.loads(slow.read().body) == size


def size_of(file: Upload):
    return file.size_bytes


# ---- content codings -----------------------------------------------------------------------


def zstd(data):
    encoder = encoder_for("zstd")
    return encoder.encode(data) + encoder.finish()


CODINGS = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": functools.partial(brotli.compress, quality=5),
    b"zstd": zstd,
}
ZEROS = bytes(32 * MEBIBYTE)
ROUTES = [b"/raw", b"/json", b"/pieces", b"/form", b"/small/raw", b"/small/file_like"]


@pytest.fixture(scope="module")
def bombs():
    """What expands to 32 MiB, by its codings; most in two of them."""
    once = {name: code(ZEROS) for name, code in CODINGS.items()}
    twice = {
        b"%b, %b" % (inner, outer): CODINGS[outer](once[inner])
        for inner in once
        for outer in CODINGS
    }
    return once | twice


@pytest.mark.parametrize("path", ROUTES)
def test_decompression_bombs(url, flat_memory, in_time, bombs, path):
    content_type = {b"/json": b"application/json", b"/form": URLENCODED}.get(path, b"text/plain")
    for coding, bomb in bombs.items():
        reply, _ = ask(url, post(path, bomb, content_type, b"Content-Encoding: " + coding))

        assert reply.status == 413, coding


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", [b"/small/raw", b"/small/pieces", b"/small/file_like"])
def test_the_limit_counts_what_a_body_expands_to(url, coding, path):
    dull = random.Random(1).randbytes(1000) * (SMALL_BYTES // 1000)
    field = b"Content-Encoding: " + coding

    at_limit, _ = ask(url, post(path, CODINGS[coding](dull), b"text/plain", field))
    beyond, _ = ask(url, post(path, CODINGS[coding](dull + b"x"), b"text/plain", field))

    assert at_limit.body == b"%d" % SMALL_BYTES
    assert beyond.status == 413


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "coding",
    [b"foo", b"gzip, foo", b"foo, gzip", b"gzip;q=1", b"gzip, gzip, gzip", b"*", b"compress",
     b"sdch", b"gzip\x85", b"aes128gcm", b"exi", b"gzip br", b"," * 9_000 + b"x"],
)  # fmt: skip
def test_unknown_content_codings(url, path, coding):
    content_type = {b"/json": b"application/json", b"/form": URLENCODED}.get(path, b"text/plain")
    reply, _ = ask(url, post(path, b"x", content_type, b"Content-Encoding: " + coding))

    assert reply.status == 415
    assert "gzip" in reply.get("accept-encoding")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", ROUTES)
def test_damaged_codings(url, path, coding):
    content_type = {b"/json": b"application/json", b"/form": URLENCODED}.get(path, b"text/plain")
    field = b"Content-Encoding: " + coding
    whole = CODINGS[coding](b'{"a":1}' * 100)
    for damaged in (b"x", b"\x1f\x8b\x08\xff", whole[:-1], whole[: len(whole) // 2], whole + b"x",
                    b"\xff" * 100):  # fmt: skip
        reply, _ = ask(url, post(path, damaged, content_type, field))

        # Some of it could be taken for what announces more than it may become.
        assert reply.status in (400, 413)


# ---- many parameters, many headers ---------------------------------------------------------


@pytest.mark.parametrize("path", [b"/query", b"/parameter"])
def test_many_query_keys(url, path):
    assert ask(url, get(path + b"?" + b"&".join([b"b"] * 1000)))[0].status == 200
    assert ask(url, get(path + b"?" + b"&".join([b"b"] * 1001)))[0].status == 400
    assert ask(url, get(path + b"?" + b"&".join([b"b"] * 100_000)))[0].status == 414


@pytest.mark.parametrize("path", [b"/form", b"/field"])
def test_100_000_form_keys(url, flat_memory, path):
    def body(count):
        return b"&".join([b"a=x", *(b"k%d=" % number for number in range(count - 1))])

    assert ask(url, post(path, body(1000), URLENCODED))[0].status == 200
    assert ask(url, post(path, body(1001), URLENCODED))[0].status == 413
    reply, sent_bytes = while_sending(
        url,
        head(path, len(body(100_000)), URLENCODED),
        (b"k%d=&" % number * 100 for number in range(1000)),
    )

    assert reply.status == 413
    assert sent_bytes < len(body(100_000))


def test_many_headers(url, in_time):
    fields = [b"X: %d" % number for number in range(99)]
    reply, _ = ask(url, get(b"/headers", *fields))
    assert reply.body == b"99"

    assert ask(url, get(b"/headers", *fields, b"Y: z"))[0].status == 431
    assert ask(url, get(b"/headers", *fields * 10))[0].status == 431
    assert ask(url, get(b"/headers", *[b"X: " + b"y" * 16_000] * 5))[0].status == 431
    assert ask(url, get(b"/headers", b"X: " + b"," * 16_000))[0].status == 200
