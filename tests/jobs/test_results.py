"""Jobs with a key: run once for those who ask for the same, and kept for who asks later."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tarry import App
from tarry.jobs.job import Job
from tarry.testing import Client

CLIENTS = 200


class Counted:
    """A job that counts its runs, and lasts until it is let go."""

    def __init__(self, app, *, key=True, **options):
        self.runs = 0
        self.go = threading.Event()

        def render(job: Job, width: int, name: str = "") -> dict[str, int]:
            self.runs += 1
            while not self.go.wait(0.01):
                job.check()
            return {"width": width, "runs": self.runs}

        self.function = app.job("/render", key=key, **options)(render)

    def let_go(self):
        self.go.set()
        return self


def make_app(folder, **options):
    return App(store=f"sqlite:{folder}/state.db", cache_folder=str(folder / "cache"), **options)


@pytest.fixture
def app(tmp_path):
    return make_app(tmp_path)


def test_equal_requests_at_the_same_time_run_it_once(app):
    job = Counted(app)
    with Client(app) as client:
        asked = [client.parked("POST", "/render?width=3") for _ in range(CLIENTS)]
        job.go.set()
        answers = [each.reply() for each in asked]

    assert [answer.json() for answer in answers] == [{"width": 3, "runs": 1}] * CLIENTS
    assert job.runs == 1


def test_who_asks_later_gets_the_same_without_a_run(app):
    job = Counted(app).let_go()
    with Client(app) as client:
        answers = [client.post("/render?width=3") for _ in range(3)]

    assert [answer.json() for answer in answers] == [{"width": 3, "runs": 1}] * 3
    assert answers[1].headers["content-type"] == "application/json"
    assert job.runs == 1


def test_other_arguments_are_another_job(app):
    job = Counted(app).let_go()
    with Client(app) as client:
        for width in (1, 2, 1):
            assert client.post(f"/render?width={width}").json()["width"] == width

    assert job.runs == 2


def test_a_key_of_its_own_decides_what_is_equal(app):
    job = Counted(app, key=lambda width: width % 10).let_go()
    with Client(app) as client:
        assert client.post("/render?width=3&name=a").json()["width"] == 3
        assert client.post("/render?width=13&name=b").json()["width"] == 3

    assert job.runs == 1


def test_a_result_is_kept_over_a_restart_and_until_it_is_cleared(tmp_path):
    runs = []
    for _ in range(2):
        app = make_app(tmp_path)
        runs.append(Counted(app).let_go())
        with Client(app) as client:
            client.post("/render?width=3")
    assert [job.runs for job in runs] == [1, 0]

    (section,) = app.cache.sections()
    app.cache.clear(section.name)
    with Client(app) as client:
        client.post("/render?width=3")
    assert runs[1].runs == 1


def test_a_result_is_kept_no_longer_than_it_is_to_be(app):
    from tarry.testing import JumpingClock

    clock = JumpingClock()
    job = Counted(app, keep="10m").let_go()
    with Client(app, clock=clock) as client:
        client.post("/render?width=3")
        client.advance("9m")
        client.post("/render?width=3")
        assert job.runs == 1
        client.advance("2m")
        client.post("/render?width=3")
    assert job.runs == 2


def test_a_failure_is_not_kept(app):
    runs = []

    def fail(a: int) -> None:
        runs.append(a)
        raise ValueError(a)

    app.job("/fail", key=True)(fail)
    with Client(app) as client:
        assert [client.post("/fail?a=1").status for _ in range(2)] == [500, 500]
    assert runs == [1, 1]


def test_files_hold_as_long_as_they_are_there_and_unchanged(app):
    runs = []

    def write(job: Job, text: str) -> Path:
        runs.append(text)
        file = job.folder / "result.txt"
        file.write_text(text)
        return file

    app.job("/write", key=True)(write)
    with Client(app) as client:
        assert [client.post("/write?text=a").text for _ in range(2)] == ["a", "a"]
        assert runs == ["a"]
        for file in app.jobs.folder.glob("*/result.txt"):
            file.write_text("changed")
        assert client.post("/write?text=a").text == "a"
    assert runs == ["a", "a"]


def test_the_content_of_a_file_is_part_of_a_key(app, tmp_path):
    runs = []
    source = tmp_path / "source.csv"

    def read(name: str) -> int:
        runs.append(name)
        return len(source.read_text())

    app.job("/read", key=lambda name: [name, source])(read)
    source.write_text("one")
    with Client(app) as client:
        assert [client.post("/read?name=x").json() for _ in range(2)] == [3, 3]
        source.write_text("three")
        assert client.post("/read?name=x").json() == 5
    assert runs == ["x", "x"]


def test_a_ticket_of_a_known_result_can_be_asked_for(app):
    job = Counted(app).let_go()
    with Client(app) as client:
        client.post("/render?width=3")
        wait = app.jobs.submit(job.function, 3)
        assert wait.state == "done"
        reply = client.get(f"/-/t/{wait.ticket}/result")

    assert reply.json() == {"width": 3, "runs": 1}
    assert reply.headers["content-type"] == "application/json"


def test_one_of_two_who_cancels_leaves_it_to_the_other(app):
    job = Counted(app)
    with Client(app) as client:
        asked = {"prefer": "respond-async"}
        first = client.post("/render?width=3", headers=asked)
        second = client.post("/render?width=3", headers=asked)
        assert first.headers["location"] == second.headers["location"]

        document = client.delete(first.headers["location"]).json()
        assert (document["state"], document["cancelling"]) == ("working", False)
        document = client.delete(second.headers["location"]).json()
        assert document["cancelling"] or document["state"] == "cancelled"
    assert not job.go.is_set()
