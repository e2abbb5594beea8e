"""Tarry with a small job, for its own clients and those of quick_server: `… PORT STORE`."""

import sys

from benchmarks.servers import port_argument
from tarry import App

app = App(store=sys.argv[2])


@app.job("/add", quick_worker=True)
def add(a: int, b: int) -> int:
    return a + b


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=port_argument(), access_log=False)
