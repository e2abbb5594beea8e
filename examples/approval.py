"""Somebody asks, and a boss answers some time: the request waits, also over a reload.

python examples/approval.py            # open http://127.0.0.1:8000; the boss's link is printed

curl -id "what=a chair&euros=120" http://127.0.0.1:8000/ask    # 202, and a ticket
curl -d true LINK                                              # the boss says yes
curl -L http://127.0.0.1:8000/-/t/TICKET                       # the answer
"""

from pathlib import Path

from tarry import App, Html, Wait

PAGE = Path(__file__).with_suffix(".html").read_text("utf-8")
app = App()


@app.get("/")
def index() -> Html:
    return Html(PAGE)


@app.post("/ask")
def ask(what: str, euros: float) -> Wait[bool]:
    wait = app.park(bool, timeout="8h", hold=0, durable=True, then=answer)  # nobody is that quick
    asked = f"The boss is asked for {what} at {euros:,.2f} euros. {wait.url}"
    wait.progress(text=asked)
    print(asked)  # instead of a mail
    return wait


def answer(decision: bool) -> Html:
    """The page when the answer is there; it needs none of what `ask` knew."""
    text = "The boss says yes: buy it." if decision else "The boss says no."
    return Html(PAGE.replace("<!--answer-->", text))


if __name__ == "__main__":
    app.run()
