"""The folders of jobs: there as long as the job is known, and gone with it."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from pathlib import Path

import pytest

from tarry import App, Upload
from tarry.jobs.folders import FRESH_S, Folders
from tarry.jobs.job import Job
from tarry.jobs.jobs import CLEARING_S
from tarry.state.memory import MemoryStore
from tarry.state.store import StoreBusy
from tarry.testing import JumpingClock
from tarry.waiting.futures import failed

UPLOAD = (
    b"--b\r\n"
    b'content-disposition: form-data; name="file"; filename="poem.txt"\r\n\r\n'
    b"roses\r\n"
    b"--b--\r\n"
)
FORM = {"content-type": "multipart/form-data; boundary=b"}

TURNS = 20_000
"""Requests after which what was begun in a thread has long been done."""


def app_with_files(folder, store):
    app = App(store=store, cache_folder=str(folder / "cache"))

    @app.job("/file", keep="1h")
    def file(job: Job) -> Path:
        path = job.folder / "result.txt"
        path.write_text(f"of {job.id}")
        return path

    @app.job("/lasting", keep="30d")
    def lasting(job: Job) -> Path:
        return file(job)

    @app.job("/upload", key=lambda: "same")
    def upload(file: Upload) -> str:
        return file.read().decode()

    @app.job("/names")
    def names(file: Upload, job: Job) -> list[str]:
        file.save(job.folder / "file")
        (job.folder / "file").write_text("tulips")
        return [file.read().decode(), *(each.name for each in job.folder.glob("[!.]*"))]

    return app


def grown_old(*folders):
    """Have folders look as if nobody had written there for some time."""
    long_ago_s = time.time() - FRESH_S - 1
    for folder in folders:
        os.utime(folder, (long_ago_s, long_ago_s))


def until(client, is_so):
    for _ in range(TURNS):
        if is_so():
            return
        client.get("/")
    pytest.fail("it did not happen")


@pytest.fixture
def client(tmp_path):
    app = app_with_files(tmp_path, f"sqlite:{tmp_path / 'state.db'}")
    with app.testing(clock=JumpingClock(wall_s=time.time())) as client:
        yield client


def clear(client):
    """Have the records forgotten whose time is over, then the folders."""
    client.advance(CLEARING_S)
    client.advance(CLEARING_S)


def test_the_folder_of_a_forgotten_job_is_removed_and_others_stay(client, tmp_path):
    jobs = tmp_path / "jobs"
    assert client.post("/lasting").status == 200
    (lasting,) = jobs.iterdir()
    assert client.post("/file").status == 200
    (short,) = set(jobs.iterdir()) - {lasting}
    grown_old(lasting, short)
    client.advance("59m")
    assert short.exists()

    client.advance("2m")
    clear(client)

    until(client, lambda: not short.exists())
    assert (lasting / "result.txt").read_text() == f"of {lasting.name}"


def test_a_folder_that_was_just_made_stays_though_no_job_is_known_yet(client, tmp_path):
    young, old = tmp_path / "jobs" / "young", tmp_path / "jobs" / "old"
    for folder in (young, old):
        folder.mkdir(parents=True)
    grown_old(old)

    clear(client)

    until(client, lambda: not old.exists())
    assert young.exists()


def test_what_was_uploaded_for_a_job_that_is_joined_or_known_goes_at_once(client, tmp_path):
    for _ in range(2):
        assert client.post("/upload", data=UPLOAD, headers=FORM).text == "roses"

    until(client, lambda: len(list((tmp_path / "jobs").iterdir())) == 1)


def test_folders_of_a_store_in_memory_end_with_the_application(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with app_with_files(tmp_path, "memory").testing() as client:
        reply = client.post("/file")
        assert reply.text.startswith("of ")
        assert any(tmp_path.iterdir())

    assert not any(tmp_path.iterdir())


def test_folders_that_somebody_removes_meanwhile_are_no_error(tmp_path, monkeypatch):
    folders = Folders(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    grown_old(tmp_path / "one")

    assert folders.old() == ["one"]
    folders.remove("never there")


def test_a_file_of_the_job_may_have_the_name_of_an_argument(client):
    assert client.post("/names", data=UPLOAD, headers=FORM).json() == ["roses", "file"]


# ---- folders of a store in memory ----------------------------------------------------------


def test_without_a_place_they_are_below_one_that_only_this_user_reads():
    folders = Folders(None)
    folder = folders.of("a")
    folder.mkdir(parents=True)

    assert folders.base.stat().st_mode & 0o777 == 0o700
    folders.close()
    assert not folder.exists()
    assert not folder.parent.exists()


def test_nothing_is_made_to_remove_what_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folders = Folders(None)
    folders.remove("a")

    assert folders.old() == []
    folders.close()
    assert not [*tmp_path.iterdir()]


def test_folders_of_forgotten_jobs_are_found_there_as_well():
    folders = Folders(None)
    for id in ("old", "fresh"):
        folders.of(id).mkdir(parents=True)
    long_ago_s = time.time() - FRESH_S - 1
    os.utime(folders.of("old"), (long_ago_s, long_ago_s))

    assert folders.old() == ["old"]
    folders.close()


def test_what_nobody_closes_is_removed_all_the_same():
    folders = Folders(None)
    base = folders.base
    del folders
    gc.collect()

    assert not base.exists()


def test_it_can_be_used_again_after_the_end():
    folders = Folders(None)
    before = folders.base
    folders.close()

    assert folders.base != before
    folders.close()


def test_a_store_that_cannot_be_read_keeps_the_folders(tmp_path, monkeypatch, caplog):
    store = MemoryStore()
    app = app_with_files(tmp_path, store)
    with app.testing(clock=JumpingClock(wall_s=time.time())) as client:
        assert client.post("/lasting").status == 200
        grown_old(*app.jobs.folder.iterdir())
        monkeypatch.setattr(store, "get", lambda *keys: failed(StoreBusy("somebody has it")))
        clear(client)
        until(client, lambda: "cannot be removed now: somebody has it" in caplog.text)
        monkeypatch.undo()
        assert [*app.jobs.folder.iterdir()]
    store.close()
