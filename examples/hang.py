"""Requests that wait for a timer: they take the longest time of all, not the sum, and no thread.

python examples/hang.py
curl http://127.0.0.1:8000/hang/10/Hello & curl http://127.0.0.1:8000/hang/15/World
"""

import threading

from tarry import App
from tarry.waiting.waits import Wait

app = App()


@app.get("/hang/{seconds}/{message}")
def hang(seconds: float, message: str) -> Wait[str]:
    wait = app.park(str, timeout="1h")
    threading.Timer(seconds, wait.wake, [message]).start()
    return wait


if __name__ == "__main__":
    app.run()
