"""Servers as processes: start one on a free port, read what it used, and end it for sure."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import REPOSITORY, Contender
from benchmarks.machine import Cores, pinned_to
from benchmarks.rows import Row

START_SECONDS = 20.0
STOP_SECONDS = 5.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ServerFailed(Exception):
    """A server did not start, or answered wrongly; the text is one line for the report."""


@dataclass(frozen=True)
class Server:
    """A running contender; `pid` is the root of its process tree."""

    pid: int
    port: int
    folder: Path
    """What it may write goes here, and is deleted when it ends."""


@contextmanager
def running(contender: Contender, row: Row, cores: Cores) -> Iterator[Server]:
    """Serve `row` with `contender` on the server core while the body runs.

    Raises:
        ServerFailed: it ended or did not accept a connection within `START_SECONDS`.
    """
    with tempfile.TemporaryDirectory(prefix="tarry-bench-") as folder_name:
        folder = Path(folder_name)
        log = folder / "log.txt"
        port = free_port()
        with log.open("wb") as output, pinned_to(cores.server):
            process = subprocess.Popen(
                contender.command_line(port, row, folder),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until_accepting(process, port, log)
            yield Server(process.pid, port, folder)
        finally:
            end(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_accepting(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the server accepts a connection; raise `ServerFailed` if it never does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"did not start: {last_line(log)}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise ServerFailed(f"accepts no connection after {START_SECONDS:g} s: {last_line(log)}")


def last_line(log: Path) -> str:
    """The last thing that a server wrote, which is most often its error."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and its children: asked first, then by force; never waits for long.

    Each server is started in a session of its own, so its process group holds
    nothing but what this benchmark started.
    """
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and its descendants have used, dead children included."""
    return sum(stat_cpu_seconds(read_stat(member)) for member in process_tree(pid))


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; shared pages count in each."""
    total = 0
    for member in process_tree(pid):
        with suppress(OSError):
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE_BYTES
    return total


def forget_peak_rss(pid: int) -> None:
    """Have `peak_rss_bytes` count from now on (clear_refs in proc(5))."""
    for member in process_tree(pid):
        with suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text("5")


def peak_rss_bytes(pid: int) -> int:
    """The most resident memory that a process and its descendants have had, each at its time."""
    total = 0
    for member in process_tree(pid):
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{member}/status").read_text())
            total += int(found[1]) * 1024 if found else 0
    return total


def process_tree(pid: int) -> list[int]:
    """A process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := read_stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, ()))
    return tree


def read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty if the process is gone.

    The name before them is in parentheses and may hold spaces, see proc(5).
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def stat_cpu_seconds(fields: list[str]) -> float:
    """utime, stime, cutime and cstime together (fields 14 to 17 in proc(5))."""
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND
