"""The row of small jobs: what it costs to have two numbers added elsewhere, and how fast it is."""

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import REPOSITORY, Contender, interpreter
from benchmarks.jobs_client import Add, add_by_post, add_by_protocol, served_sample
from benchmarks.jobs_figures import JOBS, JobsSample
from benchmarks.machine import Cores, pinned_to
from benchmarks.processes import ServerFailed, running
from benchmarks.rows import Row

NAME = "jobs"
TITLE = f"{JOBS} jobs that add two numbers, and then one after the other"
RUN_SECONDS = 60.0
STORE = "@STORE@"
"""Stands for a SQLite file of its own."""


@dataclass(frozen=True)
class JobsContender(Contender):
    """Who has jobs done: a program that measures itself, or a server and how it is asked."""

    beside: str = ""
    """With whom it is compared, in the same rounds."""
    add: Add | None = None

    def command_line(self, port: int, row: Row, folder: Path) -> list[str]:
        """The command; its store, if it has one in a file, goes into `folder`."""
        module, *arguments = (
            part.replace(STORE, str(folder / "state.db")) for part in self.command
        )
        ports = [] if self.add is None else [str(port)]
        python = str(interpreter(self.runs))
        return [python, "-m", f"benchmarks.servers.{module}", *ports, *arguments]


def contender_table() -> tuple[JobsContender, ...]:
    """All of them, each after the one it is compared with."""
    sqlite = f"sqlite:{STORE}"

    def here(name: str, beside: str, *command: str) -> JobsContender:
        needs = ("tarry",) if name.startswith("tarry") else ()
        command = ("jobs_here", *(command or (name,)))
        return JobsContender(name, "project", needs, command, frozenset(), beside=beside)

    def served(name: str, add: Add, *store: str) -> JobsContender:
        command = ("jobs_served", *store)
        beside = "quick_server"
        return JobsContender(
            name, "project", ("tarry",), command, frozenset(), beside=beside, add=add
        )

    pebble = ("jobs_here", "pebble")
    quick = ("jobs_quick",)
    return (
        here("thread-pool", "thread-pool"),
        here("tarry-threads", "thread-pool", "tarry-threads", "memory"),
        here("tarry-threads-sqlite", "thread-pool", "tarry-threads", sqlite),
        here("process-pool", "process-pool"),
        JobsContender("pebble", "peers", ("pebble",), pebble, frozenset(), beside="process-pool"),
        here("tarry-processes", "process-pool", "tarry-processes", "memory"),
        here("tarry-processes-sqlite", "process-pool", "tarry-processes", sqlite),
        JobsContender(
            "quick_server", "peers", ("quick-server",), quick, frozenset(),
            beside="quick_server", add=add_by_protocol,
        ),
        served("tarry-as-quick_server", add_by_protocol, "memory"),
        served("tarry-post", add_by_post, "memory"),
        served("tarry-post-sqlite", add_by_post, sqlite),
    )  # fmt: skip


@dataclass
class JobsResult:
    """All rounds of one contender."""

    name: str
    beside: str
    samples: list[JobsSample] = field(default_factory=list)
    problem: str = ""

    def median(self, figure: str) -> float:
        """The median over the rounds."""
        return statistics.median(getattr(sample, figure) for sample in self.samples)

    def ratio(self, other: "JobsResult", figure: str) -> float | None:
        """The median, over the rounds, of a figure as a multiple of another contender's."""
        if self.problem or other.problem or not self.samples:
            return None
        pairs = zip(self.samples, other.samples, strict=True)
        ratios = [getattr(one, figure) / getattr(its, figure) for one, its in pairs]
        return statistics.median(ratios)


def measure_jobs(rounds: int, cores: Cores, say: Callable[[str], None]) -> list[JobsResult]:
    """Have all contenders take turns, each time in a fresh process."""
    table = contender_table()
    results = [JobsResult(one.name, one.beside, problem=one.missing()) for one in table]
    for number in range(1, rounds + 1):
        for one, result in zip(table, results, strict=True):
            if result.problem:
                continue
            try:
                result.samples.append(jobs_sample(one, cores))
            except ServerFailed as error:
                result.problem = str(error)
            say(f"{NAME}: round {number}/{rounds}: {one.name}: {result.problem or 'done'}")
    return results


def jobs_sample(one: JobsContender, cores: Cores) -> JobsSample:
    """One turn of a contender.

    Raises:
        ServerFailed: it did not do what it was to do.
    """
    if one.add is None:
        return own_sample(one, cores)
    row = Row(NAME, TITLE, "/add", None)
    with pinned_to(cores.load), running(one, row, cores) as server:
        return served_sample(server, one.add)


def own_sample(one: JobsContender, cores: Cores) -> JobsSample:
    """What a program has measured of itself, on the core of servers."""
    with tempfile.TemporaryDirectory(prefix="tarry-bench-") as folder, pinned_to(cores.server):
        command = one.command_line(0, Row(NAME, TITLE, "", None), Path(folder))
        try:
            run = subprocess.run(
                command,
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=True,
            )
            return JobsSample(**json.loads(run.stdout.splitlines()[-1]))
        except (subprocess.SubprocessError, ValueError, IndexError) as error:
            raise ServerFailed(f"gave no figures: {error}") from error


# ---- telling -----------------------------------------------------------------------------


def jobs_text(results: list[JobsResult]) -> str:
    """The table of all contenders, each with what it costs beside another one."""
    by_name = {result.name: result for result in results}
    lines = [f"{NAME}: {TITLE}"]
    lines.append(
        f"  {'contender':23} {'jobs/s':>8} {'CPU µs/job':>11} {'p50 µs':>9} {'p99 µs':>9}"
        "   CPU and p50 beside"
    )
    lines += [result_line(result, by_name[result.beside]) for result in results]
    return "\n".join(lines)


def result_line(result: JobsResult, other: JobsResult) -> str:
    """One contender."""
    if result.problem:
        return f"  {result.name}: {result.problem}"
    names = ("jobs_per_second", "cpu_us", "p50_us", "p99_us")
    speed, cost, p50, p99 = (f"{result.median(name):,.0f}".replace(",", " ") for name in names)
    line = f"  {result.name:23} {speed:>8} {cost:>11} {p50:>9} {p99:>9}"
    costs, takes = result.ratio(other, "cpu_us"), result.ratio(other, "p50_us")
    if result is other or costs is None or takes is None:
        return line
    return f"{line}   {costs:.3g} x, {takes:.3g} x {other.name}"


def jobs_document(results: list[JobsResult]) -> list[dict[str, Any]]:
    """All samples, for programs."""
    return [asdict(result) for result in results]
