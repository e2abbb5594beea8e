"""What quick_server promised of its workers: the rows on workers of its acceptance table.

The client is written from the description of the protocol.  It pauses between
two questions as quick_server's own test did, but the time of its pauses is
that of the jobs: nothing here takes as long as it says.
"""

from __future__ import annotations

import json
import threading

import pytest

from tarry import App, HttpError
from tarry.jobs.job import Job
from tarry.testing import JumpingClock
from tests.seeds.lanes import reply_to, served

PAUSE_S = 0.1
FOX = "1234567890 the quick brown fox jumps over the lazy dog"
CLOCK_STEP_S = 1.0


class JobTime:
    """The time that jobs take, which passes when a client pauses."""

    def __init__(self):
        self._changed = threading.Condition()
        self._now_s = 0.0
        self.clock = JumpingClock()

    def pause(self, seconds):
        """Have time pass."""
        with self._changed:
            self._now_s += seconds
            self._changed.notify_all()

    def take(self, seconds, job):
        """Called by a job: return after so long, unless it shall end before."""
        with self._changed:
            until_s = self._now_s + seconds
            while self._now_s < until_s:
                self.clock.advance(CLOCK_STEP_S)  # whoever has waited for an early end gives up
                self._changed.wait(0.01)
                job.check()


TIME = JobTime()


def uptime_worker(time: float, job: Job) -> dict[str, float]:
    TIME.take(time, job)
    return {"uptime": time}


def message(split: bool = False) -> str:
    return FOX


def failing(status: int) -> None:
    if status:
        raise HttpError(status, "that cannot be")
    raise RuntimeError("not for clients")


@pytest.fixture(scope="module")
def url():
    app = App(store="memory")
    app.clock = TIME.clock
    app.job("/api/uptime_worker", quick_worker=True)(uptime_worker)
    app.job("/api/message", quick_worker=True, max_chunk_characters=10)(message)
    app.job("/api/failing", quick_worker=True)(failing)
    app.link_worker_js("/js/worker.js", classic=True)
    with served(app) as url:
        yield url
        TIME.pause(60)  # nobody stops the job of a client that asks for another one


def sent(url, path, message):
    """The reply to a message, which must be a good one."""
    body = json.dumps(message).encode()
    reply = reply_to(url, path, "content-type: application/json", method="POST", body=body)
    assert reply.status == 200
    assert reply.get("content-type") == "application/json"
    return json.loads(reply.body)


def rebuilt(url, path, keys):
    """A result that came in pieces."""
    pieces = [sent(url, path, {"action": "cargo", "token": key}) for key in keys]
    assert [each["token"] for each in pieces] == keys
    return "".join(each["result"] for each in pieces)


def run(url, path, payload, *, max_tries=None, token=None, as_number=False):
    """Work through a job: what it came to, and the parsed result or `None`.

    After `max_tries` questions the client gives up; with `token` it asks for
    another job than its own.
    """
    told = sent(url, path, {"action": "start", "payload": payload})
    tries = 1
    while not told["done"]:
        if not told["continue"]:
            return "cancel", None
        TIME.pause(PAUSE_S)
        asked = told["token"] if token is None else token
        asked = int(asked) if as_number else asked
        action = "get" if max_tries is None or tries <= max_tries else "stop"
        told = sent(url, path, {"action": action, "token": asked})
        assert told["token"] == asked
        tries += 1
    if told["result"] is None:
        return "cancel", None
    text = rebuilt(url, path, told["result"]) if told["continue"] else told["result"]
    return "normal", json.loads(text)


@pytest.mark.parametrize("as_number", [False, True])
def test_a_worker_is_asked_until_it_is_done(url, as_number):
    outcome = run(url, "/api/uptime_worker", {"time": 1}, as_number=as_number)

    assert outcome == ("normal", {"uptime": 1})


def test_a_fast_worker_is_done_at_once(url):
    assert run(url, "/api/uptime_worker", {"time": 0}, max_tries=1) == ("normal", {"uptime": 0})


def test_who_gives_up_stops_the_worker(url):
    assert run(url, "/api/uptime_worker", {"time": 1}, max_tries=1) == ("cancel", None)


def test_a_wrong_token_is_told_that_there_is_nothing(url):
    assert run(url, "/api/uptime_worker", {"time": 1}, token=0) == ("cancel", None)


@pytest.mark.parametrize("split", [False, True])
def test_a_long_result_comes_in_pieces(url, split):
    assert run(url, "/api/message", {"split": split}) == ("normal", FOX)


def test_short_and_long_results_come_by_turns(tmp_path):
    app = App(store=f"sqlite:{tmp_path / 'state.db'}")
    app.job("/whole", quick_worker=True)(message)
    app.job("/split", quick_worker=True, max_chunk_characters=10)(message)
    with served(app) as url:
        for path in ("/whole", "/split", "/whole"):
            assert run(url, path, {}) == ("normal", FOX)


@pytest.mark.parametrize(("status", "answered"), [(0, 500), (409, 409)])
def test_the_status_of_a_failure_is_that_of_the_reply(url, status, answered):
    body = json.dumps({"action": "start", "payload": {"status": status}}).encode()
    reply = reply_to(
        url, "/api/failing", "content-type: application/json", method="POST", body=body
    )

    assert reply.status == answered
    assert reply.get("content-type") == "application/problem+json"
    assert b"not for clients" not in reply.body


def test_the_script_for_browsers_is_there(url):
    reply = reply_to(url, "/js/worker.js")

    assert reply.status == 200
    assert dict(reply.headers)["content-type"].startswith("text/javascript")
    assert b"Worker" in reply.body
