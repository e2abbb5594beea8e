"""Functions of jobs, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tarry import HttpError, Response, SendFile, Upload
from tarry.jobs.job import Job


def nothing():
    """Return at once."""


def add(a: int, b: int = 1):
    return {"sum": a + b}


def where():
    return {"pid": os.getpid(), "thread": threading.current_thread().name}


def text():
    return "a text"


def raw():
    return b"\x00\xff"


def length(data: bytes):
    return len(data)


def created():
    return Response({"made": True}, 201, headers={"x-made": "yes"})


def written(job: Job):
    path = job.folder / "result.txt"
    path.write_text(f"of {job.id}, attempt {job.attempt}")
    return path


def written_elsewhere(job: Job):
    os.chdir(job.folder)
    Path("result.txt").write_text("here")
    return SendFile(Path("result.txt"), download="there.txt")


def yields():
    return (number for number in range(3))


def read_upload(file: Upload, job: Job):
    return {"name": file.filename, "type": file.content_type, "text": file.read().decode()}


def read_uploads(files: list[Upload]):
    return [file.read().decode() for file in files]


def refuses():
    raise HttpError(409, "not now \udcff")


def raises():
    raise KeyError("what nobody expects \udcff")


def leaves():
    sys.exit(3)


def returns(size_bytes: int):
    return "x" * size_bytes


def unencodable():
    return {"it": object()}


def steps(count: int, job: Job):
    for number in range(count):
        job.progress(number, count, f"step {number}")


def lines(count: int, job: Job):
    for number in range(count):
        job.log(f"line {number}")


def mixed(count: int, job: Job):
    for number in range(count):
        job.progress(number)
        job.log(str(number))


def late(fifo: str, job: Job):
    """Tell two steps at once, and go on without telling more."""
    job.progress(1)
    job.progress(2)
    with Path(fifo).open("rb") as file:
        file.read()


def until_cancelled(job: Job):
    number = 0
    while True:
        job.progress(number)
        number += 1


def pids(job: Job):
    """Compute for ever, beside a program that does nothing for ever."""
    program = subprocess.Popen(["sleep", "3600"])
    job.log(f"{os.getpid()} {program.pid}")
    while True:
        sum(range(1000))


def ended_by(number: int, job: Job):
    job.log("a last word")
    os.kill(os.getpid(), number)
    signal.pause()


def exits(status: int):
    os._exit(status)


def forks_and_exits():
    """Leave a process behind that has all that this one has."""
    if os.fork():
        os._exit(7)
    signal.pause()


def uses_processes():
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(abs, [-1, -2])


def same(text: str):
    return text


def told_later(job: Job):
    kept.append(job)


kept: list[Job] = []


def tells_with_kept(job: Job):
    kept[0].log("too late")
    job.log("in time")


async def answers(value: int, job: Job):
    job.progress(1, 2)
    return {"value": value}
