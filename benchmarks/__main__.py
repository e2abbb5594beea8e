"""The command `python -m benchmarks`: options in, tables and a JSON document out."""

import argparse
import json
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contenders import Contender, contender_table
from benchmarks.jobs import NAME as JOBS
from benchmarks.jobs import TITLE as JOBS_TITLE
from benchmarks.jobs import jobs_document, jobs_text, measure_jobs
from benchmarks.load import missing_tools
from benchmarks.machine import choose_cores, machine_facts, raise_open_files_limit
from benchmarks.measure import Settings, measure_row
from benchmarks.peers import install_peers
from benchmarks.report import document, heading, row_text
from benchmarks.results import RowResult
from benchmarks.routing import NAME as ROUTING
from benchmarks.routing import TITLE as ROUTING_TITLE
from benchmarks.routing import measure_routing, routing_text
from benchmarks.rows import ROWS, YARDSTICK, Row

MIN_OPEN_FILES = 4096


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.install_peers:
        return install_peers()
    if options.list:
        print(listing())
        return 0
    try:
        rows = choose_rows(options.rows)
        with_routing = ROUTING in chosen_row_names(options.rows)
        with_jobs = JOBS in chosen_row_names(options.rows)
        contenders = choose_contenders(options.contenders)
    except LookupError as error:
        return fail(str(error.args[0]))
    if reason := cannot_measure(rows):
        return fail(reason)
    if options.json and not options.json.absolute().parent.is_dir():
        return fail(f"no folder for {options.json}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = Settings(options.rounds, options.seconds, choose_cores(), options.upload_mib)
    if settings.cores.server == settings.cores.load:
        say("one core only: server and load generator share it, so the figures are rough")
    facts, date = machine_facts(), datetime.now(UTC).isoformat(timespec="seconds")
    print(heading(settings, facts), end="\n\n", flush=True)
    routing = measure_routing() if with_routing else []
    if routing:
        print(routing_text(routing), end="\n\n", flush=True)
    jobs = measure_jobs(settings.rounds, settings.cores, say) if with_jobs else []
    if jobs:
        print(jobs_text(jobs), end="\n\n", flush=True)
    results = measure(rows, contenders, settings)
    if options.json:
        versions = {one.name: one.versions() for one in contenders}
        result = document(results, settings, facts, versions, date)
        result[ROUTING] = [asdict(cost) for cost in routing]
        result[JOBS] = jobs_document(jobs)
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Tarry side by side with other servers.",
    )
    made.add_argument("--rows", metavar="NAMES", help="rows to measure, separated by commas")
    made.add_argument("--contenders", metavar="NAMES", help="who takes part besides canned")
    made.add_argument("--rounds", type=positive, default=5, help="turns for everybody (5)")
    made.add_argument("--seconds", type=positive, default=2, help="load per turn (2)")
    made.add_argument(
        "--upload-mib", type=positive, default=256, metavar="MIB", help="size of uploads (256)"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write all raw figures to FILE")
    made.add_argument("--list", action="store_true", help="show rows and contenders, and stop")
    made.add_argument(
        "--install-peers", action="store_true", help="install other servers into .venv-peers"
    )
    return made


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def choose_rows(names: str | None) -> list[Row]:
    """The rows with these names, in the order of the table; all if none are named.

    Raises:
        LookupError: there is no row of a name.
    """
    wanted = chosen_row_names(names)
    return [row for row in ROWS if row.name in wanted]


def chosen_row_names(names: str | None) -> set[str]:
    """The names of rows in a comma list, and of what is measured in another way."""
    return chosen_names("row", names, [*(row.name for row in ROWS), ROUTING, JOBS])


def choose_contenders(names: str | None) -> list[Contender]:
    """The contenders with these names and always the yardstick; all if none are named.

    Raises:
        LookupError: there is no contender of a name.
    """
    table = contender_table()
    wanted = chosen_names("contender", names, [one.name for one in table])
    return [one for one in table if one.name in wanted | {YARDSTICK}]


def chosen_names(kind: str, names: str | None, known: list[str]) -> set[str]:
    """The names in a comma list; a name that is not known is an error."""
    if names is None:
        return set(known)
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    if unknown := sorted(wanted - set(known)):
        raise LookupError(f"no {kind} named {', '.join(unknown)}; known: {', '.join(known)}")
    return wanted


def cannot_measure(rows: list[Row]) -> str:
    """Why nothing can be measured here, as one line; empty if all is well."""
    if sys.platform != "linux":
        return "the benchmarks read /proc and need Linux"
    if missing := missing_tools({row.tool for row in rows}):
        return missing
    if (limit := raise_open_files_limit()) < MIN_OPEN_FILES:
        return f"only {limit} open files allowed, {MIN_OPEN_FILES} needed (ulimit -n)"
    return contender_table()[0].missing()


def measure(rows: list[Row], contenders: list[Contender], settings: Settings) -> list[RowResult]:
    """Measure the rows one after the other and print each table when it is ready."""
    results = []
    for row in rows:
        able = [one for one in contenders if row.name in one.rows]
        results.append(measure_row(row, able, settings, say))
        print(row_text(results[-1]), end="\n\n", flush=True)
    return results


def listing() -> str:
    """Rows, and contenders with their versions or what they miss."""
    lines = ["rows:"]
    lines += [f"  {row.name:23} {row.title}" for row in ROWS]
    lines.append(f"  {ROUTING:23} {ROUTING_TITLE}")
    lines.append(f"  {JOBS:23} {JOBS_TITLE}")
    lines.append("contenders:")
    for one in contender_table():
        versions = ", ".join(f"{name} {version}" for name, version in one.versions().items())
        lines.append(f"  {one.name:23} {one.missing() or versions}")
    return "\n".join(lines)


def say(line: str) -> None:
    """Tell the person who waits."""
    print(line, file=sys.stderr, flush=True)


def fail(reason: str) -> int:
    """Report an error in one line; returns the exit code for it."""
    say(f"benchmarks: {reason}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(fail("interrupted"))
