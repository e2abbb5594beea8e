"""What happens to waits when their store is broken, locked or full."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest

from tarry import App
from tarry.state.sqlite import SQLiteStore
from tarry.state.store import Put, StoreError, StoreFull
from tarry.testing import Client


@contextlib.contextmanager
def broken(file):
    file.write_bytes(b"no database" * 500)
    yield SQLiteStore(file)


@contextlib.contextmanager
def locked(file):
    maker = SQLiteStore(file)
    maker.get("a").result()
    maker.close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield SQLiteStore(file, busy_timeout_s=0.01)


@contextlib.contextmanager
def full(file):
    store = SQLiteStore(file, max_bytes=100_000)
    for size in (10_000, 10):
        with pytest.raises(StoreFull):
            fill(store, size)
    yield store


def fill(store, size):
    for number in range(10_000):
        store.update([f"{size} {number}"], lambda _: [Put(bytes(size))]).result()


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture(params=[broken, locked, full], ids=lambda make: make.__name__)
def store(request, file):
    with request.param(file) as store:
        yield store
        store.close()


@pytest.fixture
def client(store):
    app = App(store=store)
    app.get("/ephemeral", inline=True)(lambda: woken(app.park(int)))
    app.get("/keyed", inline=True)(lambda: woken(app.park(int, key="k")))
    app.get("/durable", inline=True)(lambda: app.park(int, durable=True))
    app.get("/told")(lambda: app.park(int).url)

    @app.get("/shared")
    async def shared():
        parked = app.park(int, timeout=60)
        with pytest.raises(StoreError):
            await parked.shared()
        return woken(parked)

    @app.get("/awaited")
    async def awaited():
        return await app.park(int, durable=True)

    @app.post("/wake")
    async def wake():
        return await app.wake("k", 1)

    with Client(app, timeout_s=5) as client:
        yield client


def woken(parked):
    threading.Thread(target=parked.wake, args=[7]).start()
    return parked


@pytest.mark.parametrize("path", ["/durable", "/awaited", "/told"])
def test_what_has_to_be_stored_is_answered_503_and_the_log_names_the_file(
    client, file, caplog, path
):
    reply = client.get(path)

    assert reply.status == 503
    assert reply.headers["content-type"] == "application/problem+json"
    assert "retry-after" in reply.headers
    assert str(file) not in reply.body.decode()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert str(file) in errors[0].getMessage()
    assert "\n" not in errors[0].getMessage()


@pytest.mark.parametrize("path", ["/ephemeral", "/keyed", "/shared"])
def test_what_lives_in_this_process_goes_on(client, path):
    assert client.get(path).json() == 7


def test_a_wake_from_elsewhere_is_answered_503(client, file, caplog):
    assert client.post("/wake").status == 503
    assert any(str(file) in record.getMessage() for record in caplog.records)


def test_when_the_store_is_well_again_so_are_the_waits(file, stack):
    with locked(file) as store:
        stack.callback(store.close)
        app = App(store=store)
        app.get("/")(lambda: app.park(int, durable=True))
        client = stack.enter_context(Client(app, timeout_s=5))
        assert client.get("/").status == 503

    assert client.get("/", headers={"prefer": "respond-async"}).status == 202
