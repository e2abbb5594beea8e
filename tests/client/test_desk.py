from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from tarry import App
from tarry.client import AsyncDesk, Desk, UnknownWait
from tarry.state.memory import MemoryStore
from tarry.state.opening import open_store
from tarry.state.store import StoreMissing
from tarry.testing import Client, IncompleteAnswer, JumpingClock, SocketClient
from tarry.waiting.errors import WaitCancelled, WaitExpired, WaitFailed
from tarry.waiting.values import BadValue

TIMEOUT_S = 10


class Receipt(msgspec.Struct):
    amount: int


@pytest.fixture
def address(tmp_path):
    return f"sqlite:{tmp_path / 'state.db'}"


@pytest.fixture
def app(address):
    """A server of the file that is there already."""
    app = App(store=address)
    with Client(app):
        parked(app)
        yield app


def parked(app, **options):
    """A wait that others can reach."""
    wait = app.park(Receipt, **{"timeout": TIMEOUT_S, "durable": True, **options})
    wait.share()
    return wait


@pytest.fixture
def desk(app, address):
    with Desk(address) as desk:
        yield desk


# ---- settling --------------------------------------------------------------------------------


def test_the_first_of_several_wakes_wins(app, desk):
    wait = parked(app)

    assert desk.wake(wait.token, {"amount": 1}) is True
    assert desk.wake(wait.token, {"amount": 2}) is False
    assert desk.wait(wait.ticket) == {"amount": 1}


def test_a_value_is_whatever_becomes_json(app, desk):
    wait = parked(app)

    assert desk.wake(wait.token, Receipt(3)) is True
    assert desk.wait(wait.ticket) == {"amount": 3}


def test_of_many_threads_one_is_the_first(app, desk):
    wait = parked(app)
    with ThreadPoolExecutor(8) as threads:
        firsts = list(threads.map(lambda n: desk.wake(wait.token, {"amount": n}), range(40)))

    assert firsts.count(True) == 1
    assert desk.wait(wait.ticket) == {"amount": firsts.index(True)}


@pytest.mark.parametrize("value", [1, {}, {"amount": "1"}, None, object()])
def test_a_value_that_does_not_fit_is_an_error_and_the_wait_goes_on(app, desk, value):
    wait = parked(app)

    with pytest.raises(BadValue):
        desk.wake(wait.token, value)

    assert desk.wake(wait.token, {"amount": 1}) is True


def test_a_ticket_does_not_wake(app, desk):
    wait = parked(app)

    assert desk.wake(wait.ticket, {"amount": 1}) is False
    assert desk.fail(wait.ticket) is False
    assert desk.find(wait.ticket).state == "waiting"


def test_a_wake_that_comes_early_is_kept(app, desk):
    assert desk.wake("later", {"amount": 1}) is True
    assert desk.wake("later", {"amount": 2}) is False

    wait = parked(app, key="later")

    assert desk.wait(wait.ticket) == {"amount": 1}


def test_a_failure_has_a_status_and_a_sentence(app, desk):
    wait = parked(app)

    assert desk.fail(wait.token, "no money", 402) is True

    with pytest.raises(WaitFailed, match="no money") as caught:
        desk.wait(wait.ticket)
    assert caught.value.status == 402


@pytest.mark.parametrize("name", ["token", "ticket", "key"])
def test_a_cancel_takes_any_name_of_the_wait(app, desk, name):
    wait = parked(app, key="mine")

    assert desk.cancel("mine" if name == "key" else getattr(wait, name)) is True
    assert desk.cancel(wait.token) is False

    with pytest.raises(WaitCancelled):
        desk.wait(wait.ticket)


def test_progress_is_told(app, desk):
    wait = parked(app, key="slow")

    assert desk.progress("slow", 1, 4, "drawing") is True

    row = desk.find(wait.ticket)
    assert row.state == "working"
    assert (row.progress.at, row.progress.of, row.progress.text) == (1, 4, "drawing")
    desk.cancel("slow")
    assert desk.progress("slow", 2) is False
    assert desk.progress("nobody", 2) is False


# ---- reading ---------------------------------------------------------------------------------


def test_waiting_ends_with_the_wake_of_another_thread(app, desk):
    wait = parked(app)
    with ThreadPoolExecutor() as threads:
        value = threads.submit(desk.wait, wait.ticket, TIMEOUT_S)
        desk.wake(wait.token, {"amount": 1})

        assert value.result(TIMEOUT_S) == {"amount": 1}


def test_waiting_ends_with_a_wake_in_the_server(app, desk):
    wait = parked(app, key="k")
    with ThreadPoolExecutor() as threads:
        value = threads.submit(desk.wait, "k", f"{TIMEOUT_S}s")
        wait.wake(Receipt(5))

        assert value.result(TIMEOUT_S) == {"amount": 5}


def test_waiting_is_given_up_in_time(app, desk):
    wait = parked(app)

    with pytest.raises(TimeoutError, match="in the time given"):
        desk.wait(wait.ticket, 0)


@pytest.mark.parametrize("name", ["nobody", "tk_" + "a" * 34])
def test_an_unknown_wait_is_an_error(desk, name):
    with pytest.raises(UnknownWait, match=name):
        desk.wait(name)
    assert desk.find(name) is None
    assert desk.cancel(name) is False


def test_a_wait_whose_server_is_gone_expires_nevertheless(app, desk, address):
    wait = parked(app)
    clock = JumpingClock(wall_s=wait.record.deadline_s + 1)

    with Desk(address, clock=clock) as later, pytest.raises(WaitExpired):
        later.wait(wait.ticket)


