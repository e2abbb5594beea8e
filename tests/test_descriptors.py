"""Descriptors: open while somebody is inside, closed when nobody is."""

from __future__ import annotations

import os
import threading

import pytest

from tarry.descriptors import Descriptor

WAIT_S = 10.0


@pytest.fixture
def number(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return os.open(path, os.O_RDONLY)


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


class Inside:
    """A thread inside a call with a descriptor, until told to go on."""

    def __init__(self, call):
        self._entered, self._goes_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=call, args=(self._wait,))
        self._thread.start()
        assert self._entered.wait(WAIT_S)

    def _wait(self, number=None):
        self._entered.set()
        assert self._goes_on.wait(WAIT_S)
        return number

    def leave(self):
        self._goes_on.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


def test_a_call_gets_the_number_and_gives_its_result(number):
    descriptor = Descriptor(number)

    assert descriptor.use(os.pread, 4, 3) == b"tent"
    descriptor.close()
    assert not is_open(number)


def test_closing_again_does_nothing(number):
    descriptor = Descriptor(number)
    descriptor.close()
    other = os.open(os.devnull, os.O_RDONLY)
    descriptor.close()

    assert other == number
    assert is_open(other)
    os.close(other)


def test_a_closed_one_cannot_be_used(number):
    descriptor = Descriptor(number)
    descriptor.close()

    with pytest.raises(ValueError, match="closed"):
        descriptor.use(os.fstat)
    with pytest.raises(ValueError, match="closed"):
        descriptor.open(lambda: pytest.fail("was opened"))


def test_it_stays_open_until_the_last_call_has_left(number):
    descriptor = Descriptor(number)
    first, second = Inside(descriptor.use), Inside(descriptor.use)
    descriptor.close()
    assert is_open(number)
    first.leave()
    assert is_open(number)
    second.leave()
    assert not is_open(number)


def test_a_call_that_fails_leaves_too(number):
    descriptor = Descriptor(number)
    with pytest.raises(ZeroDivisionError):
        descriptor.use(lambda number: number / 0)
    descriptor.close()

    assert not is_open(number)


def test_what_is_opened_too_late_is_closed_at_once(number):
    descriptor = Descriptor()

    def call(wait):
        descriptor.open(lambda: wait(number))

    opening = Inside(call)
    descriptor.close()
    opening.leave()

    assert not is_open(number)


def test_one_that_was_never_opened_can_be_closed():
    Descriptor().close()
