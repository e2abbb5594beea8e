"""Jobs in processes, as servers have them that are started in one way or the other."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.jobs.runners.test_processes import exists, gone_in_time

ROOT = Path(__file__).parents[3]

JOBS = """
import os, subprocess, sys, threading
from pathlib import Path
from tarry import App
from tarry.jobs.attempts import Attempt
from tarry.jobs.callables import job_function
from tarry.jobs.job import Job
from tarry.jobs.orders import Order
from tarry.jobs.runners.processes import ProcessRunner

app = App()

def where():
    print("printed by the job")
    return f"{__name__} {os.getpid()}"

def for_ever(job: Job):
    program = subprocess.Popen(["sleep", "3600"])
    job.log(f"{os.getpid()} {program.pid}")
    while True:
        sum(range(1000))

class Heard:
    def __init__(self):
        self.has_ended = threading.Event()
    def told(self, told):
        print(told.line, flush=True)
    def ended(self, ended):
        print("ended", ended, flush=True)
        self.has_ended.set()

def perform(function):
    known = job_function(function)
    known.check_found()
    runner = ProcessRunner({known.name: known}, 1)
    heard = Heard()
    runner.start(Attempt("job-1", 1, Order(known.name, {}), Path("nowhere"), None), heard)
    heard.has_ended.wait()
    return runner
"""

CLOSING = 'perform(where).close(20); print("closed")'
FOR_EVER = "perform(for_ever)"


def guarded(code):
    return f'{JOBS}\nif __name__ == "__main__":\n{textwrap.indent(code, "    ")}\n'


def run(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_function_is_in_the_file_that_was_started(tmp_path):
    (tmp_path / "app.py").write_text(guarded(CLOSING))

    done = run("app.py", folder=tmp_path)

    assert "__mp_main__" in done.stdout
    assert "printed by the job" in done.stdout
    assert done.stdout.endswith("closed\n")
    assert done.stderr == ""


@pytest.mark.parametrize("target", ["package", "package.app"])
def test_the_function_is_in_the_module_that_was_started(tmp_path, target):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    for name in ("__main__.py", "app.py"):
        (tmp_path / "package" / name).write_text(guarded(CLOSING))

    done = run("-m", target, folder=tmp_path)

    assert "printed by the job" in done.stdout
    assert done.stdout.endswith("closed\n")


@pytest.mark.parametrize("name", ["app", "json"])
def test_the_function_is_in_a_file_that_tarry_run_has_loaded(tmp_path, name):
    """That of a name which is taken already is loaded under another one."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / f"{name}.py").write_text(JOBS)
    loading = f"""
        import json, sys
        from tarry.commands.loading import load_app
        load_app("site/{name}.py:app")
        module = sys.modules.get("_tarry_{name}") or sys.modules["{name}"]
        module.perform(module.where).close(20)
        print("closed")
    """

    done = run("-c", textwrap.dedent(loading), folder=tmp_path)

    assert ("_tarry_json" if name == "json" else "app ") in done.stdout
    assert done.stdout.endswith("closed\n")


@pytest.mark.parametrize("serve", ["app.run()", "app.start()", "asyncio.run(app.serve())"])
def test_a_process_does_not_serve_when_it_imports_the_file(tmp_path, serve):
    """A call that is not below the usual `if`; the server comes to it later."""
    code = f"""
import asyncio
if __name__ == "__main__":
    perform(where).close(20)
else:
    {serve}
    print("it serves")
"""
    (tmp_path / "app.py").write_text(JOBS + code)

    done = run("app.py", folder=tmp_path)

    assert "could not be started" in done.stdout
    assert "it serves" not in done.stdout
    assert 'below: if __name__ == "__main__":' in done.stderr


@contextlib.contextmanager
def server(folder):
    (folder / "app.py").write_text(guarded(FOR_EVER))
    command = [sys.executable, "app.py"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_server(tmp_path, number):
    with server(tmp_path) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(exists, pids))

        process.send_signal(number)

        process.wait(20)
        assert gone_in_time(*pids)
