"""Where uploads lie: in memory, then in a file without a name; saved whole or not at all."""

from __future__ import annotations

import gc
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tarry.app.spool import SPOOL_BYTES, Spool, UploadClosed

SMALL = b"some bytes"
LARGE = bytes(range(256)) * (SPOOL_BYTES // 128)


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path, monkeypatch):
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def fill():
    """Make a spool with a content; it is closed after the test."""
    spools = []

    def fill(content):
        spool = Spool()
        spools.append(spool)
        for start in range(0, len(content), 100_000):
            if spool.add(content[start : start + 100_000]):
                spool.write_out()
        if not spool.in_memory:
            spool.write_out()
        spool.finish()
        return spool

    yield fill
    for spool in spools:
        spool.close()


@pytest.fixture(params=["O_TMPFILE", "without"])
def either_system(request, monkeypatch):
    if request.param == "without":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def open_descriptors():
    return set(Path("/proc/self/fd").iterdir())


# ---- memory and disk ---------------------------------------------------------------------


def test_up_to_spool_bytes_nothing_touches_the_disk():
    spool = Spool()

    assert not spool.add(b"x" * SPOOL_BYTES)
    assert spool.in_memory
    spool.finish()
    assert spool.size_bytes == SPOOL_BYTES
    assert spool.read() == b"x" * SPOOL_BYTES


def test_one_byte_more_is_written_out():
    spool = Spool()

    assert not spool.add(b"x" * SPOOL_BYTES)
    assert spool.add(b"y")
    spool.write_out()
    spool.finish()

    assert not spool.in_memory
    assert spool.read() == b"x" * SPOOL_BYTES + b"y"
    spool.close()


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.usefixtures("either_system")
def test_all_bytes_can_be_read_again_and_again(fill, content):
    spool = fill(content)

    assert spool.size_bytes == len(content)
    assert spool.file.read(5) == content[:5]
    assert spool.read() == content
    assert spool.read() == content
    assert spool.file.read() == content[5:]
    assert spool.file.seek(3) == 3
    assert spool.file.read(4) == content[3:7]


@pytest.mark.usefixtures("either_system")
def test_the_temporary_file_has_no_name(fill, temporary_directory):
    spool = fill(LARGE)

    assert not spool.in_memory
    assert list(temporary_directory.iterdir()) == []
    assert os.fstat(spool.file.fileno()).st_size == len(LARGE)


def test_a_file_on_disk_is_read_only(fill):
    with pytest.raises(OSError, match="write"):
        fill(LARGE).file.write(b"x")


def test_a_killed_process_leaves_nothing(temporary_directory):
    program = (
        "import os; from tarry.app.spool import Spool; spool = Spool();"
        "spool.add(b'x' * 2_000_000); spool.write_out(); os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"TMPDIR": str(temporary_directory)}

    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False)

    assert ended.returncode == -9
    assert list(temporary_directory.iterdir()) == []


@pytest.mark.usefixtures("either_system")
def test_a_directory_that_takes_nothing_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    spool = Spool()
    spool.add(LARGE)

    with pytest.raises(FileNotFoundError):
        spool.write_out()
    spool.close()


# ---- save --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.usefixtures("either_system")
def test_the_file_appears_with_all_bytes_and_nothing_beside_it(fill, tmp_path, umask, content):
    target = tmp_path / "saved" / "name.bin"
    target.parent.mkdir()

    fill(content).save(target, overwrite=False)

    assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_a_large_file_on_the_same_file_system_is_not_copied(fill, tmp_path):
    spool = fill(LARGE)
    target = tmp_path / "name.bin"

    spool.save(target, overwrite=False)

    assert target.stat().st_ino == os.fstat(spool.file.fileno()).st_ino


def test_saved_twice_there_are_two_files(fill, tmp_path):
    spool = fill(LARGE)
    first, second = tmp_path / "first", tmp_path / "second"

    spool.save(first, overwrite=False)
    spool.save(second, overwrite=False)

    assert not first.samefile(second)
    assert first.read_bytes() == second.read_bytes() == LARGE


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.usefixtures("either_system")
def test_an_existing_file_stays_unless_it_may_be_overwritten(fill, tmp_path, content):
    spool = fill(content)
    target = tmp_path / "name"
    target.write_bytes(b"old")

    with pytest.raises(FileExistsError, match="name"):
        spool.save(target, overwrite=False)
    assert target.read_bytes() == b"old"

    spool.save(target, overwrite=True)
    assert target.read_bytes() == content
    assert sorted(each.name for each in tmp_path.iterdir()) == ["name", "temporary"]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_file_that_comes_in_between_stays(fill, tmp_path, monkeypatch, content):
    target = tmp_path / "name"
    target.write_bytes(b"theirs")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # it was not there a moment ago

    with pytest.raises(FileExistsError):
        fill(content).save(target, overwrite=False)

    assert target.read_bytes() == b"theirs"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["name", "temporary"]


