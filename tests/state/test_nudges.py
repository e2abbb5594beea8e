"""Nudges: sent to all who have the file open, and to nobody else's folder."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from tarry.state.nudges import Nudges, make_private, nudge_folder
from tarry.state.sqlite import SQLiteStore
from tests.stores.opened import WAIT_S, incremented, put


@pytest.fixture
def folder():
    """Short enough for the path of a socket, which that of tmp_path need not be."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        yield Path(name)


def opened(path):
    store = SQLiteStore(path)
    store.poll().result(WAIT_S)
    return store


def test_the_folder_is_ours_alone_and_the_socket_goes_with_the_store(folder):
    store = opened(folder / "state.db")
    nudges = folder / "state.db-nudges"

    assert stat.S_IMODE(nudges.stat().st_mode) == 0o700
    (path,) = nudges.iterdir()
    assert path.name.startswith(f"{os.getpid()}-")

    store.close()
    assert not nudges.exists()


def test_sockets_of_dead_processes_are_cleared_away(folder):
    store = opened(folder / "state.db")
    dead = folder / "state.db-nudges" / "1-dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        it.bind(str(dead))

    put(store, "a", b"1")
    store.close()

    assert not dead.exists()


def test_what_is_no_socket_stays(folder):
    store = opened(folder / "state.db")
    note = folder / "state.db-nudges" / "note.txt"
    note.write_text("hello")

    put(store, "a", b"1")
    store.close()

    assert note.read_text() == "hello"


def test_a_store_that_reads_no_nudges_holds_up_nobody(folder):
    store = opened(folder / "state.db")
    deaf = Nudges(folder / "state.db")

    for _ in range(400):
        put(store, "a", b"1")

    assert deaf.drain() is True
    assert deaf.drain() is False
    deaf.close()
    store.close()


def test_many_nudges_are_few_calls(folder):
    first, second = opened(folder / "state.db"), opened(folder / "state.db")
    called, entered, go_on = [], threading.Event(), threading.Event()

    def watcher():
        called.append(1)
        entered.set()
        go_on.wait(WAIT_S)

    second.watch(watcher)
    put(first, "a", b"1")
    assert entered.wait(WAIT_S)
    for _ in range(9):
        put(first, "a", b"1")
    go_on.set()
    told = threading.Event()
    second.watch(told.set)
    put(first, "a", b"1")

    assert told.wait(WAIT_S)
    # The first, those while it was blocked, and the last of these and the one after on their own.
    assert 2 <= len(called) <= 4
    first.close()
    second.close()


def test_a_long_path_has_its_sockets_in_a_short_folder(tmp_path):
    deep = tmp_path / ("d" * 90) / "e"
    deep.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(deep)
    folder = nudge_folder(deep / "state.db")
    first, second = opened(deep / "state.db"), opened(link / "state.db")
    called = threading.Event()
    second.watch(called.set)

    put(first, "a", b"1")

    assert called.wait(WAIT_S)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(os.fsencode(folder)) < 60
    assert not (deep / "state.db-nudges").exists()
    first.close()
    second.close()
    assert not folder.exists()


def test_a_folder_that_others_can_use_is_not_used(folder, caplog):
    nudges = folder / "state.db-nudges"
    nudges.mkdir()
    nudges.chmod(0o777)

    first, second = opened(folder / "state.db"), opened(folder / "state.db")

    assert "has to be a folder that only its owner, this user, can use" in caplog.text
    assert list(nudges.iterdir()) == []
    put(first, "a", b"1")
    assert second.poll().result(WAIT_S) is True
    first.close()
    second.close()


@pytest.mark.parametrize("kind", ["other owner", "link", "file"])
def test_what_is_not_our_own_folder_is_refused(tmp_path, kind):
    place = tmp_path / "place"
    if kind == "other owner":
        # Root may give it away; everybody else finds one that is root's.
        place = tmp_path / "place" if os.getuid() == 0 else Path("/usr")
        if os.getuid() == 0:
            place.mkdir(mode=0o700)
            os.chown(place, 12345, 12345)
    elif kind == "link":
        (tmp_path / "real").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "real")
    else:
        place.touch(mode=0o600)

    with pytest.raises(PermissionError, match="only its owner, this user, can use"):
        make_private(place)


def test_writing_goes_on_when_the_folder_is_taken_away(folder):
    first, second = opened(folder / "state.db"), opened(folder / "state.db")
    nudges = folder / "state.db-nudges"
    for path in nudges.iterdir():
        path.unlink()
    nudges.rmdir()

    first.update(["n"], incremented).result(WAIT_S)
    first.update(["n"], incremented).result(WAIT_S)

    assert second.poll().result(WAIT_S) is True
    first.close()
    second.close()
