"""No job is lost, and none runs twice unasked: workers and servers are killed amid their jobs."""

from __future__ import annotations

import os
import signal

import pytest

from benchmarks.processes import process_tree
from tarry.client import Desk
from tests.jobs.runners.test_processes import gone_in_time
from tests.jobs.servers import crash_server
from tests.waiting.test_stop import connected
from tests.wire import Wire

LANES = ["thread", "process", "task"]

SUMS = 5
"""Small jobs that wait for their turn when the server is killed."""

LOST = 12
"""Jobs that a server has to see to when another one was killed."""

SWEEP_S = 11
"""Longer than a server takes to look what others have left."""

UPLOAD = (
    b"--b\r\n"
    b'content-disposition: form-data; name="file"; filename="poem.txt"\r\n'
    b"content-type: text/plain\r\n\r\n"
    b"roses are red\r\n"
    b"--b--\r\n"
)

# ---- the process of a job is killed ------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with crash_server(tmp_path_factory.mktemp("worker")) as server:
        yield server


def test_a_killed_process_fails_its_job_with_the_signal_and_the_next_job_runs(server):
    ticket, pid = server.running("/process-once")
    waiting = server.begin("/process-once")
    os.kill(int(pid), signal.SIGKILL)

    reply = server.result(ticket)

    assert reply.status == 500
    assert reply.json()["detail"] == "the process of this job was ended by SIGKILL"
    document = server.until(waiting, lambda document: document["progress"])
    assert document["progress"]["text"] != pid
    server.client.delete(waiting)
    assert server.result(waiting).status == 410


def test_a_killed_process_is_tried_again_as_often_as_the_job_may_be(server):
    ticket, pid = server.running("/process-again")
    os.kill(int(pid), signal.SIGKILL)
    document = server.until(ticket, lambda document: document["attempt"] == 2)
    server.pass_time(2)

    assert document["state"] in ("waiting", "working")
    assert server.result(ticket).json() == {"attempt": 2}


# ---- the server is killed ----------------------------------------------------------------


def asked(port, key):
    """A client that waits for a sum, and may ask again."""
    client = connected(port)
    head = f"POST /add?a=20&b=3 HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\n"
    client.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
    return client


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """The tickets of jobs of a server that was killed amid them, and the server that came next."""
    folder = tmp_path_factory.mktemp("server")
    with crash_server(folder) as server:
        tickets = {"file": server.begin("/file")}
        assert server.result(tickets["file"]).status == 200
        for path in (f"{lane}-{how}" for lane in LANES for how in ("once", "again")):
            tickets[path], _ = server.running(f"/{path}")
        tickets["deaf"], _ = server.running("/deaf")
        assert server.client.delete(tickets["deaf"]).status == 202
        tickets["first"], _ = server.running("/first")
        for number in range(SUMS):
            tickets[f"sum {number}"] = server.begin(f"/add?a={number}&b=1")
        tickets["upload"] = server.begin(
            "/upload", data=UPLOAD, headers={"content-type": "multipart/form-data; boundary=b"}
        )
        tickets["stopped"] = server.begin("/add?a=1&b=1")
        assert server.client.delete(tickets["stopped"]).status == 200
        with asked(server.port, "again"), Desk(server.store) as desk:
            while len(list(desk.waits("waiting"))) < SUMS + 2:
                """The one that may ask again has not arrived yet."""
            left_behind = process_tree(server.process.pid)
            server.kill()
    with crash_server(folder) as server:
        server.pass_time(2)
        yield server, tickets, left_behind


def test_jobs_that_waited_for_their_turn_run_in_the_next_server(crashed):
    server, tickets, _ = crashed

    for number in range(SUMS):
        assert server.result(tickets[f"sum {number}"]).json() == number + 1


def test_what_was_uploaded_for_a_job_survives(crashed):
    server, tickets, _ = crashed

    assert server.result(tickets["upload"]).text == "poem.txt: roses are red"


@pytest.mark.parametrize("lane", LANES)
def test_a_job_with_retries_runs_again_in_the_next_server(crashed, lane):
    server, tickets, _ = crashed

    assert server.result(tickets[f"{lane}-again"]).json() == {"attempt": 2}


@pytest.mark.parametrize("name", ["thread-once", "process-once", "task-once", "first"])
def test_a_job_without_retries_fails_as_interrupted(crashed, name):
    server, tickets, _ = crashed
    reply = server.result(tickets[name])

    assert (reply.status, reply.json()["state"]) == (500, "failed")
    assert "interrupted" in reply.json()["detail"]


def test_a_job_that_was_to_end_is_cancelled_and_not_tried_again(crashed):
    server, tickets, _ = crashed

    assert server.result(tickets["deaf"]).status == 410
    assert server.until(tickets["deaf"], lambda _: True)["attempt"] == 1


def test_a_job_that_was_cancelled_while_it_waited_stays_so(crashed):
    server, tickets, _ = crashed

    assert server.result(tickets["stopped"]).status == 410


def test_a_client_that_asks_again_with_its_key_gets_the_result_of_its_job(crashed):
    server, *_ = crashed
    headers = {"idempotency-key": "again"}

    reply = server.client.post("/add?a=20&b=3", headers=headers)

    assert (reply.status, reply.json()) == (200, 23)


def test_files_that_a_job_made_are_served_in_parts_by_the_next_server(crashed):
    server, tickets, _ = crashed

    reply = server.result(tickets["file"], range="bytes=2-4")

    assert (reply.status, reply.body) == (206, b"234")
    assert reply.headers["content-range"] == "bytes 2-4/10"


def test_the_processes_of_a_killed_server_are_gone(crashed):
    *_, left_behind = crashed

    assert len(left_behind) > 3  # the server, two that run jobs, and the one that they come from
    assert gone_in_time(*left_behind)


def test_a_server_beside_takes_over_what_a_killed_one_has_left(tmp_path):
    # What runs when the other one starts cannot run there.
    with crash_server(tmp_path) as one:
        again, _ = one.running("/thread-again")
        first, _ = one.running("/first")
        with crash_server(tmp_path) as other:
            queued = one.begin("/add?a=1&b=2")
            other.pass_time(SWEEP_S)  # to look, and find that all is well
            assert other.until(again, lambda _: True)["attempt"] == 1

            one.kill()
            other.pass_time(SWEEP_S)
            other.until(again, lambda document: document["attempt"] == 2)
            other.pass_time(2)

            assert other.result(again).json() == {"attempt": 2}
            assert other.result(first).status == 500
            assert other.result(queued).json() == 3


def test_who_waits_at_the_server_that_takes_over_hears_of_it_at_once(tmp_path):
    with crash_server(tmp_path) as one:
        *_, (ticket, _) = [one.running("/thread-once") for _ in range(LOST)]
        with crash_server(tmp_path) as other, Wire(other.url) as waiting:
            waiting.send(f"GET {ticket}/result HTTP/1.1\r\nhost: a\r\n".encode())
            waiting.send(b"prefer: wait=20\r\n\r\n")
            other.until_held(1)
            one.kill()
            other.pass_time(SWEEP_S)
            reply = waiting.read()

    assert reply.status == 500
    assert b"interrupted" in reply.body
