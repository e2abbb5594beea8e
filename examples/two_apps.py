"""Two apps in one process, each on a port of its own, that ask each other.

    python examples/two_apps.py

    curl http://127.0.0.1:8000/orders/3     # the shop asks the stock for the price
    curl http://127.0.0.1:8001/report       # the stock asks the shop what was ordered

`start()` serves in a thread and returns at once; `run()` serves until Ctrl-C.
"""

import json
from typing import Any
from urllib.request import urlopen

from tarry import App

shop, stock = App(), App()
orders: list[int] = []
urls = {"shop": "http://127.0.0.1:8000", "stock": "http://127.0.0.1:8001"}


def ask(name: str, path: str) -> Any:
    """What the other app answers; it blocks, so the handlers below are no `async def`."""
    with urlopen(urls[name] + path, timeout=10) as reply:
        return json.load(reply)


@shop.get("/orders/{count:int}")
def order(count: int) -> dict[str, int]:
    orders.append(count)
    return {"total": count * ask("stock", "/price")}


@shop.get("/orders")
def all_orders() -> list[int]:
    return orders


@stock.get("/price", inline=True)
def price() -> int:
    return 5


@stock.get("/report")
def report() -> dict[str, int]:
    return {"sold": sum(ask("shop", "/orders"))}


if __name__ == "__main__":
    with stock.start(port=8001):
        shop.run(port=8000)
