"""A process that uses a store, for tests that need two: `other_process.py ADDRESS COMMAND …`."""

from __future__ import annotations

import sys
import threading

from tarry.state.opening import open_store
from tarry.state.store import Put


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def increment(store, key, count):
    """Count in a key; all at once, so that transactions of both processes meet."""

    def change(entries):
        return [Put(b"%d" % (int(entries[0].value) + 1 if entries[0] else 1))]

    for future in [store.update([key], change) for _ in range(int(count))]:
        future.result(30)
    say("done")


def write(store, key):
    """Write a key for each line that comes."""
    store.poll().result(30)
    say("ready")
    for line in sys.stdin:
        store.update([key], lambda _, line=line: [Put(line.strip().encode())]).result(30)
        say("written")


def watch(store):
    """Say what others have written, once they have."""
    news = threading.Event()
    store.watch(news.set)
    version = store.changes(-1).result(30).version
    say("ready")
    while news.wait(30):
        news.clear()
        changes = store.changes(version).result(30)
        version = changes.version
        if changes.keys:
            say(*changes.keys)
            return


def acknowledge(store):
    """Write numbers for ever, and print each that has been written."""
    number = 0
    while True:
        number += 1
        future = store.update([f"n{number}"], lambda _, number=number: [Put(b"%d" % number)])
        store.append("numbers", [b"%d" % number], keep=10**9)
        future.result(30)
        say(number)


def leave(store, count):
    """Ask for increments and end without waiting for them."""

    def change(entries):
        return [Put(b"%d" % (int(entries[0].value) + 1 if entries[0] else 1))]

    for _ in range(int(count)):
        store.update(["n"], change)
    sys.exit()


if __name__ == "__main__":
    opened = open_store(sys.argv[1])
    globals()[sys.argv[2]](opened, *sys.argv[3:])
    opened.close()
