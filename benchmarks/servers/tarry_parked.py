"""Tarry with requests that wait: returned, yielded and awaited."""

from collections import deque
from collections.abc import Generator

from benchmarks.servers import port_argument
from tarry import App, Wait

app = App()
parked: deque[Wait[str]] = deque()


def park() -> Wait[str]:
    wait = app.park(str, timeout="1h")
    parked.append(wait)
    return wait


@app.get("/parked-returned", inline=True)
def returned() -> Wait[str]:
    return park()


@app.get("/parked-yielded")
def yielded() -> Generator[Wait[str], str, str]:
    return (yield park())


@app.get("/parked-awaited")
async def awaited() -> str:
    return await park()


@app.get("/parked-count", inline=True)
def count() -> str:
    return str(len(parked))


@app.get("/wake", inline=True)
def wake(count: int) -> str:
    for _ in range(count):
        parked.popleft().wake("woken")
    return str(len(parked))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=port_argument(), access_log=False)
