"""Jobs as seen from outside of the server: at a desk, and by `tarry jobs`."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from tarry import App
from tarry.client import AsyncDesk, Desk
from tarry.commands.cli import main
from tarry.jobs.job import Job
from tarry.testing import Client
from tarry.waiting.errors import WaitCancelled


@pytest.fixture
def store(tmp_path):
    return f"sqlite:{tmp_path / 'state.db'}"


@pytest.fixture
def held(store):
    """Two jobs of which one may run at once; the first tells how far it is, and lasts."""
    app = App(store=store)
    go, begun = threading.Event(), threading.Event()

    def work(job: Job, number: int) -> int:
        job.progress(3, 10, "counting\x1b[31m")
        begun.set()
        while not go.wait(0.01):
            job.check()
        return number

    app.job("/work", limit=1, group="one at a time")(work)
    with Client(app) as client:
        tickets = [
            client.post(f"/work?number={number}", headers={"prefer": "respond-async"}).json()
            for number in (1, 2)
        ]
        begun.wait(10)
        yield [each["ticket"] for each in tickets]
        go.set()


def test_a_desk_tells_what_runs_and_what_waits(held, store):
    with Desk(store) as desk:
        first, second = sorted(desk.jobs(), key=lambda row: row.position or 0)

    assert [first.ticket, second.ticket] == held
    assert (first.state, first.position, first.attempt) == ("working", None, 1)
    assert (second.state, second.position) == ("waiting", 1)
    assert {first.group, second.group} == {"one at a time"}
    assert first.job.endswith("work")


def test_a_coroutine_is_told_the_same(held, store):
    async def read():
        async with AsyncDesk(store) as desk:
            return await desk.jobs("waiting")

    (row,) = asyncio.run(read())
    assert row.ticket == held[1]


def test_a_desk_cancels_what_runs(held, store):
    with Desk(store) as desk:
        assert desk.cancel(held[0])
        with pytest.raises(WaitCancelled):
            desk.wait(held[0], timeout=10)


def test_the_command_shows_them_as_a_table(held, store, capsys):
    assert main(["jobs", "--store", store]) == 0

    shown = capsys.readouterr().out
    assert "ATTEMPT" in shown
    assert "waiting 1" in shown
    assert "working" in shown
    assert "\x1b" not in shown
    assert held[0] not in shown


def test_the_command_shows_them_as_json(held, store, capsys):
    assert main(["jobs", "--json", "--state", "waiting", "--store", store]) == 0

    (row,) = json.loads(capsys.readouterr().out)
    assert row["ticket"] == held[1]
    assert row["position"] == 1


def test_the_command_says_that_there_are_none(store, capsys):
    app = App(store=store)
    with Client(app):
        app.park(int, durable=True).share()

    assert main(["jobs", "--store", store]) == 0
    assert capsys.readouterr().out == "there are no jobs\n"


def text(job: Job) -> str:
    return "a text"


def raw(job: Job) -> bytes:
    return b"\0\1"


def file(job: Job) -> Path:
    path = job.folder / "a.txt"
    path.write_text("content")
    return path


def nothing(job: Job) -> None:
    return None


@pytest.mark.parametrize(("function", "value"), [(text, "a text"), (raw, b"\0\1"), (nothing, None)])
def test_a_desk_waits_for_results_of_all_kinds(store, function, value):
    app = App(store=store)
    app.job()(function)
    with Client(app):
        ticket = app.jobs.submit(function).ticket
        with Desk(store) as desk:
            assert desk.wait(ticket, timeout=10) == value


def test_a_desk_gets_the_path_of_a_file(store):
    app = App(store=store)
    app.job()(file)
    with Client(app):
        ticket = app.jobs.submit(file).ticket
        with Desk(store) as desk:
            assert desk.wait(ticket, timeout=10).read_text() == "content"
