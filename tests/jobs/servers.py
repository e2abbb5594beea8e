"""Servers of `crash_app`, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tarry.client import Desk
from tarry.state.opening import open_store
from tarry.testing import SocketClient
from tests.waiting.test_stop import connected, free_port

ROOT = Path(__file__).parents[2]

TEMPORARY = "t"
"""The folder of temporary files; sockets lie there, whose paths must not be long."""

PATIENCE = "wait=20"
"""How long a test has a server hold a request; none passes by waiting so long."""


class CrashServer:
    """A server that is to end, and a client of it."""

    def __init__(self, process, store, port, client):
        self.process = process
        self.store = store
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = client

    def begin(self, path, **options):
        """Begin a job; the address of its ticket."""
        headers = {"prefer": "respond-async", **options.pop("headers", {})}
        reply = self.client.post(path, headers=headers, **options)
        assert reply.status == 202, reply.text
        return reply.headers["location"]

    def until(self, ticket, is_so):
        """The document of a ticket, when something is so of it."""
        etag = '"none"'
        while True:
            headers = {"prefer": PATIENCE, "if-none-match": etag}
            reply = self.client.get(ticket, headers=headers)
            if reply.status == 200:
                document = reply.json()
                if is_so(document):
                    return document
                etag = reply.headers["etag"]
            assert reply.status in (200, 304), reply.text

    def running(self, path):
        """Begin a job that tells in which process it is; its ticket and that number."""
        ticket = self.begin(path)
        document = self.until(ticket, lambda document: document["progress"])
        return ticket, document["progress"]["text"]

    def result(self, ticket, **headers):
        """The answer of a job, when it has ended."""
        return self.client.get(f"{ticket}/result", headers={"prefer": PATIENCE, **headers})

    def until_held(self, count):
        """Return when so many requests wait for something."""
        while self.client.get("/held").json() < count:
            """They have not arrived yet."""

    def until_working(self, count):
        """Return when so many jobs run."""
        # The server may not have made the store yet.
        with contextlib.closing(open_store(self.store)) as store, Desk(store) as desk:
            while len(list(desk.waits("working"))) < count:
                """They have not begun yet."""

    def pass_time(self, seconds):
        """Let the clock of the server jump."""
        assert self.client.post(f"/ahead?seconds={seconds}").status < 300

    def kill(self):
        """End it at once, and all that is said to it."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def crash_server(folder, *, store=None):
    """A server with its store and its temporary files in a folder."""
    (folder / TEMPORARY).mkdir(exist_ok=True)
    store, port = store or f"sqlite:{folder / 'state.db'}", free_port()
    environment = {
        **os.environ,
        "CRASH_STORE": store,
        "TMPDIR": str(folder / TEMPORARY),
    }
    command = [sys.executable, "-m", "tests.jobs.crash_app", str(port)]
    with (
        (folder / "log.txt").open("a") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, stdout=log) as process,
    ):
        try:
            connected(port).close()
            with SocketClient(f"http://127.0.0.1:{port}", timeout_s=30) as client:
                yield CrashServer(process, store, port, client)
        finally:
            process.kill()