def test_waits_are_listed(app, desk):
    before = len(desk.waits())
    first, second = parked(app, key="a"), parked(app)
    desk.cancel(second.token)

    rows = {row.ticket: row for row in desk.waits()}

    assert len(rows) == before + 2
    assert rows[first.ticket].key == "a"
    assert 0 <= rows[first.ticket].age_s < TIMEOUT_S
    assert 0 < rows[first.ticket].left_s <= TIMEOUT_S
    assert rows[first.ticket].durable
    assert [row.ticket for row in desk.waits("cancelled")] == [second.ticket]


def test_more_waits_than_fit_a_page_are_listed_once_each():
    store = MemoryStore()
    app = App(store=store)
    tickets = {app.park(int, durable=True).ticket for _ in range(2001)}

    rows = Desk(store).waits()

    assert len(rows) == 2001
    assert {row.ticket for row in rows} == tickets


# ---- topics ----------------------------------------------------------------------------------


def test_a_message_is_published_to_a_topic(address):
    store = open_store(address)
    with Desk(store) as desk:
        assert desk.publish("news", {"a": 1}) == 1
        assert desk.publish("news", "b", keep=1, keep_for="1h") == 2
        with pytest.raises(BadValue):
            desk.publish("news", object())

    assert store.read("t/news", 0).result().items == [(2, b'"b"')]
    assert asyncio.run(AsyncDesk(store).publish("news", 3)) == 3
    store.close()


# ---- stores ----------------------------------------------------------------------------------


def test_a_store_that_is_not_there_is_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StoreMissing, match=re.escape(str(tmp_path / ".tarry/state.db"))):
        Desk()
    with pytest.raises(StoreMissing, match=r"elsewhere\.db"):
        Desk("sqlite:elsewhere.db")

    assert not list(tmp_path.iterdir())


def test_the_store_is_the_one_that_an_app_makes_in_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = App()
    with Client(app):
        app.park(Receipt, key="k", durable=True).share()

        with Desk() as desk:
            assert desk.wake("k", {"amount": 1}) is True


def test_a_store_that_was_given_is_not_closed(address):
    store = open_store(address)
    with Desk(store) as desk:
        desk.wake("k", 1)

    assert store.get("k/k").result()[0] is not None
    store.close()


def test_another_kind_of_store_is_refused():
    with pytest.raises(ValueError, match="is no store"):
        Desk("redis://")


# ---- coroutines ------------------------------------------------------------------------------


def test_coroutines_have_the_same(app, address):
    first, second, third = parked(app), parked(app), parked(app, key="k")

    async def main():
        async with AsyncDesk(address) as desk:
            waiting = asyncio.ensure_future(desk.wait(first.ticket, TIMEOUT_S))
            await asyncio.sleep(0)
            assert await desk.progress(first.token, 1, 2) is True
            assert (await desk.find(first.token)).state == "working"
            assert await desk.wake(first.token, {"amount": 1}) is True
            assert await waiting == {"amount": 1}
            assert await desk.fail(second.token, "no", 400) is True
            assert await desk.cancel("k") is True
            assert {third.ticket} == {row.ticket for row in await desk.waits("cancelled")}
            with pytest.raises(WaitFailed):
                await desk.wait(second.ticket)
            with pytest.raises(BadValue):
                await desk.wake(parked(app).token, "one")
            with pytest.raises(TimeoutError):
                await desk.wait(parked(app).ticket, 0)

    asyncio.run(main())


def test_a_coroutine_hears_of_what_another_process_writes(app, address):
    wait = parked(app)

    async def main():
        async with AsyncDesk(address) as desk:
            waiting = asyncio.ensure_future(desk.wait(wait.ticket, TIMEOUT_S))
            await asyncio.sleep(0)
            threading.Thread(target=wait.wake, args=[Receipt(2)]).start()
            return await waiting

    assert asyncio.run(main()) == {"amount": 2}


# ---- two processes ---------------------------------------------------------------------------

SERVER = """
    import sys
    from tarry import App

    app = App(store=sys.argv[1])

    @app.get("/{key}")
    async def answer(key: str):
        wait = app.park(int, key=key, timeout=30)
        await wait.shared()
        print("parked", flush=True)
        return {"value": await wait}

    with app.start() as server:
        print(server.url, flush=True)
        input()
"""


@contextlib.contextmanager
def asked(address):
    """A server in a process of its own, and the reply of a request that waits there."""
    script = [sys.executable, "-c", textwrap.dedent(SERVER), address]
    with (
        subprocess.Popen(
            script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
        ThreadPoolExecutor() as threads,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)
        client = stack.enter_context(SocketClient(process.stdout.readline().strip()))
        reply = threads.submit(client.get, "/k")
        assert process.stdout.readline() == "parked\n"
        yield process, reply


def test_a_script_answers_a_request_of_a_server(address):
    with asked(address) as (_, reply), Desk(address) as desk:
        with pytest.raises(BadValue):
            desk.wake("k", "seven")
        assert desk.wake("k", 7) is True
        assert desk.wake("k", 8) is False
        assert reply.result(TIMEOUT_S).json() == {"value": 7}


def test_what_waited_in_a_server_that_was_killed_is_not_woken(address):
    with asked(address) as (process, reply), Desk(address) as desk:
        process.kill()
        process.wait()
        assert desk.wake("k", 7) is False
        assert desk.find("k").state == "cancelled"
        with pytest.raises(IncompleteAnswer):
            reply.result(TIMEOUT_S)
