"""A server in a process of its own, whose memory can be measured while it is attacked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Apart:
    """Runs a module that prints its URL and serves until its standard input ends.

    `PYTHONOPTIMIZE` reaches it, so that it runs as the tests do.
    """

    def __init__(self, module):
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.communicate()  # which ends its standard input
        assert self.process.returncode == 0

    def memory(self, name):
        """What proc(5) says of its memory, in bytes: `VmRSS` now, `VmHWM` at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = (line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024

    def forget_peak(self):
        """Count the peak from now on (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
