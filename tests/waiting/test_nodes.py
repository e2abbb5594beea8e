from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tarry.state.memory import MemoryStore
from tarry.testing import JumpingClock
from tarry.waiting import nodes
from tarry.waiting.ledger import Ledger
from tarry.waiting.records import Record
from tarry.waiting.tokens import new_id, new_secret, wake_token

PRINT_NAME = (
    f"import runpy; print(runpy.run_path({nodes.__file__!r})['this_process'](), flush=True)"
)


@pytest.fixture
def other():
    """Another process, and its name."""
    command = [sys.executable, "-c", f"{PRINT_NAME}; input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def ended(process) -> None:
    process.kill()
    process.wait()


def changed(name: str, **parts: str) -> str:
    pid, start, host, mark = name.replace("@", ":").split(":")
    parts = {"pid": pid, "start": start, "host": host, "mark": mark, **parts}
    return "{pid}:{start}@{host}:{mark}".format_map(parts)


def test_a_process_has_one_name():
    assert nodes.this_process() == nodes.this_process()
    assert str(os.getpid()) in nodes.this_process()


def test_the_one_that_asks_has_not_ended():
    assert not nodes.have_ended(nodes.this_process())


def test_a_process_has_ended_when_it_is_killed(other):
    process, name = other
    assert not nodes.have_ended(name)

    ended(process)

    assert nodes.have_ended(name)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells")
def test_a_process_has_ended_before_its_parent_has_looked(other):
    process, name = other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # leaves it as it is

    assert nodes.have_ended(name)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells")
def test_a_number_that_is_used_again_is_another_process(other):
    assert nodes.have_ended(changed(other[1], start="1"))


@pytest.mark.parametrize("part", [{"host": "elsewhere"}, {"mark": "0" * 12}])
def test_of_another_host_or_container_nothing_is_known(other, part):
    process, name = other
    ended(process)

    assert not nodes.have_ended(changed(name, **part))


@pytest.mark.parametrize("name", ["", "x", "@", "0", "abc:1@" + "h", "9" * 30 + ":1@h"])
def test_of_what_is_no_name_nothing_is_known(name):
    assert not nodes.have_ended(name)
    mine = nodes.this_process().partition("@")[2]
    assert not nodes.have_ended(f"{name}@{mine}")


def test_several_have_ended_when_all_have(other):
    process, name = other
    both = nodes.together(nodes.together(name, nodes.this_process()), name)
    ended(process)

    assert both == f"{name} {nodes.this_process()}"
    assert not nodes.have_ended(both)
    assert nodes.have_ended(nodes.together("", name))


# ---- the waits of a process ------------------------------------------------------------------


def a_record(node: str, **fields) -> Record:
    return Record(
        new_id(), new_secret(), created_s=0, deadline_s=JumpingClock().wall_s() + 60, keep_s=60,
        node=node, **fields,
    )  # fmt: skip


@pytest.fixture
def ledger():
    return Ledger(MemoryStore(), JumpingClock())


def test_a_wait_of_a_process_that_has_ended_cannot_be_woken(ledger, other):
    process, name = other
    record = ledger.add(a_record(name)).result()
    ended(process)

    token = wake_token(record.id, record.secret)

    assert ledger.wake(token, b"1").result().accepted is False
    assert ledger.wake(token, b"1").result().accepted is False
    assert ledger.find(token).result().state == "cancelled"


def test_under_its_key_a_next_one_can_wait(ledger, other):
    process, name = other
    ledger.add(a_record(name, key="k")).result()
    ended(process)
    assert ledger.wake("k", b"1").result().accepted is False

    ledger.add(a_record(nodes.this_process(), key="k")).result()

    assert ledger.wake("k", b"1").result().accepted is True


def test_a_durable_wait_outlives_its_process(ledger, other):
    process, name = other
    record = ledger.add(a_record(name, durable=True)).result()
    ended(process)

    assert ledger.wake(wake_token(record.id, record.secret), b"1").result().accepted is True


@pytest.mark.parametrize("joining", [{"node": nodes.this_process()}, {"durable": True}])
def test_a_wait_that_others_have_joined_goes_on_with_them(ledger, other, joining):
    process, name = other
    first = ledger.add(a_record(name, key="k")).result()
    joined = ledger.add(a_record(**{"node": name, "key": "k", **joining})).result()
    ended(process)

    assert joined.id == first.id
    assert ledger.wake("k", b"1").result().accepted is True
