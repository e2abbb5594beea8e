"""The machine that is measured on: its cores, and the facts that belong to a result."""

import os
import platform
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """The core for the server under test and the one for the load generator."""

    server: int
    load: int


def choose_cores() -> Cores:
    """Two cores that share no execution units where possible; the same one twice if alone."""
    usable = sorted(os.sched_getaffinity(0))
    server, others = usable[0], usable[1:]
    apart = [core for core in others if core not in hardware_siblings(server)]
    return Cores(server, (apart or others or usable)[0])


def hardware_siblings(core: int) -> set[int]:
    """Cores that are hyper-threads of the same physical core, itself included."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return parse_core_list(path.read_text())
    except OSError:
        return {core}


def parse_core_list(text: str) -> set[int]:
    """The cores of a Linux core list such as `0-3,8`."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


@contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Run the body on one core; processes started in it inherit the core and stay there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_open_files_limit() -> int:
    """Allow as many open files as this user may have; returns that number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def machine_facts() -> dict[str, object]:
    """What a reader needs to know about the machine to judge the figures."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": first_line(["git", "describe", "--always", "--dirty"]),
        "wrk": first_line(["wrk", "-v"]),
        "h2load": first_line(["h2load", "--version"]),
        "load_average_at_start": os.getloadavg(),
    }


def cpu_model() -> str:
    """The name of the processor, or its architecture where the system does not tell."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def first_line(command: list[str]) -> str:
    """What a program says first, usually its version; `unknown` if it cannot say."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    lines = run.stdout.splitlines()
    return lines[0].strip() if lines else "unknown"
