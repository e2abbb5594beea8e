"""The command `python -m fuzz`: options in, one line for each target out."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from random import Random

from fuzz.running import Result, error_of, fuzz
from fuzz.target import Target
from fuzz.targets import TARGETS

FAILURES = Path(__file__).parent / "failures"


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit code is 1 if an input failed."""
    options = parser().parse_args(arguments)
    if options.list:
        print("\n".join(TARGETS))
        return 0
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        print(f"no target {', '.join(unknown)}; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if options.replay:
        if len(options.targets) != 1:
            print("name the target that the file is for", file=sys.stderr)
            return 2
        return replay(TARGETS[options.targets[0]], options.replay)
    chosen = [TARGETS[name] for name in options.targets or TARGETS]
    return max([run(target, options.seconds, options.failures) for target in chosen])


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m fuzz", description="Feed parsers and engines with random and odd input."
    )
    made.add_argument("targets", nargs="*", metavar="TARGET", help="by default all of --list")
    made.add_argument("--seconds", type=float, default=60.0, help="for each target (60)")
    made.add_argument("--replay", type=Path, metavar="FILE", help="try the input of a file once")
    made.add_argument(
        "--failures", type=Path, default=FAILURES, metavar="FOLDER", help="where inputs are kept"
    )
    made.add_argument("--list", action="store_true", help="name the targets")
    return made


def run(target: Target, seconds: float, folder: Path) -> int:
    """Fuzz one target and tell how it went."""
    result = fuzz(target, seconds, Random())
    print(line(target.name, result), flush=True)
    if result.failure is None:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(result.failure.data).hexdigest()[:12]
    file = folder / f"{target.name}-{digest}"
    file.write_bytes(result.failure.data)
    print(f"{result.failure.text}\nagain: python -m fuzz {target.name} --replay {file}", flush=True)
    return 1


def line(name: str, result: Result) -> str:
    """The figures of one target."""
    rate = result.runs / max(result.seconds, 1e-9)
    outcome = "no failure" if result.failure is None else "FAILED"
    return f"{name:14} {result.runs:>9} runs in {result.seconds:5.1f} s, {rate:>7.0f} a second, {outcome}"


def replay(target: Target, file: Path) -> int:
    """Try the input of a file; what it raises is shown as it comes."""
    data = file.read_bytes()
    target.check(data)
    error = error_of(target, data)
    if error is not None:
        raise error
    print(f"{target.name}: {len(data)} bytes, all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
