"""Rounds and samples: from contenders to the raw figures of one row.

All contenders of a row take turns in every round, the canned reply first, so
that whatever disturbs the machine disturbs all of them.  The ratio to the
canned reply of the same round is what survives the noise.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.contenders import Contender
from benchmarks.idle import idle_bytes_per_connection
from benchmarks.load import Load, LoadFailed, run_load
from benchmarks.machine import Cores, pinned_to
from benchmarks.parked import parked_sample
from benchmarks.processes import Server, ServerFailed, cpu_seconds, running
from benchmarks.results import Cell, RowResult, Sample
from benchmarks.rows import Row
from benchmarks.uploads import upload_sample
from benchmarks.verify import row_for, verify

WARM_UP_SECONDS = 1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How much is measured, and where."""

    rounds: int
    seconds: int
    cores: Cores
    upload_mib: int = 256


def measure_row(row: Row, contenders: list[Contender], settings: Settings, say: Say) -> RowResult:
    """Measure one row; what goes wrong with a contender is told in its cell."""
    cells = {one: Cell(one.name, problem=one.missing()) for one in contenders}
    for cell in cells.values():
        if cell.problem:
            say(f"{row.name}: {cell.contender}: {cell.problem}")
    present = {one: cell for one, cell in cells.items() if not cell.problem}
    with pinned_to(settings.cores.load):
        if row.tool in ("idle", "upload", "parked"):
            measure_afresh(row, present, settings, say)
        else:
            measure_under_load(row, present, settings, say)
    return RowResult(row, list(cells.values()))


def measure_under_load(
    row: Row, cells: dict[Contender, Cell], settings: Settings, say: Say
) -> None:
    """Start everybody once, then take turns under load."""
    with ExitStack() as stack:
        servers: dict[Contender, Server] = {}
        for one, cell in cells.items():
            say(f"{row.name}: starting {one.name}")
            try:
                its_row = row_for(one, row)
                servers[one] = stack.enter_context(running(one, its_row, settings.cores))
                verify(servers[one], its_row)
                run_load(its_row, servers[one].port, WARM_UP_SECONDS)
            except (ServerFailed, LoadFailed) as error:
                cell.problem = str(error)
                say(f"{row.name}: {one.name}: {error}")
        for number in range(1, settings.rounds + 1):
            for one, cell in cells.items():
                if cell.problem:
                    continue
                cell.add(load_sample(servers[one], row_for(one, row), settings.seconds))
                say(progress_line(row, number, settings, cell))


def load_sample(server: Server, row: Row, seconds: int) -> Sample:
    """One load on one server, with the CPU time that the server took for it."""
    cpu_before, begin = cpu_seconds(server.pid), time.perf_counter()
    try:
        load = run_load(row, server.port, seconds)
    except LoadFailed as error:
        return Sample(problem=str(error))
    elapsed_seconds = time.perf_counter() - begin
    return sample_of(load, cpu_seconds(server.pid) - cpu_before, elapsed_seconds)


def sample_of(load: Load, used_cpu_seconds: float, elapsed_seconds: float) -> Sample:
    """The sample that a load and the CPU time spent on it make."""
    if load.requests == 0 or used_cpu_seconds <= 0:
        return Sample(problem=load.problem or "no request was answered")
    return Sample(
        cost=used_cpu_seconds * 1e6 / load.requests,
        requests=load.requests,
        requests_per_second=load.requests_per_second,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        server_busy=used_cpu_seconds / elapsed_seconds,
        problem=load.problem,
    )


def measure_afresh(row: Row, cells: dict[Contender, Cell], settings: Settings, say: Say) -> None:
    """Measure memory in a fresh process per round, because processes keep what they once had."""
    for number in range(1, settings.rounds + 1):
        for one, cell in cells.items():
            if cell.problem:
                continue
            try:
                with running(one, row, settings.cores) as server:
                    cell.add(afresh_sample(server, row, settings))
            except ServerFailed as error:
                cell.add(Sample(problem=str(error)))
            say(progress_line(row, number, settings, cell))


def afresh_sample(server: Server, row: Row, settings: Settings) -> Sample:
    """What a row measures in a process of its own: connections that wait, or an upload."""
    if row.tool == "upload":
        return upload_sample(server, row, settings.upload_mib)
    if row.tool == "parked":
        return parked_sample(server, row)
    verify(server, row)
    return Sample(cost=idle_bytes_per_connection(server))


def progress_line(row: Row, number: int, settings: Settings, cell: Cell) -> str:
    """What the person who waits sees after each sample."""
    sample = cell.samples[-1]
    head = f"{row.name}: round {number}/{settings.rounds}: {cell.contender}:"
    return f"{head} {sample.problem or f'{sample.cost:.4g} {row.unit}'}"
