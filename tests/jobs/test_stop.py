"""A server that is told to end lets short jobs end, and leaves nothing behind but the long ones."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from benchmarks.processes import process_tree
from tarry.jobs.engine import STOP_S
from tests.jobs.runners.test_processes import gone_in_time
from tests.jobs.servers import TEMPORARY, crash_server
from tests.wire import Wire

LANES = ["thread", "process", "task"]


@contextlib.contextmanager
def held(server, path):
    """A client that waits on its connection for a job."""
    with Wire(server.url) as wire:
        wire.send(f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n".encode())
        yield wire


def handed_over(wire):
    """The ticket that a client gets in the place of its answer."""
    reply = wire.read()
    assert reply.status == 202
    assert wire.is_closed()
    return reply.get("location")


def left_in(folder):
    """The files that there are, and whatever there is for a short time."""
    temporary = folder / TEMPORARY
    return [path.name for path in folder.rglob("*") if path.is_file() or temporary in path.parents]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Tickets of a server that was told to end, what was left of it, and the server that came next.

    One job was able to end, and another one still waited for its turn then.
    """
    folder = tmp_path_factory.mktemp("stop")
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    with crash_server(folder) as server, held(server, f"/reads?fifo={fifo}") as reading:
        server.until_working(1)
        with held(server, "/add?a=2&b=3") as adding:
            server.until_held(2)
            server.process.send_signal(signal.SIGTERM)
            tickets = {"reads": handed_over(reading), "add": handed_over(adding)}
        fifo.write_text("the end")
        status = server.process.wait(STOP_S)
        left = left_in(folder)
    with crash_server(folder) as server:
        yield server, tickets, status, left


def test_a_job_that_ends_in_time_has_its_result_in_the_next_server(stopped):
    server, tickets, *_ = stopped

    assert server.result(tickets["reads"]).text == "the end"


def test_a_job_that_waited_for_its_turn_runs_in_the_next_server(stopped):
    server, tickets, *_ = stopped

    assert server.result(tickets["add"]).json() == 5


def test_a_stop_leaves_the_store_and_nothing_else(stopped):
    *_, status, left = stopped

    assert status == 0
    assert sorted(left) == ["log.txt", "state.db"]


@pytest.fixture(scope="module")
def hurried(tmp_path_factory):
    """As `stopped`, for jobs that do not end, and a server that was told twice."""
    folder = tmp_path_factory.mktemp("hurry")
    with crash_server(folder) as server:
        names = [f"{lane}-{how}" for lane in LANES for how in ("once", "again")]
        tickets = {name: server.running(f"/{name}")[0] for name in names}
        with held(server, "/deaf") as waiting:
            server.until_working(len(names) + 1)
            processes = process_tree(server.process.pid)
            server.process.send_signal(signal.SIGTERM)
            tickets["deaf"] = handed_over(waiting)
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(STOP_S - 1.0)  # which one signal would have taken
        left = left_in(folder)
    with crash_server(folder) as server:
        server.pass_time(2)
        yield server, tickets, status, left, processes


@pytest.mark.parametrize("lane", LANES)
def test_jobs_that_were_interrupted_run_again_if_they_may(hurried, lane):
    server, tickets, *_ = hurried

    assert server.result(tickets[f"{lane}-again"]).json() == {"attempt": 2}
    assert server.result(tickets[f"{lane}-once"]).status == 500


def test_a_job_that_cannot_be_interrupted_is_tried_again_too(hurried):
    server, tickets, *_ = hurried
    document = server.until(tickets["deaf"], lambda document: document["progress"])

    assert (document["state"], document["attempt"]) == ("working", 2)


def test_a_hurried_stop_leaves_the_store_and_nothing_else(hurried):
    _, _, status, left, processes = hurried

    assert status == 0
    assert sorted(left) == ["log.txt", "state.db"]
    assert len(processes) > 3
    assert gone_in_time(*processes)
