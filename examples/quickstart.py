"""A first application: three routes, a checked body, an error."""

from dataclasses import dataclass

from tarry import App, Html, HttpError

app = App()


@dataclass
class Note:
    """What a client sends to keep."""

    title: str
    text: str = ""


notes: dict[int, Note] = {}


@app.get("/")
def home() -> Html:
    return Html('<h1>Tarry is here</h1><p>Try <a href="/hello/you?times=2">/hello/you?times=2</a>')


@app.get("/hello/{name}")
def hello(name: str, times: int = 1) -> dict[str, list[str]]:
    return {"hello": [name] * times}


@app.post("/notes")
async def add_note(note: Note) -> tuple[int, dict[str, int]]:
    number = len(notes) + 1
    notes[number] = note
    return 201, {"id": number}


@app.get("/notes/{number:int}")
async def read_note(number: int) -> Note:
    if number not in notes:
        raise HttpError(404, f"there is no note {number}")
    return notes[number]


if __name__ == "__main__":
    app.run()
