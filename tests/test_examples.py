"""Every example is run as its readers would run it, and asked what its docstring says."""

from __future__ import annotations

import ast
import json
import queue
import socket
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from importlib import import_module
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tarry import HttpError
from tarry.testing import SocketClient
from tests.wire import TIMEOUT_S, Wire

FOLDER = Path(__file__).parent.parent / "examples"
FILES = sorted(FOLDER.glob("*.py"))
LONGER = ("analyse_csv", "render")
"""They compute for real, which takes more lines than it takes to answer."""

ASK = {}


def example(test: Callable[[SocketClient], None]) -> Callable[[SocketClient], None]:
    """Mark what asks the example of the same name."""
    ASK[test.__name__] = test
    return test


@pytest.fixture
def client(request, tmp_path, monkeypatch) -> Iterator[SocketClient]:
    monkeypatch.chdir(tmp_path)  # where examples keep their files
    app = import_module(f"examples.{request.param}").app
    with app.start(access_log=False) as handle, SocketClient(handle.url) as client:
        yield client


@example
def quickstart(client):
    assert "Tarry is here" in client.get("/").text
    assert client.get("/hello/you?times=2").json() == {"hello": ["you", "you"]}
    made = client.post("/notes", json={"title": "milk", "text": "2 l"})
    assert made.status == 201
    path = f"/notes/{made.json()['id']}"
    assert client.get(path).json() == {"title": "milk", "text": "2 l"}
    assert client.get("/notes/999").status == 404
    assert client.post("/notes", json={"title": 1}).status == 400


@example
def lanes(client):
    replies = {
        lane: client.get(f"/{lane}?below=30").json() for lane in ("async", "threads", "inline")
    }

    assert {reply["primes"] for reply in replies.values()} == {10}
    assert replies["async"]["thread"] == replies["inline"]["thread"]
    assert replies["threads"]["thread"] != replies["async"]["thread"]


@example
def streaming(client):
    counted = client.get("/count/5")
    assert counted.text == "1\n2\n3\n4\n5\n"
    assert "content-length" not in counted.headers

    zeros = client.get("/zeros/100000")
    assert zeros.body == bytes(100_000)
    assert zeros.headers["content-length"] == "100000"

    assert len(client.get("/clock?ticks=2&every_s=0").text.splitlines()) == 2
    assert client.put("/lines", data=[b"a\nb", b"\nc\n"]).json() == {"lines": 3}


@example
def errors(client):
    missing = client.get("/accounts/7")
    assert missing.status == 404
    assert missing.text == "/accounts/7: there is no account 7\n"
    assert client.get("/nowhere").text.startswith("/nowhere: ")

    refused = client.post("/accounts/1/pay?amount=900")
    assert refused.status == 409
    assert refused.json()["detail"] == "100 is less than 900"
    assert client.post("/accounts/1/pay?amount=1").json() == {"balance": 99}

    bad = client.post("/accounts/one/pay?amount=x")
    assert bad.status == 400
    assert [fault.split(":")[0] for fault in bad.json()["bad"]] == ["number", "amount"]


@example
def approval(client):
    form = {"content-type": "application/x-www-form-urlencoded"}
    asked = client.post("/ask", headers=form, data=b"what=a chair&euros=120")
    assert asked.status == 202
    ticket = asked.json()["links"]["self"]
    said, _, link = client.get(ticket).json()["progress"]["text"].rpartition(" ")
    assert said == "The boss is asked for a chair at 120.00 euros."

    link = urlsplit(link).path

    assert client.get(f"{ticket}/result").status == 409
    assert client.get(link).status == 200
    assert client.post(link, headers=form, data=b"true").json()["accepted"]
    assert client.post(link, headers=form, data=b"false").status == 409
    assert client.get(ticket).headers["location"] == f"{ticket}/result"
    assert "The boss says yes" in client.get(f"{ticket}/result").text


