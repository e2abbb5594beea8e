"""What is measured of small jobs, and the figures of one program in one round."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

JOBS = 1_000
"""Jobs that are submitted at once, each of which adds two numbers."""

WORKERS = 4
"""Threads or processes that a pool may have."""

SINGLES = 200
MAX_SINGLES_SECONDS = 3.0
"""Jobs that are done one after the other, as far as they fit into so long."""


@dataclass(frozen=True)
class JobsSample:
    """Small jobs in one program in one round; `problem` is empty when the figures count."""

    jobs_per_second: float = 0.0
    cpu_us: float = 0.0
    """CPU time of the whole process tree for one job, of many at once."""
    p50_us: float = 0.0
    """From submitting one job to its result, while there are no others."""
    p99_us: float = 0.0
    problem: str = ""


async def figures(
    timed: Callable[[int], Awaitable[float]], elapsed_seconds: float, cpu_seconds: float
) -> JobsSample:
    """The figures of `JOBS` jobs at once, and of some that are timed now, one by one."""
    end = time.perf_counter() + MAX_SINGLES_SECONDS
    latencies = [await timed(number) for number in range(2)]
    while len(latencies) < SINGLES and time.perf_counter() < end:
        latencies.append(await timed(len(latencies)))
    return JobsSample(
        jobs_per_second=JOBS / elapsed_seconds,
        cpu_us=1e6 * cpu_seconds / JOBS,
        p50_us=1e6 * statistics.median(latencies),
        p99_us=1e6 * statistics.quantiles(latencies, n=100)[98],
    )
