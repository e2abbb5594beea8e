"""Digests of files: what is in them counts, and they are read no more often than needed."""

from __future__ import annotations

import os

import pytest

from tarry.state.file_digests import RACY_S, FileDigests

LONG_AGO_S = 1_000_000_000


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("one")
    return path


def test_the_content_counts_and_not_the_name(path, tmp_path):
    digests = FileDigests()
    first = digests.get(path)
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_text("one")
    other.write_text("two")

    assert digests.get(same) == first
    assert digests.get(other) != first


def test_a_change_shows_although_size_and_date_are_the_same(path):
    """For a file that was written just now its date tells nothing."""
    digests = FileDigests()
    info = path.stat()
    first = digests.get(path)
    path.write_text("two")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    assert digests.get(path) != first


def test_an_old_file_is_read_once_until_it_changes(path):
    digests = FileDigests()
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    first = digests.get(path)
    path.write_text("two")
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    assert digests.get(path) == first  # it was not read: nothing tells that it is another one
    path.write_text("three")
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    third = digests.get(path)
    assert third != first
    os.utime(path, (LONG_AGO_S + RACY_S, LONG_AGO_S + RACY_S))
    assert digests.get(path) == third
    path.replace(path.with_name("moved"))
    path.write_text("three"[::-1])
    os.utime(path, (LONG_AGO_S + RACY_S, LONG_AGO_S + RACY_S))
    assert digests.get(path) != third  # another inode


def test_a_file_that_is_not_there_is_none(path):
    digests = FileDigests()
    assert digests.get(path)
    path.unlink()
    assert digests.get(path) is None
    assert digests.get(path / "below") is None


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "pipe"):
        with pytest.raises(ValueError, match="is no file"):
            FileDigests().get(tmp_path / name)
