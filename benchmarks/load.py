"""The load generators: wrk for HTTP/1.1 and h2load for HTTP/2, and what their output says."""

import json
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Row

CONNECTIONS = 64
HTTP2_CONNECTIONS = 16
HTTP2_STREAMS = 8
HTTP2_REQUESTS = 48_000
"""3 000 for each connection: servers end a connection after some number (nginx by default
after 1 000, Tarry after 4 000), and h2load counts what it did not get then as failed."""
GRACE_SECONDS = 20.0
"""How long a load generator may run beyond the time it was asked for."""

UNITS_IN_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}

POST_SCRIPT = """wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
"""


class LoadFailed(Exception):
    """A load generator ended without a result; the text is one line for the report."""


@dataclass(frozen=True)
class Load:
    """What a load generator saw. `problem` is empty when every answer was a good one."""

    requests: int
    requests_per_second: float
    p50_us: float | None
    p99_us: float | None
    problem: str = ""


def missing_tools(tools: set[str]) -> str:
    """The load generators that are not on PATH and how to get them; empty if all are there."""
    package = {"wrk": ("wrk", "wrk"), "h2load": ("h2load nghttp", "nghttp2-client")}
    wanted = [package[tool] for tool in sorted(tools | {"wrk"}) if tool in package]
    missing = [
        (program, install)
        for programs, install in wanted
        for program in programs.split()
        if shutil.which(program) is None
    ]
    if not missing:
        return ""
    programs = ", ".join(program for program, _ in missing)
    install = " ".join(sorted({install for _, install in missing}))
    return f"missing: {programs} (apt-get install {install})"


def run_load(row: Row, port: int, seconds: int) -> Load:
    """Put the load of `row` on a server for `seconds`.

    Raises:
        LoadFailed: the generator could not run to its end.
    """
    return run_h2load(row, port, seconds) if row.tool == "h2load" else run_wrk(row, port, seconds)


def run_wrk(row: Row, port: int, seconds: int) -> Load:
    """HTTP/1.1 load from one thread with 64 connections."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    url = f"http://127.0.0.1:{port}{row.path}"
    if row.post is None:
        return parse_wrk(run_tool([*command, url], seconds))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(POST_SCRIPT.format(body=json.dumps(row.post)))
        script.flush()
        return parse_wrk(run_tool([*command, "-s", script.name, url], seconds))


def run_h2load(row: Row, port: int, seconds: int) -> Load:
    """HTTP/2 load (prior knowledge): 16 connections of 8 streams, a fixed number of requests."""
    with tempfile.TemporaryDirectory(prefix="tarry-bench-") as folder:
        log = Path(folder) / "requests.tsv"
        shape = [f"-c{HTTP2_CONNECTIONS}", f"-m{HTTP2_STREAMS}", f"-n{HTTP2_REQUESTS}"]
        url = f"http://127.0.0.1:{port}{row.path}"
        output = run_tool(["h2load", *shape, f"--log-file={log}", url], seconds)
        return parse_h2load(output, log.read_text())


def run_tool(command: list[str], seconds: float) -> str:
    """The output of a load generator, which is ended if it runs for too long."""
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{command[0]} was still running after {error.timeout:g} s") from error
    if run.returncode != 0:
        lines = (run.stderr or run.stdout).strip().splitlines() or ["no output"]
        raise LoadFailed(f"{command[0]} failed: {lines[-1]}")
    return run.stdout


def parse_wrk(output: str) -> Load:
    """Read the report that wrk prints.

    Raises:
        LoadFailed: the report has no count of requests.
    """
    done = re.search(r"(\d+) requests in ", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not done or not rate:
        raise LoadFailed("wrk printed no result")
    problems = []
    if bad := re.search(r"Non-2xx or 3xx responses: (\d+)", output):
        problems.append(f"{bad[1]} answers not 2xx")
    if errors := re.search(r"Socket errors: (.+)", output):
        problems.append(f"socket errors: {errors[1]}")
    return Load(
        requests=int(done[1]),
        requests_per_second=float(rate[1]),
        p50_us=wrk_percentile(output, 50),
        p99_us=wrk_percentile(output, 99),
        problem="; ".join(problems),
    )


def wrk_percentile(output: str, percent: int) -> float | None:
    """One line of wrk's latency distribution, in microseconds."""
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m|h)\s*$", output, re.MULTILINE)
    return float(found[1]) * UNITS_IN_US[found[2]] if found else None


def parse_h2load(output: str, request_log: str) -> Load:
    """Read the report that h2load prints and its log of single requests.

    Raises:
        LoadFailed: the report has no count of requests.
    """
    counts = re.search(r"requests: .*?(\d+) succeeded, (\d+) failed, (\d+) errored", output)
    rate = re.search(r"finished in [^,]+, ([\d.]+) req/s", output)
    codes = re.search(r"status codes: (\d+) 2xx", output)
    if not counts or not rate or not codes:
        raise LoadFailed("h2load printed no result")
    good, (succeeded, failed, errored) = int(codes[1]), (int(count) for count in counts.groups())
    problems = []
    if failed or errored:
        problems.append(f"{failed} requests failed, {errored} errored")
    if good < succeeded:
        problems.append(f"{succeeded - good} answers not 2xx")
    durations_us = [int(line.split("\t")[2]) for line in request_log.splitlines()]
    return Load(
        requests=succeeded,
        requests_per_second=float(rate[1]),
        p50_us=percentile(durations_us, 50),
        p99_us=percentile(durations_us, 99),
        problem="; ".join(problems),
    )


def percentile(values: list[int], percent: int) -> float | None:
    """The value that `percent` of the values do not exceed; `None` for too few values."""
    if len(values) < 2:
        return None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
