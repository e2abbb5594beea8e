"""A cache of two levels: quotas, order of leaving, expiry, and what several share."""

from __future__ import annotations

import logging
import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tarry.state.cache import DEFAULT_FOLDER, Cache
from tarry.state.cache_files import RETRY_S, ROOM, SHARE, WRITING_S
from tarry.state.cache_folder import BLOCK_BYTES
from tarry.state.cache_memory import ENTRY_BYTES
from tarry.testing import JumpingClock

KEEP_S = 60.0


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def in_memory(entries, clock, value_bytes=10):
    """A cache that has room in memory for so many entries of one letter."""
    size_bytes = entries * (ENTRY_BYTES + 2 + value_bytes)
    return Cache("nowhere", memory_bytes=size_bytes, disk_bytes=0, clock=clock)


def on_disk(folder, clock, blocks=1000, **options):
    """A cache that has room on disk for so many small entries, and none in memory."""
    options = {"memory_bytes": 0, "disk_bytes": blocks * BLOCK_BYTES, **options}
    return Cache(folder, clock=clock, **options)


def put(cache, keys, value=b"0123456789", keep_s=KEEP_S):
    for key in keys:
        cache.put("s", key, value, keep_s)


def there(cache, keys):
    """Those of the keys that are kept; to look is to use them."""
    return "".join(key for key in keys if cache.get("s", key) is not None)


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and len(path.name) >= 32)


# ---- both levels ------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "disk", "both"])
def cache(request, folder, clock):
    options = {"memory": {"disk_bytes": 0}, "disk": {"memory_bytes": 0}, "both": {}}
    return Cache(folder, clock=clock, **options[request.param])


def test_a_value_is_there_until_it_is_replaced_or_removed(cache):
    assert cache.get("s", "k") is None
    cache.put("s", "k", b"one", KEEP_S)
    assert cache.get("s", "k") == b"one"
    cache.put("s", "k", b"", KEEP_S)
    assert cache.get("s", "k") == b""
    assert cache.remove("s", "k")
    assert cache.get("s", "k") is None
    assert not cache.remove("s", "k")


def test_a_value_holds_until_it_expires(cache, clock):
    cache.put("s", "k", b"one", 10)
    clock.advance(9.5)
    assert cache.get("s", "k") == b"one"
    clock.advance(0.5)
    assert cache.get("s", "k") is None
    assert [each for each in cache.sections() if each.disk_entries + each.memory_entries] == []


def test_a_value_from_the_disk_does_not_hold_longer_in_memory(folder, clock):
    Cache(folder, clock=clock).put("s", "k", b"one", 10)
    other = Cache(folder, clock=clock)
    assert other.get("s", "k") == other.in_memory("s", "k") == b"one"
    clock.advance(10)
    assert other.in_memory("s", "k") is None


def test_sections_and_keys_are_any_text(cache):
    names = ["", "a", "a/../b", "A", "é", "\0", "\n", "\ud800", "x" * 100_000, ".tmp"]
    for section in names:
        for key in names:
            cache.put(section, key, repr((section[:9], key[:9])).encode(), KEEP_S)
    for section in names:
        for key in names:
            assert cache.get(section, key) == repr((section[:9], key[:9])).encode()
    assert [each.name for each in cache.sections()] == sorted(names)


def test_sections_are_counted_and_cleared_by_name(cache):
    put(cache, "abc")
    cache.put("t", "a", b"1", KEEP_S)
    s, t = cache.sections()
    assert (s.name, t.name) == ("s", "t")
    counts = {(s.memory_entries, t.memory_entries), (s.disk_entries, t.disk_entries)}
    assert counts <= {(3, 1), (0, 0)}
    assert s.memory_bytes in (0, 3 * (ENTRY_BYTES + 2 + 10))
    assert s.disk_bytes in (0, 3 * BLOCK_BYTES)

    assert cache.clear("unknown") == 0
    assert cache.clear("s") == 3
    assert there(cache, "abc") == ""
    assert cache.get("t", "a") == b"1"
    assert cache.clear() == 1
    assert cache.sections() == []


def test_only_bytes_are_kept(cache):
    for value in ("text", None, {"a": 1}, bytearray(b"x")):
        with pytest.raises(TypeError, match="bytes"):
            cache.put("s", "k", value, KEEP_S)


