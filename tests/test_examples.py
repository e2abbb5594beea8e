"""Every example is run as its readers would run it, and asked what its docstring says."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tarry.testing import SocketClient

FOLDER = Path(__file__).parent.parent / "examples"
FILES = sorted(FOLDER.glob("*.py"))
ASK = {}


def example(test: Callable[[SocketClient], None]) -> Callable[[SocketClient], None]:
    """Mark what asks the example of the same name."""
    ASK[test.__name__] = test
    return test


@pytest.fixture
def client(request) -> Iterator[SocketClient]:
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


def test_every_example_has_a_test():
    tested = {*ASK, "two_apps"}

    assert {file.stem for file in FILES} == tested


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_example_is_short_and_says_how_to_try_it(file):
    text = file.read_text()

    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(ast.parse(text))
