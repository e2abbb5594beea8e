"""SIGTERM in the middle of work: everything under way is answered, then the process ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.wire import Wire

REQUESTS = 200
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"

# Prints its URL, then a line once as many requests run as it is told, and lets them go on
# when it has been told to stop.
SCRIPT = """\
import asyncio, signal, sys, threading
from tarry import App

count, lane = int(sys.argv[1]), sys.argv[2]
app = App(max_threads=count)
running = 0
lock = threading.Lock()
go_on = threading.Event()

def enter():
    global running
    with lock:
        running += 1
        if running == count:
            print("all are running", flush=True)

@app.get("/")
async def async_lane():
    enter()
    while not go_on.is_set():
        await asyncio.sleep(0.01)
    return "done"

def thread_lane():
    enter()
    go_on.wait()
    return "done"

if lane == "def":
    app = App(max_threads=count)
    app.add_route("/", thread_lane)

async def main():
    serving = asyncio.ensure_future(app.serve(port=0, access_log=False))
    await serving

import logging
class Announce(logging.Handler):
    def emit(self, record):
        if record.levelno == logging.INFO:
            print(record.getMessage(), flush=True)
logging.getLogger("tarry").addHandler(Announce())
logging.getLogger("tarry").setLevel(logging.INFO)

def let_go():
    # From the console, since signals are the server's.
    sys.stdin.readline()
    go_on.set()

threading.Thread(target=let_go, daemon=True).start()
if sys.argv[3] == "run":
    app.run(port=0, access_log=False)
else:
    asyncio.run(main())
"""


@pytest.fixture
def start(tmp_path):
    """Start the script as a process of its own."""
    script = tmp_path / "server.py"
    script.write_text(SCRIPT)
    processes = []

    def begin(*arguments):
        process = subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        url = process.stdout.readline().split()[1]
        return process, url

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def wait_until_refused(url):
    """Until the server has begun to stop: it takes no connection any more."""
    port = int(url.rpartition(":")[2])
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return
    pytest.fail("the server still takes connections")


@pytest.mark.parametrize("way", ["run", "serve"])
@pytest.mark.parametrize("lane", ["async", "def"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_every_request_under_way_is_answered(start, lane, way, number):
    process, url = start(REQUESTS, lane, way)
    wires = [Wire(url) for _ in range(REQUESTS)]
    for wire in wires:
        wire.send(GET)
    assert process.stdout.readline() == "all are running\n"

    begun_s = time.monotonic()
    process.send_signal(number)
    wait_until_refused(url)
    process.stdin.write("\n")
    process.stdin.flush()

    replies = [wire.read() for wire in wires]
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"done")] * REQUESTS
    assert all(reply.closes for reply in replies)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - begun_s < 10
    assert process.returncode == 0
    assert "Traceback" not in errors
    for wire in wires:
        wire.socket.close()


def test_a_second_signal_cuts_at_once(start):
    process, url = start(1, "async", "run")
    with Wire(url) as wire:
        wire.send(GET)
        assert process.stdout.readline() == "all are running\n"
        process.send_signal(signal.SIGTERM)
        wait_until_refused(url)
        process.send_signal(signal.SIGTERM)

        assert wire.is_closed()
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_stuck_thread_does_not_keep_the_process(start):
    process, url = start(1, "def", "run")
    with Wire(url) as wire:
        wire.send(GET)
        assert process.stdout.readline() == "all are running\n"
        process.send_signal(signal.SIGTERM)
        wait_until_refused(url)
        process.send_signal(signal.SIGTERM)
        assert wire.is_closed()

    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_line_and_status_1(start, tmp_path):
    _, url = start(1, "async", "run")
    port = url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-c", f"from tarry import App; App().run(port={port})"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"tarry: cannot listen on 127.0.0.1:{port}: it is in use; "
        "stop the other program or choose another port"
    ]