def test_what_was_made_before_something_was_removed_is_not_kept(cache):
    for remove in (lambda: cache.clear("s"), cache.clear, lambda: cache.remove("s", "k")):
        epoch = cache.epoch
        remove()
        cache.put("s", "k", b"old", KEEP_S, epoch=epoch)
        assert cache.get("s", "k") is None
    cache.put("s", "k", b"new", KEEP_S, epoch=cache.epoch)
    assert cache.get("s", "k") == b"new"


def test_many_threads_may_use_it_at_once(folder, clock):
    cache = Cache(folder, clock=clock, memory_bytes=20 * ENTRY_BYTES, disk_bytes=20 * BLOCK_BYTES)
    wrong, start = [], threading.Barrier(6)

    def work(number):
        start.wait()
        for turn in range(60):
            key = str((turn * (number + 1)) % 30)
            value = cache.get("s", key)
            if value not in (None, key.encode() * 5):
                wrong.append(value)
            cache.put("s", key, key.encode() * 5, KEEP_S)
            if turn % 20 == 19:
                cache.clear("s")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    cache.clear()
    assert cache.sections() == []
    assert files_in(folder) == []


# ---- memory -----------------------------------------------------------------------------------


def test_memory_takes_what_it_may_and_no_entry_more(clock):
    cache = in_memory(3, clock)
    put(cache, "abc")
    assert there(cache, "abc") == "abc"
    put(cache, "d")
    assert there(cache, "abcd") == "bcd"


def test_the_least_recently_used_leaves_memory_first(clock):
    cache = in_memory(3, clock)
    put(cache, "abc")
    cache.in_memory("s", "a")
    put(cache, "d")
    assert there(cache, "abcd") == "acd"
    put(cache, "a")  # to write is to use, too
    put(cache, "e")
    assert there(cache, "acde") == "ade"


def test_a_value_larger_than_memory_drives_nothing_out(clock):
    cache = in_memory(3, clock)
    put(cache, "abc")
    limit = 3 * (ENTRY_BYTES + 2 + 10) - ENTRY_BYTES - 2
    cache.put("s", "a", bytes(limit + 1), KEEP_S)
    assert there(cache, "abc") == "bc"
    cache.put("s", "a", bytes(limit), KEEP_S)
    assert there(cache, "abc") == "a"


def test_memory_alone_needs_no_disk(folder, clock):
    cache = Cache(folder, clock=clock)
    cache.put("s", "k", b"1", KEEP_S, disk=False)

    assert cache.in_memory("s", "k") == b"1"
    assert not folder.exists()


# ---- disk -------------------------------------------------------------------------------------


def test_disk_takes_what_it_may_and_gives_up_an_eighth(folder, clock):
    cache = on_disk(folder, clock, blocks=16)
    keys = "abcdefghijklmnop"
    put(cache, keys)
    assert len(files_in(folder)) == 16
    put(cache, "q")
    assert there(cache, keys + "q") == keys[3:] + "q"
    assert len(files_in(folder)) == 16 - 16 // ROOM


def test_the_least_recently_used_leaves_the_disk_first(folder, clock):
    cache = on_disk(folder, clock, blocks=8)
    put(cache, "abcdefgh")
    assert there(cache, "ca") == "ca"
    put(cache, "a")
    put(cache, "i")
    assert there(cache, "abcdefghi") == "acefghi"


def test_what_is_used_in_memory_stays_on_disk(folder, clock):
    cache = on_disk(folder, clock, blocks=8, memory_bytes=100 * ENTRY_BYTES)
    put(cache, "abcdefgh")
    for key in "ab":
        assert cache.in_memory("s", key)
    put(cache, "i")

    assert there(on_disk(folder, clock), "abcdefghi") == "abefghi"


def test_a_value_larger_than_the_disk_drives_nothing_out(folder, clock):
    cache = on_disk(folder, clock, blocks=2)
    put(cache, "ab")
    put(cache, "c", bytes(2 * BLOCK_BYTES))
    assert there(cache, "abc") == "ab"
    put(cache, "c", bytes(2 * BLOCK_BYTES - 200))
    assert there(cache, "abc") == "c"