def test_a_link_in_the_place_is_not_followed(fill, tmp_path):
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "link"
    elsewhere.write_bytes(b"old")
    link.symlink_to(elsewhere)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    spool = fill(SMALL)

    with pytest.raises(FileExistsError):
        spool.save(dangling, overwrite=False)
    spool.save(link, overwrite=True)

    assert elsewhere.read_bytes() == b"old"
    assert not link.is_symlink()
    assert link.read_bytes() == SMALL


def test_the_longest_name_can_be_saved(fill, tmp_path):
    target = tmp_path / ("n" * 255)

    fill(SMALL).save(target, overwrite=False)

    assert target.read_bytes() == SMALL


def test_a_directory_that_is_not_there_is_an_error(fill, tmp_path):
    for content in (SMALL, LARGE):
        with pytest.raises(FileNotFoundError):
            fill(content).save(tmp_path / "missing" / "name", overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_nothing_half_written(fill, tmp_path, monkeypatch, overwrite):
    spool = fill(LARGE)
    target = tmp_path / "saved" / "name"
    target.parent.mkdir()
    spool.save(tmp_path / "first", overwrite=False)  # from now on it has to be copied
    if overwrite:
        target.write_bytes(b"old")

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SPOOL_BYTES, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            spool.save(target, overwrite=overwrite)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert [each.read_bytes() for each in target.parent.iterdir()] == [b"old"] * overwrite
    spool.save(target, overwrite=overwrite)
    assert target.read_bytes() == LARGE


# ---- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_after_close_every_use_says_so(fill, tmp_path, content):
    spool = fill(content)
    file = spool.file
    spool.close()
    spool.close()

    assert file.closed
    for use in (lambda: spool.file, spool.read, lambda: spool.save(tmp_path / "x", overwrite=True)):
        with pytest.raises(UploadClosed, match="before its request ends"):
            use()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("writes", [0, 1])
def test_close_gives_the_descriptor_back(writes, monkeypatch):
    before = open_descriptors()
    spool = Spool()
    spool.add(LARGE)
    for _ in range(writes):
        spool.write_out()
    spool.close()
    gc.collect()

    assert open_descriptors() == before
    monkeypatch.setattr(tempfile, "tempdir", "missing")
    spool.write_out()  # one that was still waiting for a thread touches nothing
    spool.finish()
    assert open_descriptors() == before


class Held:
    """Stops a thread in the middle of a call until the test lets it go on."""

    def __init__(self, call):
        self._call = call
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self, *arguments, **options):
        self.reached.set()
        assert self.released.wait(10)
        return self._call(*arguments, **options)


def started(call):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(call()))
    thread.start()
    return thread, outcome


def test_close_in_the_middle_of_a_save_waits_for_nobody_and_breaks_nothing(
    fill, tmp_path, monkeypatch
):
    before = open_descriptors()
    spool = fill(LARGE)
    link = Held(os.link)
    monkeypatch.setattr(os, "link", link)
    thread, _ = started(lambda: spool.save(tmp_path / "saved", overwrite=True))
    assert link.reached.wait(10)

    spool.close()
    assert open_descriptors() > before  # no stranger gets this number while it is linked
    link.released.set()
    thread.join()

    assert (tmp_path / "saved").read_bytes() == LARGE
    assert open_descriptors() == before


def test_close_in_the_middle_of_a_write_closes_after_it(monkeypatch):
    before = open_descriptors()
    spool = Spool()
    spool.add(LARGE)
    make = Held(os.open)
    monkeypatch.setattr(os, "open", make)
    thread, _ = started(spool.write_out)
    assert make.reached.wait(10)

    spool.close()
    make.released.set()
    thread.join()

    assert open_descriptors() == before
    with pytest.raises(UploadClosed):
        spool.read()
