"""One request answers another: each /stop/ ends the /req/ that has waited longest.

python examples/rendezvous.py
curl http://127.0.0.1:8000/req/ & sleep 1; curl http://127.0.0.1:8000/stop/
"""

from collections import deque

from tarry import App
from tarry.waiting.waits import Wait

app = App()
waiting: deque[Wait[str]] = deque()


@app.get("/req/", inline=True)
def wait_for_stop() -> Wait[str]:
    waiting.append(wait := app.park(str, timeout="1h"))
    return wait


@app.get("/stop/", inline=True)
def stop() -> str:
    while waiting and not waiting.popleft().wake("done"):
        """Its client has left, or its time was over: the next one."""
    return "stop"


if __name__ == "__main__":
    app.run()