@example
def controllers(client):
    dune, solaris = {"title": "Dune", "author": "Herbert"}, {"title": "Solaris", "author": "Lem"}
    assert client.get("/books").json() == [dune]
    assert client.get("/books/1").json() == dune

    made = client.post("/books", json=solaris)
    assert made.status == 201
    assert client.get(made.headers["location"]).json() == solaris
    assert client.get("/books/3").status == 404

    assert client.get("/books?author=Herbert").json() == [dune]
    plain = client.get("/books", headers={"accept": "text/plain"})
    assert plain.text == "Dune, Herbert\nSolaris, Lem\n"


@example
def filters(client):
    missed = client.get("/nowhere")
    assert missed.status == 404
    assert missed.headers["server-timing"].startswith("all;dur=")

    refused = client.get("/admin/me")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    signed_in = client.get("/admin/me", headers={"authorization": "Bearer s3cret"})
    assert signed_in.text == "you are ada\n"

    assert client.get("/reports/slow?seconds=0").text == "here it is\n"
    assert client.get("/reports/slow?seconds=5").status == 504


def _form(**files: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body as a browser sends files of one field."""
    parts = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="files"; filename="%b.txt"\r\n\r\n%b\r\n'
        % (name.encode(), content)
        for name, content in files.items()
    )
    return {"content-type": "multipart/form-data; boundary=edge"}, parts + b"--edge--\r\n"


@example
def upload(client):
    headers, form = _form(one=b"0123456789abc", two=b"2")
    assert client.post("/", headers=headers, data=form).status == 303
    assert "one.txt</a> 13 bytes" in client.get("/").text

    part = client.get("/files/one.txt", headers={"range": "bytes=0-9"})
    assert (part.status, part.text) == (206, "0123456789")
    assert part.headers["content-disposition"] == 'attachment; filename="one.txt"'

    assert client.put("/files/..%2Fbig.iso", data=[b"in ", b"pieces"]).status == 201
    assert client.get("/files/big.iso").text == "in pieces"
    assert sorted(path.name for path in Path("uploads").iterdir()) == [
        "big.iso", "one.txt", "two.txt",
    ]  # fmt: skip

    too_long = headers | {"content-length": str(32 * 1024**2 + 1)}
    assert client.post("/", headers=too_long).status == 413
    assert client.put("/files/x", headers={"content-length": str(1024**3 + 1)}).status == 413
    assert len([*Path("uploads").iterdir()]) == 3


@example
def render(client):
    assert "Mandelbrot" in client.get("/").text
    picture = client.post("/picture?width=30&iterations=60&colours=fire")
    assert picture.headers["content-type"] == "image/png"
    width, height, *kind = struct.unpack(">2I5B", picture.body[16:29])
    assert (width, height, kind) == (30, 20, [8, 3, 0, 0, 0])
    pixels = zlib.decompress(picture.body[picture.body.index(b"IDAT") + 4 :])
    assert len(pixels) == 20 * 31
    assert pixels[10 * 31 + 16] == 0  # the middle is of the set

    bad = client.post("/picture?width=1&colours=red")
    assert bad.status == 400
    assert [fault["name"] for fault in bad.json()["errors"]] == ["width", "colours"]

    later = {"prefer": "respond-async"}
    ticket = client.post("/picture?width=30", headers=later).json()["links"]
    whole = client.get(ticket["result"], headers={"prefer": "wait=20"})
    part = client.get(ticket["result"], headers={"range": "bytes=1-3"})
    assert (part.status, part.body) == (206, b"PNG")
    assert whole.body[1:4] == b"PNG"

    slow = client.post("/picture?width=2400", headers=later).json()["links"]["self"]
    assert client.delete(slow).status in (200, 202)
    assert client.get(f"{slow}/result", headers={"prefer": "wait=20"}).status == 410


@example
def analyse_csv(client):
    def analysis(content, name="file"):
        head = f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="a.csv"\r\n\r\n'
        headers = {"content-type": "multipart/form-data; boundary=edge"}
        data = head.encode() + content + b"\r\n--edge--\r\n"
        return client.post("/analysis", headers=headers, data=data)

    text, numbers = analysis(b"word\tx\na\t-1.5\n\nb\tNA\na\t4\n").json()
    assert text == {
        "name": "word", "count": 3, "missing": 0, "minimum": None, "maximum": None, "mean": None,
        "distinct": 2, "most_frequent": "a",
    }  # fmt: skip
    assert (numbers["count"], numbers["missing"]) == (2, 1)
    assert [numbers[name] for name in ("minimum", "maximum", "mean")] == [-1.5, 4.0, 1.25]

    mixed, long = analysis(b"\xef\xbb\xbfa,\n1,%b\nx,2\ninf,3\n" % (b"y" * 201)).json()
    assert (mixed["name"], mixed["mean"], mixed["distinct"]) == ("a", None, 3)
    assert (long["name"], long["distinct"], long["most_frequent"]) == ("column 2", None, None)
    many = analysis(b"n\n" + b"".join(b"%d\n" % each for each in range(10_001))).json()[0]
    assert (many["count"], many["maximum"], many["distinct"]) == (10_001, 10_000.0, None)

    table = client.post("/table", json=[numbers])
    assert table.headers["content-disposition"] == 'attachment; filename="columns.csv"'
    assert table.text.splitlines()[1] == "x,2,1,-1.5,4.0,1.25,2,-1.5"
    assert client.post("/table", json=[{"name": "x"}]).status == 400

    for content, reason in {
        b"": "the first line has to name",
        b"1,2\n3,4\n": "the first line has to name",
        b"a,b\n1,2\n3\n": "line 3 has 1 instead of 2 values",
        b"a\n\xff\n": "not UTF-8",
        b'a\n"b\n': "line 2: ",
        b"a\n" + b"x" * 1_100_000: "line 2: ",
    }.items():
        refused = analysis(content)
        assert (refused.status, reason in refused.json()["detail"]) == (422, True), refused.text
    assert analysis(b"a\n1\n", name="other").status == 400


@pytest.mark.parametrize(
    ("line", "refused"), [(b"1,%b\n" % (b"x" * 1000), False), (b"x" * 1000, True)]
)
def test_analyse_csv_has_little_of_a_file_in_memory(tmp_path, line, refused):
    """With lines as without."""
    from examples import analyse_csv

    path = tmp_path / "large.csv"
    path.write_bytes(b"a,b\n" + line * 20_000)
    told = []
    job = SimpleNamespace(progress=lambda at, of, text: told.append(at / of))
    tracemalloc.start()
    try:
        with path.open("rb") as file, pytest.raises(HttpError) if refused else nullcontext():
            upload = SimpleNamespace(file=file, size_bytes=path.stat().st_size)
            assert analyse_csv.analysis(upload, job)[0].count == 20_000
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024**2
    finally:
        tracemalloc.stop()
    assert refused or (len(told) == 40 and told == sorted(told) and told[0] < 0.01 < 0.9 < told[-1])


def until(condition):
    """Wait for something that another thread does at any moment."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"


def _name(value):
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("client", "ask"), ASK.items(), indirect=["client"], ids=_name)
def test_example(client, ask):
    ask(client)


