"""The same work in three lanes: how a handler is written decides where it runs.

    python examples/lanes.py

    curl http://127.0.0.1:8000/async        # a task on the event loop
    curl http://127.0.0.1:8000/threads      # a thread of the pool
    curl http://127.0.0.1:8000/inline       # on the event loop, at once

Choose `async def` for what awaits, `def` for what blocks, and `inline=True`
for small functions that do neither: they cost the least, but all others wait.
"""

import threading

from tarry import App

app = App()


def count_primes(below: int) -> dict[str, int | str]:
    """The work, and the name of the thread that did it."""
    primes = [n for n in range(2, below) if all(n % d for d in range(2, n))]
    return {"primes": len(primes), "thread": threading.current_thread().name}


@app.get("/async")
async def in_a_task(below: int = 100) -> dict[str, int | str]:
    return count_primes(below)


@app.get("/threads")
def in_a_thread(below: int = 100) -> dict[str, int | str]:
    return count_primes(below)


@app.get("/inline", inline=True)
def on_the_loop(below: int = 100) -> dict[str, int | str]:
    return count_primes(below)


if __name__ == "__main__":
    app.run()
