"""Processes by name: which one made a wait, and whether it has ended, where that can be known.

A name tells the number and the start of the process, since numbers are used
again, and the host.  In containers numbers mean something else, and hosts can
share a name: so the start of the system and the namespace of the numbers
(pid_namespaces(7) of Linux) belong to the host's name.
"""

import functools
import os
import socket
from hashlib import blake2b
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_START: Final = 22
"""The field of /proc/PID/stat with the start, in ticks since that of the system; see proc(5)."""

_STATE: Final = 3
_ENDED: Final = {"Z", "X", "x"}
"""States of a process that has ended and whose parent has not looked yet."""


def this_process() -> str:
    """The name of the process that asks, which may be a fork of the one that asked before."""
    return _name_of(os.getpid())


@functools.cache
def _name_of(pid: int) -> str:
    return f"{pid}:{_start_of(pid)}@{_host()}"


def together(names: str, name: str) -> str:
    """The names of several processes in one text."""
    return names if name in names.split() else f"{names} {name}".strip()


def have_ended(names: str) -> bool:
    """Whether all processes that are named have ended; false where that cannot be known."""
    return bool(names) and all(_has_ended(name) for name in names.split())


def _has_ended(name: str) -> bool:
    process, _, host = name.partition("@")
    pid, _, start = process.partition(":")
    if name == this_process() or host != _host() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)  # reaches nobody, and tells whether there is somebody
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    fields = _fields_of(int(pid))
    if len(fields) < _START:
        return False
    return fields[_STATE - 1] in _ENDED or fields[_START - 1] != start


def _start_of(pid: int) -> str:
    fields = _fields_of(pid)
    return fields[_START - 1] if len(fields) >= _START else ""


def _fields_of(pid: int) -> list[str]:
    """The fields of a process; none where the system has no such file, or hides it."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    # The second field is the name of the program in parentheses, with whatever is in it.
    before, _, after = text.rpartition(")")
    return [*before.split(" ", 1), *after.split()]


@functools.cache
def _host() -> str:
    """The name of this host, and a mark of what else its process numbers depend on."""
    marks = []
    try:
        marks.append((_PROC / "sys/kernel/random/boot_id").read_text())
        marks.append(str((_PROC / "self/ns/pid").readlink()))
    except OSError:
        """Another system, on which the name has to do."""
    mark = blake2b("".join(marks).encode(), digest_size=6).hexdigest()
    return f"{'_'.join(socket.gethostname().split())}:{mark}"