def test_two_apps():
    from examples import two_apps

    with two_apps.shop.start() as shop, two_apps.stock.start() as stock:
        two_apps.urls.update(shop=shop.url, stock=stock.url)
        with SocketClient(shop.url) as client:
            assert client.get("/orders/3").json() == {"total": 15}
        with SocketClient(stock.url) as client:
            assert client.get("/report").json() == {"sold": 3}


def test_events(capsys):
    from examples import events

    half = b"PUT /drop HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
    with events.app.start(access_log=False) as server, SocketClient(server.url) as client:
        assert "EventSource" in client.get("/").text
        with urlopen(f"{server.url}/events", timeout=10) as stream:
            told = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
            assert next(told) == []

            assert client.put("/drop", data=b"123").text == "thank you\n"
            complete = {"bytes": 3, "of": 3, "state": "complete"}
            assert [complete] in told

            address = urlsplit(server.url)
            with socket.create_connection((address.hostname, address.port)) as leaves:
                leaves.sendall(half)
                assert [complete, {"bytes": 5, "of": 10, "state": "coming"}] in told
            assert [complete, {"bytes": 5, "of": 10, "state": "broken off"}] in told
    assert capsys.readouterr().out == "start: 0 uploads\nstop: 2 uploads\n"


def test_chat(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from examples import chat

    hi, hello = {"name": "ada", "text": "hi"}, {"name": "bob", "text": "hello"}
    with chat.app.start(access_log=False) as server, SocketClient(server.url) as client:
        assert "EventSource" in client.get("/").text
        assert client.post("/messages", json={"name": "ada"}).status == 400
        assert client.post("/messages", json=hi).json() == {"id": 1}
        assert client.get("/messages?after=0").json() == [{"id": 1, "data": hi}]

        with urlopen(f"{server.url}/events", timeout=10) as stream:
            told = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
            assert next(told) == hi
            client.post("/messages", json=hello)
            assert next(told) == hello
        assert client.get("/messages?after=1").json() == [{"id": 2, "data": hello}]


class Timers:
    """In the place of `threading.Timer`: they wait for the test, which ends the shortest first."""

    def __init__(self):
        self._started = queue.SimpleQueue()

    def __call__(self, seconds, function, arguments):
        return SimpleNamespace(start=lambda: self._started.put((seconds, function, arguments)))

    def started(self, count):
        """The next timers, when they have been started, in the order in which they end."""
        return sorted(
            (self._started.get(timeout=TIMEOUT_S) for _ in range(count)), key=itemgetter(0)
        )


def test_hang(monkeypatch):
    """1.0 and 1.5 s together take 1.5 s: both begin before one of them ends."""
    from examples import hang

    monkeypatch.setattr(hang.threading, "Timer", timers := Timers())
    with hang.app.start(access_log=False) as server, Wire(server.url) as world:
        with Wire(server.url) as hello:
            world.send(b"GET /hang/1.5/World HTTP/1.1\r\nhost: a\r\n\r\n")
            hello.send(b"GET /hang/1.0/Hello HTTP/1.1\r\nhost: a\r\n\r\n")
            shorter, longer = timers.started(2)
            assert [shorter[0], longer[0]] == [1.0, 1.5]

            shorter[1](*shorter[2])
            assert hello.read().body == b"Hello"
        longer[1](*longer[2])
        assert world.read().body == b"World"


def test_hang_with_real_timers():
    from examples import hang

    with hang.app.start(access_log=False) as server, SocketClient(server.url) as client:
        assert client.get("/hang/0.01/Hello").text == "Hello"


def test_rendezvous():
    from examples import rendezvous

    with rendezvous.app.start(access_log=False) as server, SocketClient(server.url) as client:
        assert client.get("/stop/").text == "stop"
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.url)) for _ in range(4)]
            for number, wire in enumerate(wires):
                wire.send(b"GET /req/ HTTP/1.1\r\nhost: a\r\n\r\n")
                until(lambda count=number + 1: len(rendezvous.waiting) == count)
            wires[1].socket.close()
            until(lambda: rendezvous.waiting[1].state == "cancelled")

            for wire in (wires[0], wires[2], wires[3]):
                assert client.get("/stop/").text == "stop"
                assert wire.read().body == b"done"


def test_every_example_has_a_test():
    tested = {*ASK, "chat", "events", "hang", "rendezvous", "two_apps"}

    assert {file.stem for file in FILES} == tested


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_example_is_short_and_says_how_to_try_it(file):
    text = file.read_text()

    assert len(text.splitlines()) <= 60 or file.stem in LONGER
    assert len(text.splitlines()) <= 130
    assert ast.get_docstring(ast.parse(text))