def test_a_value_too_large_for_the_disk_leaves_no_older_one(folder, clock):
    cache = on_disk(folder, clock, blocks=2)
    put(cache, "a", b"old")
    put(cache, "a", bytes(2 * BLOCK_BYTES))

    assert there(cache, "a") == ""


def test_what_has_expired_leaves_the_disk_before_what_has_not(folder, clock):
    cache = on_disk(folder, clock, blocks=8)
    put(cache, "abcd", keep_s=100)
    put(cache, "efgh", keep_s=10)
    clock.advance(10)
    put(cache, "i")

    assert len(files_in(folder)) == 5
    assert there(cache, "abcdi") == "abcdi"


def test_the_head_counts_and_not_what_others_did_to_the_dates(folder, clock):
    cache = on_disk(folder, clock, blocks=8)
    put(cache, "abcdefgh")
    for path in files_in(folder):
        os.utime(path, ns=(0, path.stat().st_mtime_ns))
    put(cache, "i")

    assert there(cache, "abcdefghi") == "cdefghi"


def test_caches_that_share_a_folder_see_what_others_keep(folder, clock):
    one, other = Cache(folder, clock=clock), Cache(folder, clock=clock)
    one.put("s", "k", b"1", KEEP_S)
    assert other.get("s", "k") == b"1"
    assert [each.disk_entries for each in other.sections()] == [1]
    assert other.clear("s") == 1
    assert on_disk(folder, clock).get("s", "k") is None


def test_caches_that_share_a_folder_share_the_quota(folder, clock):
    caches = [on_disk(folder, clock, blocks=64) for _ in range(2)]
    for number in range(200):
        put(caches[number % 2], [str(number)])
        assert len(files_in(folder)) <= 64 + 64 // SHARE


def test_processes_share_a_folder(folder):
    program = (
        "import sys; from tarry.state.cache import Cache;"
        "cache = Cache(sys.argv[1], memory_bytes=0);"
        "[cache.put('s', str(n), b'%d' % n, 60) for n in range(50)];"
        "wrong = [n for n in range(50) if cache.get('s', str(n)) not in (None, b'%d' % n)];"
        "sys.exit(len(wrong))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, folder]) for _ in range(2)]

    assert [process.wait(60) for process in running] == [0, 0]
    assert Cache(folder).get("s", "49") == b"49"
    assert len(files_in(folder)) == 50


def test_the_folder_is_private_and_made_late(folder, clock):
    cache = Cache(folder, clock=clock)
    assert cache.get("s", "k") is None
    assert (cache.sections(), cache.clear(), cache.remove("s", "k")) == ([], 0, False)
    assert not folder.exists()
    cache.put("s", "k", b"1", KEEP_S)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files_in(folder)] == [0o600]
    assert (folder / ".gitignore").read_text() == "*\n"


def test_the_folder_around_the_default_one_is_private_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Cache().put("s", "k", b"1", KEEP_S)

    assert Path(DEFAULT_FOLDER).is_dir()
    assert stat.S_IMODE(Path(DEFAULT_FOLDER).parent.stat().st_mode) == 0o700
    assert Path(DEFAULT_FOLDER).parent.joinpath(".gitignore").exists()


def test_clearing_leaves_what_is_not_of_the_cache(folder, clock):
    cache = on_disk(folder, clock)
    put(cache, "a")
    (path,) = files_in(folder)
    others = [folder / "notes.txt", path.parent / "notes.txt", folder / "x" / "notes.txt"]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")

    assert cache.clear() == 1
    assert not path.exists()
    assert all(other.exists() for other in others)


def test_clearing_leaves_no_folders(folder, clock):
    cache = on_disk(folder, clock)
    put(cache, "abc")
    cache.clear()

    assert [path.name for path in folder.iterdir()] == [".gitignore"]


# ---- what can be wrong with files ---------------------------------------------------------------


