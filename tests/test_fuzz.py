"""The fuzzers themselves: each target holds for its seeds and some inputs; failures are found."""

from __future__ import annotations

import time
from random import Random

import pytest

from fuzz.__main__ import main
from fuzz.mutation import new_input
from fuzz.running import TooSlow, error_of, fuzz
from fuzz.target import MAX_INPUT_BYTES, Target, cut, expect
from fuzz.targets import TARGETS

SECONDS = 0.2

# That one needs a server; tests/security/test_any_request.py asks the same application.
QUICK = [name for name in TARGETS if name != "application"]


@pytest.mark.parametrize("name", QUICK)
def test_target_holds(name):
    result = fuzz(TARGETS[name], SECONDS, Random(name))

    assert result.failure is None, result.failure.text
    assert result.runs >= len(TARGETS[name].seeds) or result.seconds >= SECONDS


def test_inputs_are_many_and_bounded():
    numbers = Random(0)
    for target in TARGETS.values():
        inputs = {new_input(target, numbers) for _ in range(200)}

        assert len(inputs) > 50
        assert max(map(len, inputs)) <= MAX_INPUT_BYTES


def test_pieces_are_the_input_and_always_the_same():
    for size in (0, 1, 2, 1000, 5000):
        data = bytes(size)
        assert b"".join(cut(data)) == data
        assert cut(data) == cut(data)


def broken_by(mark):
    def check(data):
        expect(mark not in data, "it has the mark")

    return Target("broken", check, (b"a" * 50 + mark + b"b" * 50,))


def test_a_failure_is_found_and_made_small():
    result = fuzz(broken_by(b"xyz"), 5.0, Random(0))

    assert result.failure.data == b"xyz"
    assert "it has the mark" in result.failure.text


def test_what_takes_long_is_a_failure(monkeypatch):
    monkeypatch.setattr("fuzz.running.MAX_INPUT_S", 0.01)

    def check(data):
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    assert isinstance(error_of(Target("slow", check, ()), b""), TooSlow)


def test_a_failing_input_is_kept_and_can_be_replayed(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(TARGETS, "broken", broken_by(b"xyz"))

    assert main(["broken", "--seconds", "5", "--failures", str(tmp_path)]) == 1
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes() == b"xyz"
    assert f"python -m fuzz broken --replay {kept}" in capsys.readouterr().out
    with pytest.raises(Exception, match="it has the mark"):
        main(["broken", "--replay", str(kept)])
    assert main(["dates", "--replay", str(kept)]) == 0


def test_targets_are_listed_and_unknown_ones_named(capsys):
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(TARGETS)
    assert main(["cows"]) == 2
    assert "cows" in capsys.readouterr().err
