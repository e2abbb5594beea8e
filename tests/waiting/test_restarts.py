from __future__ import annotations

import asyncio
import threading

import pytest

from tarry import App
from tarry.client import Desk
from tarry.state.memory import MemoryStore
from tarry.testing import AsyncClient, Client


def test_a_wait_that_is_settled_before_the_start_leaves_others_answerable():
    app = App(store="memory")
    early = app.park(int)
    early.wake(1)

    @app.get("/")
    async def wait():
        parked = app.park(int)
        asyncio.get_running_loop().call_soon(parked.wake, 2)
        return await parked

    with Client(app, timeout_s=2) as client:
        assert client.get("/").json() == 2


def test_a_wait_settled_before_the_start_is_answered_after_it():
    app = App(store="memory")
    early = app.park(int)
    early.wake(1)
    app.get("/")(lambda: early)

    with Client(app, timeout_s=2) as client:
        assert client.get("/").json() == 1


def test_the_store_is_opened_at_first_use_only(tmp_path):
    file = tmp_path / "state.db"
    app = App(store=f"sqlite:{file}")
    app.get("/")(lambda: app.park(int, timeout=0.01, default=1))

    with Client(app) as client:
        assert client.get("/").json() == 1

    assert not file.exists()


def test_an_app_that_is_started_again_goes_on_with_its_file(tmp_path):
    app = App(store=f"sqlite:{tmp_path / 'state.db'}")

    @app.get("/park", inline=True)
    def park():
        return app.park(int, key="k", timeout=60, durable=True)

    @app.post("/wake")
    async def wake():
        return await app.wake("k", 5)

    with Client(app) as client:
        assert client.get("/park", headers={"prefer": "respond-async"}).status == 202
    with Client(app) as client:
        assert client.post("/wake").json() is True
        assert client.post("/wake").json() is False


def test_a_store_in_memory_begins_anew_with_each_start():
    app = App(store="memory")

    @app.post("/wake")
    async def wake():
        return await app.wake("k", 5)

    for _ in range(2):
        with Client(app) as client:
            assert client.post("/wake").json() is True
            assert client.post("/wake").json() is False


def test_a_store_that_was_given_is_not_closed():
    store = MemoryStore()
    app = App(store=store)

    with Client(app):
        app.wake("k", 5)

    assert store.get("k/k").result()[0] is not None


def test_a_store_that_cannot_be_is_refused_at_once():
    with pytest.raises(ValueError, match='"sqlite:PATH"'):
        App(store="postgres")


def test_what_is_parked_after_a_start_hears_of_what_others_write(tmp_path):
    """Also when the last stop came amid news."""
    address = f"sqlite:{tmp_path / 'state.db'}"
    app = App(store=address)

    @app.get("/{number}")
    async def wait(number: int):
        parked = app.park(int, key=f"k{number}", timeout=60)
        await parked.shared()
        wakes.append(threading.Thread(target=Desk(address).wake, args=[f"k{number}", number]))
        wakes[-1].start()
        return await parked

    wakes: list[threading.Thread] = []
    for number in range(3):
        with Client(app, timeout_s=5) as client:
            assert client.get(f"/{number}").json() == number
    for each in wakes:
        each.join()


def test_a_task_that_is_cancelled_while_a_wait_is_stored_leaves_the_wait_whole(tmp_path, caplog):
    app = App(store=f"sqlite:{tmp_path / 'state.db'}")

    async def main():
        async with AsyncClient(app):
            wait = app.park(int)
            storing = asyncio.ensure_future(wait.shared())
            await asyncio.sleep(0)
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
            await wait.shared()
            return await app.wake(wait.token, 1)

    assert asyncio.run(main()) is True
    assert not caplog.records