def damages():
    yield "cut off", lambda data: data[:-1]
    yield "empty", lambda data: b""
    yield "half a head", lambda data: data[:30]
    yield "longer", lambda data: data + b"x"
    yield "another version", lambda data: data[:6] + b"\xff\xff" + data[8:]
    yield "foreign", lambda data: b"\x80\x04\x95" + data
    yield "huge lengths", lambda data: data[:32] + b"\xff" * 16 + data[48:]
    for place in (0, 8, 24, 33, 60, 85, -1):
        yield f"a bit at {place}", lambda data, place=place: flipped(data, place)


def flipped(data, place):
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("damage", [pytest.param(each, id=name) for name, each in damages()])
def test_a_damaged_file_is_a_miss_and_removed(folder, clock, damage):
    cache = on_disk(folder, clock)
    put(cache, "a")
    (path,) = files_in(folder)
    path.write_bytes(damage(path.read_bytes()))

    assert [each.disk_entries for each in cache.sections()] in ([], [1])
    assert cache.get("s", "a") is None
    assert not path.exists()
    put(cache, "a")
    assert there(cache, "a") == "a"


def test_the_file_of_another_entry_is_a_miss(folder, clock):
    """As if two keys had the same digest."""
    cache = on_disk(folder, clock)
    put(cache, "a", b"of a")
    (path_of_a,) = files_in(folder)
    put(cache, "b", b"of b")
    (path_of_b,) = set(files_in(folder)) - {path_of_a}
    path_of_b.write_bytes(path_of_a.read_bytes())

    assert cache.get("s", "b") is None
    assert cache.get("s", "a") == b"of a"


def test_damaged_and_expired_files_make_room(folder, clock):
    cache = on_disk(folder, clock, blocks=4)
    put(cache, "abcd", keep_s=5)
    for path in files_in(folder):
        path.write_bytes(b"nonsense")
        os.utime(path, (0, 0))
    put(cache, "e")

    assert len(files_in(folder)) == 1


def test_what_was_left_half_written_is_removed_in_time(folder, clock):
    put(on_disk(folder, clock), "a")
    (path,) = files_in(folder)
    left = [path.with_name(f"{path.name}.{number}-0.tmp") for number in (1, 2)]
    for each, age_s in zip(left, (WRITING_S + 1, WRITING_S - 1), strict=True):
        each.write_bytes(b"half")
        os.utime(each, (0, clock.wall_s() - age_s))
    put(on_disk(folder, clock), "b")

    assert [each.exists() for each in left] == [False, True]
    cache = on_disk(folder, clock)
    assert cache.clear() == 2  # those who write are no entries
    assert files_in(folder) == []


def test_a_folder_that_cannot_be_is_said_once_and_memory_goes_on(folder, clock, caplog):
    folder.write_text("no folder")
    cache = Cache(folder, clock=clock)
    put(cache, "abc")
    assert there(cache, "abcd") == "abc"
    assert (cache.clear("unknown"), [each.memory_entries for each in cache.sections()]) == (0, [3])
    clock.advance(RETRY_S)
    put(cache, "d")

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("tarry", logging.WARNING)
    assert str(folder) in record.message


def test_the_disk_is_tried_again_after_a_minute(folder, clock, caplog):
    folder.write_text("no folder")
    cache = on_disk(folder, clock)
    put(cache, "a")
    folder.unlink()
    clock.advance(RETRY_S - 1)
    put(cache, "b")
    assert not folder.exists()
    clock.advance(1)
    put(cache, "c")
    assert there(cache, "abc") == "c"
    assert len(caplog.records) == 1


def test_a_full_disk_leaves_nothing_half_written(folder, clock, caplog):
    cache = on_disk(folder, clock)
    put(cache, "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))
    try:
        put(cache, "b", bytes(2 * 1024 * 1024))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert len(files_in(folder)) == 1
    assert there(cache, "ab") == "a"
    assert len(caplog.records) == 1


def test_what_cannot_be_written_leaves_no_older_value(folder, clock):
    cache = on_disk(folder, clock)
    put(cache, "ab", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))
    try:
        put(cache, "a", bytes(2 * 1024 * 1024))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    put(cache, "b", b"new")  # nothing is written for a minute

    assert there(cache, "ab") == ""


def test_a_quota_is_no_less_than_nothing():
    for options in ({"memory_bytes": -1}, {"disk_bytes": -1}):
        with pytest.raises(ValueError, match="0 bytes"):
            Cache(**options)
