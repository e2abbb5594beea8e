"""Small jobs in one program, measured by itself: `… jobs_here KIND [STORE]` prints figures as JSON.

KIND is `thread-pool`, `process-pool`, `pebble`, `tarry-threads` or `tarry-processes`.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from benchmarks.jobs_figures import JOBS, WORKERS, figures
from benchmarks.processes import process_tree, read_stat, stat_cpu_seconds

Submit = Callable[[int, int], Awaitable[int]]


def add(a: int, b: int) -> int:
    return a + b


def used_cpu_seconds() -> float:
    """CPU time of this process, exactly, and of its children."""
    children = process_tree(os.getpid())[1:]
    return time.process_time() + sum(stat_cpu_seconds(read_stat(child)) for child in children)


async def measure(submit: Submit) -> None:
    """Many at once, after as many as there are workers, then one after the other."""

    async def one(number: int) -> None:
        if await submit(number, 1) != number + 1:
            raise ValueError("wrong sum")

    await asyncio.gather(*map(one, range(WORKERS)))
    cpu_before, begin = used_cpu_seconds(), time.perf_counter()
    await asyncio.gather(*map(one, range(JOBS)))
    elapsed_seconds = time.perf_counter() - begin
    cpu_seconds = used_cpu_seconds() - cpu_before

    async def timed(number: int) -> float:
        begin = time.perf_counter()
        await one(number)
        return time.perf_counter() - begin

    sample = await figures(timed, elapsed_seconds, cpu_seconds)
    print(json.dumps(asdict(sample)), flush=True)


async def measure_pool(pool: Executor) -> None:
    """An executor of Python's own."""
    with pool:
        await measure(lambda a, b: asyncio.wrap_future(pool.submit(add, a, b)))


async def measure_pebble() -> None:
    """Pebble's pool of processes, imported here, as only this kind needs it."""
    from pebble import ProcessPool

    with ProcessPool(max_workers=WORKERS) as pool:

        def submit(a: int, b: int) -> Awaitable[int]:
            future: Future[int] = pool.schedule(add, args=(a, b))
            return asyncio.wrap_future(future)

        await measure(submit)


async def measure_tarry(store: str, *, cpu: bool) -> None:
    """Tarry without a client: jobs that the program itself submits."""
    from tarry import App  # here, as peers have an interpreter without it

    app = App(store=store, max_queued_jobs=JOBS)
    app.job(cpu=cpu, limit=WORKERS)(add)
    await app.startup()
    submit: Any = app.jobs.submit
    await measure(lambda a, b: submit(add, a, b))
    app.drain()
    await app.shutdown()


def main() -> None:
    """Measure what the command line names."""
    kind, *store = sys.argv[1:]
    measured = {
        "thread-pool": lambda: measure_pool(ThreadPoolExecutor(WORKERS)),
        "process-pool": lambda: measure_pool(ProcessPoolExecutor(WORKERS)),
        "pebble": measure_pebble,
        "tarry-threads": lambda: measure_tarry(*store, cpu=False),
        "tarry-processes": lambda: measure_tarry(*store, cpu=True),
    }
    asyncio.run(measured[kind]())


if __name__ == "__main__":
    main()
