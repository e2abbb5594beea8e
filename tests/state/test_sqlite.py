"""The store in a file: made late, private, told apart from others, and there after a crash."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from tarry.state.sqlite import SQLiteStore
from tarry.state.store import (
    DELETE,
    Put,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
)
from tests.stores.opened import WAIT_S, incremented, other_process, put


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def open_at():
    """Opens stores that are closed after the test."""
    stores = []

    def open_at(path, **options):
        stores.append(SQLiteStore(path, **options))
        return stores[-1]

    yield open_at
    for store in stores:
        store.close()


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def commits_in(wal):
    """How many transactions a write-ahead log has: frames that say how large the file is then.

    https://www.sqlite.org/fileformat2.html#the_write_ahead_log
    """
    data = wal.read_bytes()
    page_bytes = int.from_bytes(data[8:12], "big")
    starts = range(32, len(data), 24 + page_bytes)
    return sum(data[start + 4 : start + 8] != bytes(4) for start in starts)


# ---- the file -------------------------------------------------------------------------------


def test_nothing_is_made_before_the_first_call(tmp_path):
    before = threading.active_count()
    store = SQLiteStore(tmp_path / ".tarry" / "state.db")
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before

    store.get("a").result(WAIT_S)

    assert (tmp_path / ".tarry" / "state.db").exists()
    store.close()
    assert threading.active_count() == before


def test_folder_and_files_are_for_their_owner_only(tmp_path, open_at):
    store = open_at(tmp_path / "new" / ".tarry" / "state.db")
    put(store, "a", b"secret")
    folder = tmp_path / "new" / ".tarry"

    assert mode_of(folder) == 0o700
    files = {path.name: mode_of(path) for path in folder.iterdir() if path.suffix != ".gitignore"}
    assert files["state.db"] == files["state.db-wal"] == files["state.db-shm"] == 0o600
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_folder_that_was_there_stays_as_it_is(tmp_path, open_at):
    tmp_path.chmod(0o755)

    put(open_at(tmp_path / "state.db"), "a", b"1")

    assert mode_of(tmp_path) == 0o755
    assert not (tmp_path / ".gitignore").exists()


def test_a_relative_path_means_the_folder_of_when_it_was_named(tmp_path, monkeypatch, open_at):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    store = open_at("state.db")
    monkeypatch.chdir(tmp_path / "other")

    put(store, "a", b"1")

    assert (tmp_path / "state.db").exists()


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "ä b%20.db"])
def test_a_path_is_only_a_path(tmp_path, open_at, name):
    put(open_at(tmp_path / name), "a", b"1")

    assert (tmp_path / name).stat().st_size > 0


def test_what_was_written_is_there_after_closing_in_one_file(path, open_at):
    first = SQLiteStore(path)
    entry = put(first, "a", b"one", due_s=7.5)
    first.append("log", [b"x", b"y"], keep=1).result(WAIT_S)
    first.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["state.db"]

    second = open_at(path)

    assert second.get("a").result(WAIT_S) == [entry]
    assert second.read("log", 0).result(WAIT_S) == ([(2, b"y")], 2, 2)
    assert put(second, "b", b"").version > entry.version


def test_closing_leaves_all_in_the_file_while_another_has_it_open(path, tmp_path, open_at):
    put(open_at(path), "a", b"1")
    store = SQLiteStore(path)
    put(store, "a", b"2")
    store.close()
    shutil.copy(path, tmp_path / "copy.db")

    assert open_at(tmp_path / "copy.db").get("a").result(WAIT_S)[0].value == b"2"


# ---- what is no store -----------------------------------------------------------------------


def foreign_database(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def newer_version(path):
    store = SQLiteStore(path)
    put(store, "a", b"1")
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path.write_bytes(b"This is no database. " * 99), "is no database"),
        (lambda path: path.mkdir(), "is a folder"),
        (foreign_database, "is a database of another program"),
        (newer_version, "was made by a newer version of Tarry .* is 99, this one knows 1"),
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(path, open_at, make, text):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    store = open_at(path)

    for future in [store.get("a"), store.update(["a"], incremented), store.poll()]:
        with pytest.raises(StoreDamaged, match=text) as caught:
            future.result(WAIT_S)
        assert str(path) in str(caught.value)
    assert before is None or path.read_bytes() == before


def test_the_next_call_tries_again_to_open(path, open_at):
    path.mkdir()
    store = open_at(path)
    with pytest.raises(StoreDamaged):
        store.get("a").result(WAIT_S)

    path.rmdir()

    assert put(store, "a", b"1").value == b"1"


def test_who_watches_before_the_file_can_be_opened_is_called_later(path, open_at):
    path.mkdir()
    store, called = open_at(path), threading.Event()
    store.watch(called.set)
    with pytest.raises(StoreDamaged):
        store.get("a").result(WAIT_S)
    path.rmdir()
    store.get("a").result(WAIT_S)

    put(open_at(path), "a", b"1")

    assert called.wait(WAIT_S)


def test_a_damaged_file_is_named(path, open_at):
    store = SQLiteStore(path)
    store.update([f"{n}" for n in range(500)], lambda e: [Put(b"x" * 99)] * 500).result(WAIT_S)
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))

    with pytest.raises(StoreDamaged, match=rf"{path} is damaged; stop all that use it"):
        open_at(path).scan("").result(WAIT_S)


def test_a_file_where_the_folder_should_be_is_named(tmp_path, open_at):
    (tmp_path / "folder").write_text("")

    with pytest.raises(StoreError, match=r"cannot be opened: Not a directory; name another path"):
        open_at(tmp_path / "folder" / "state.db").get("a").result(WAIT_S)


# ---- locked and full ------------------------------------------------------------------------


@pytest.fixture
def other_program(path):
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def test_a_lock_of_another_program_delays_writes(path, open_at, other_program):
    store = open_at(path)
    put(store, "a", b"1")
    other_program.execute("BEGIN IMMEDIATE")
    future = store.update(["a"], incremented)
    assert not future.done()

    other_program.execute("COMMIT")

    assert future.result(WAIT_S)[0].value == b"2"


def test_a_lock_that_stays_is_told_and_reads_go_on(path, open_at, other_program):
    store = open_at(path, busy_timeout_s=0.01)
    put(store, "a", b"1")
    other_program.execute("BEGIN IMMEDIATE")
    entered, go_on = threading.Event(), threading.Event()
    blocked = store.get("a")
    blocked.add_done_callback(lambda _: (entered.set(), go_on.wait(WAIT_S)))
    # All of these are one batch.
    futures = [store.update(["a"], incremented), store.get("a"), store.append("l", [b""], keep=1)]
    go_on.set()

    for write in (futures[0], futures[2]):
        with pytest.raises(StoreBusy, match=rf"{path} is locked by another program; try again"):
            write.result(WAIT_S)
    assert futures[1].result(WAIT_S)[0].value == b"1"

    other_program.execute("COMMIT")
    assert store.update(["a"], incremented).result(WAIT_S)[0].value == b"2"
    assert store.read("l", 0).result(WAIT_S).last == 0


def test_reading_takes_no_lock(path, open_at, other_program):
    store = open_at(path, busy_timeout_s=0)
    put(store, "a", b"1", due_s=1.0)
    other_program.execute("BEGIN IMMEDIATE")

    assert store.get("a").result(WAIT_S)[0].value == b"1"
    assert len(store.due("", 1.0).result(WAIT_S)) == len(store.scan("").result(WAIT_S)) == 1
    assert store.changes(0).result(WAIT_S).keys == ["a"]
    assert store.poll().result(WAIT_S) is False


def test_a_file_that_is_locked_while_it_is_opened_is_told(path, open_at, other_program):
    other_program.execute("BEGIN EXCLUSIVE")
    store = open_at(path, busy_timeout_s=0.01)
    with pytest.raises(StoreBusy, match="is locked"):
        store.get("a").result(WAIT_S)

    other_program.execute("COMMIT")

    assert store.get("a").result(WAIT_S) == [None]


def test_a_full_store_says_so_and_goes_on_when_there_is_room(path, open_at):
    store = open_at(path, max_bytes=200_000)

    def fill():
        for number in range(1000):
            put(store, f"{number}", bytes(10_000))

    with pytest.raises(StoreFull, match=rf"{path} has no room left; free some"):
        fill()
    written = len(store.scan("").result(WAIT_S))
    assert 10 <= written <= 20

    store.update(["0", "1"], lambda _: [DELETE, DELETE]).result(WAIT_S)

    assert put(store, "new", bytes(10_000)).value == bytes(10_000)


def test_of_a_batch_that_finds_no_room_all_is_done_that_can_be(path, open_at):
    store = open_at(path, max_bytes=200_000)
    futures = [
        store.update(["small"], incremented),
        store.update(["large"], lambda _: [Put(bytes(500_000))]),
        store.append("log", [b"x"], keep=9),
        store.update(["small"], incremented),
        store.get("small"),
    ]

    assert type(futures[1].exception(WAIT_S)) is StoreFull
    assert futures[2].result(WAIT_S) == 1
    assert futures[4].result(WAIT_S) == futures[3].result(WAIT_S)
    assert futures[4].result(WAIT_S)[0].value == b"2"
    assert store.get("large").result(WAIT_S) == [None]


@pytest.mark.parametrize("bad", [Put(b"2", 10**30), Put(object())])
def test_what_cannot_be_written_takes_back_the_rest_of_its_operation(path, open_at, bad):
    store = open_at(path)
    futures = [
        store.update(["n"], incremented),
        store.update(["n", "b"], lambda _: [Put(b"99"), bad]),
        store.update(["n"], incremented),
    ]

    with pytest.raises((OverflowError, StoreError)):
        futures[1].result(WAIT_S)
    assert futures[2].result(WAIT_S)[0].value == b"2"
    assert store.get("n", "b").result(WAIT_S)[1] is None


# ---- batches and the end of the process ------------------------------------------------------


def test_many_updates_at_once_are_few_transactions(path, open_at):
    store = open_at(path)
    store.poll().result(WAIT_S)
    before = commits_in(path.with_name("state.db-wal"))
    entered, go_on = threading.Event(), threading.Event()

    def slow(entries):
        entered.set()
        go_on.wait(WAIT_S)
        return [None]

    store.update(["n"], slow)
    assert entered.wait(WAIT_S)
    futures = [store.update(["n"], incremented) for _ in range(500)]
    go_on.set()
    for future in futures:
        future.result(WAIT_S)

    assert commits_in(path.with_name("state.db-wal")) - before == 1
    for _ in range(10):
        store.update(["n"], incremented).result(WAIT_S)
    assert commits_in(path.with_name("state.db-wal")) - before == 11


def test_a_future_is_done_only_when_others_can_read_it(path, open_at, other_program):
    store = open_at(path)
    for number in range(50):
        put(store, "a", b"%d" % number)
        assert other_program.execute("SELECT value FROM entries").fetchone() == (b"%d" % number,)


def test_what_was_acknowledged_survives_kill_9(path, open_at):
    with other_process(f"sqlite:{path}", "acknowledge") as process:
        numbers = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
        numbers += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    assert process.returncode == -9

    store = open_at(path)

    entries = store.get(*(f"n{number}" for number in numbers)).result(WAIT_S)
    assert [int(entry.value) for entry in entries] == numbers == list(range(1, len(numbers) + 1))
    # The append goes in with the next number's transaction at the latest.
    assert store.read("numbers", 0).result(WAIT_S).last >= len(numbers) - 1
    assert put(store, "after", b"1").version > entries[-1].version


def test_a_program_that_ends_without_closing_has_written_what_it_asked_for(path, open_at):
    with other_process(f"sqlite:{path}", "leave", "50") as process:
        process.communicate(timeout=WAIT_S)
    assert process.returncode == 0

    assert open_at(path).get("n").result(WAIT_S)[0].value == b"50"


def test_many_processes_make_one_file_at_the_same_time(path, open_at):
    processes = [other_process(f"sqlite:{path}", "increment", "n", "20") for _ in range(4)]
    for process in processes:
        with process:
            assert process.communicate(timeout=WAIT_S)[0] == "done\n"

    assert open_at(path).get("n").result(WAIT_S)[0].value == b"80"


def test_many_stores_make_one_file_at_the_same_time(path, open_at):
    stores = [open_at(path) for _ in range(8)]

    futures = [store.update(["n"], incremented) for store in stores for _ in range(10)]

    assert max(int(future.result(WAIT_S)[0].value) for future in futures) == 80


def test_calls_while_it_closes_are_done_or_refused(path):
    store = SQLiteStore(path)
    store.poll().result(WAIT_S)
    asked, closing = [], threading.Event()

    def ask():
        closing.wait(WAIT_S)
        try:
            while True:
                asked.append(store.update(["n"], incremented))
        except StoreClosed:
            """The end."""

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    closing.set()
    store.close()
    for thread in threads:
        thread.join(WAIT_S)

    assert all(future.result(WAIT_S) for future in asked)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are not listed here")
def test_no_descriptor_is_left_open(path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        store = SQLiteStore(path)
        put(store, "a", b"1")
        store.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
