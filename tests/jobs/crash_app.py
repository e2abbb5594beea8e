"""The application of servers that are killed and stopped: its jobs end when a test lets them."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from tarry import App, Upload
from tarry.jobs.job import Job
from tarry.timing import SystemClock

PAUSE_S = 0.01
"""How often a job looks whether it shall end."""


class AheadClock(SystemClock):
    """The clock of the machine, some seconds ahead."""

    ahead_s = 0.0

    def monotonic_s(self):
        return super().monotonic_s() + self.ahead_s

    def wall_s(self):
        return super().wall_s() + self.ahead_s


CLOCK = AheadClock()

# Worker processes import this module too, and have other arguments.
app = App(store=os.environ["CRASH_STORE"])
app.clock = CLOCK


@app.post("/ahead", inline=True)
def ahead(seconds: float):
    """Let time pass."""
    CLOCK.ahead_s += seconds
    app.tick()


@app.get("/held", inline=True)
def held():
    """How many requests wait."""
    return len(app._waiting.parking.holds)


def stay(job):
    """Tell in which process this is, and stay, but for later attempts."""
    job.progress(text=str(os.getpid()))
    while job.attempt == 1:
        job.check()
        threading.Event().wait(PAUSE_S)
    return {"attempt": job.attempt}


@app.job("/thread-once")
def thread_once(job: Job) -> dict:
    return stay(job)


@app.job("/thread-again", retries=1)
def thread_again(job: Job) -> dict:
    return stay(job)


@app.job("/process-once", cpu=True, limit=1)
def process_once(job: Job) -> dict:
    return stay(job)


@app.job("/process-again", cpu=True, limit=1, retries=1)
def process_again(job: Job) -> dict:
    return stay(job)


@app.job("/task-once")
async def task_once(job: Job) -> dict:
    return await stay_on_loop(job)


@app.job("/task-again", retries=1)
async def task_again(job: Job) -> dict:
    return await stay_on_loop(job)


async def stay_on_loop(job):
    job.progress(text=str(os.getpid()))
    if job.attempt == 1:
        await asyncio.Event().wait()
    return {"attempt": job.attempt}


@app.job("/deaf", retries=1)
def deaf(job: Job) -> None:
    """Do not hear that it shall end."""
    job.progress(text="deaf")
    threading.Event().wait()


@app.job("/reads", group="narrow")
def reads(fifo: str, job: Job) -> str:
    """What somebody writes there."""
    job.progress(text="reads")
    return Path(fifo).read_text()


@app.job("/file")
def file(job: Job) -> Path:
    path = job.folder / "digits.txt"
    path.write_text("0123456789")
    return path


@app.job("/first", group="narrow", limit=1)
def first(job: Job) -> dict:
    return stay(job)


@app.job("/add", group="narrow")
def add(a: int, b: int) -> int:
    return a + b


@app.job("/upload", group="narrow")
def upload(file: Upload) -> str:
    return f"{file.filename}: {file.read().decode()}"


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), access_log=False)
