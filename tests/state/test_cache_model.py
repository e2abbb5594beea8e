"""Whatever is done to a cache, it gives what a dictionary would give, or nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.state.cache import Cache
from tarry.state.cache_folder import BLOCK_BYTES
from tarry.state.cache_memory import ENTRY_BYTES
from tarry.testing import JumpingClock

NAMES = st.tuples(st.sampled_from("st"), st.sampled_from("abcdef"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.binary(max_size=50), st.integers(1, 20)),
        st.tuples(st.just("get"), NAMES),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("clear"), st.sampled_from(["s", "t", None])),
        st.tuples(st.just("wait"), st.integers(1, 10)),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


class Model:
    """What would be there without quotas."""

    def __init__(self):
        self.now_s = 0
        self.entries = {}

    def fresh(self, name):
        value, expires_s = self.entries.get(name, (None, 0))
        return value if self.now_s < expires_s else None

    def clear(self, section):
        self.entries = {
            name: each for name, each in self.entries.items() if section not in (None, name[0])
        }


def play(steps, *, check, **options):
    clock, model = JumpingClock(), Model()
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(folder, clock=clock, **options)
        for action, *rest in steps:
            if action == "put":
                name, value, keep_s = rest
                cache.put(*name, value, keep_s)
                model.entries[name] = value, model.now_s + keep_s
            elif action == "get":
                check(cache.get(*rest[0]), model.fresh(rest[0]))
            elif action == "remove":
                cache.remove(*rest[0])
                model.entries.pop(rest[0], None)
            elif action == "clear":
                cache.clear(rest[0])
                model.clear(rest[0])
            elif action == "wait":
                clock.advance(rest[0])
                model.now_s += rest[0]
            else:
                cache = Cache(folder, clock=clock, **options)
            check_size(cache, folder, options)
        for name in model.entries:
            check(cache.get(*name), model.fresh(name))


def check_size(cache, folder, options):
    files = [each for each in Path(folder).rglob("*") if len(each.name) >= 32 and each.is_file()]
    assert len(files) * BLOCK_BYTES <= options["disk_bytes"]
    assert sum(each.memory_bytes for each in cache.sections()) <= options["memory_bytes"]


def same(found, expected):
    assert found == expected


def same_or_gone(found, expected):
    assert found is None or found == expected


@settings(max_examples=100)
@given(STEPS)
def test_with_room_it_is_a_dictionary(steps):
    play(steps, check=same, memory_bytes=10**6, disk_bytes=10**6)


@settings(max_examples=50)
@given(STEPS)
def test_on_disk_alone_it_is_a_dictionary(steps):
    play(steps, check=same, memory_bytes=0, disk_bytes=10**6)


@settings(max_examples=100)
@given(STEPS, st.integers(0, 5), st.integers(0, 5))
def test_without_room_it_forgets_and_gives_nothing_else(steps, entries, blocks):
    sizes = {"memory_bytes": entries * (ENTRY_BYTES + 30), "disk_bytes": blocks * BLOCK_BYTES}
    play(steps, check=same_or_gone, **sizes)
