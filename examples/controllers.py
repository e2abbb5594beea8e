"""A class as a set of routes: a prefix, one object for all requests, and URLs by name.

python examples/controllers.py

curl http://127.0.0.1:8000/books                            # all of them
curl http://127.0.0.1:8000/books/1                          # one of them
curl "http://127.0.0.1:8000/books?author=Herbert"           # narrowed by a parameter
curl -H "accept: text/plain" http://127.0.0.1:8000/books    # narrowed by a header
curl -i http://127.0.0.1:8000/books --json '{"title": "Solaris", "author": "Lem"}'   # 201
"""

from dataclasses import dataclass

from tarry import App, Headers, HttpError, get, post

app = App()


@dataclass
class Book:
    """What is kept, and what a client sends."""

    title: str
    author: str


@app.controller("/books", name="books", singleton=True, args=[Book("Dune", "Herbert")])
class Books:
    """Without `singleton` each request would have an object of its own, made with `args`."""

    def __init__(self, *books: Book) -> None:
        self.books = [*books]

    @get
    async def index(self) -> list[Book]:
        return self.books

    @get(params="author")
    async def of_author(self, author: str) -> list[Book]:
        return [book for book in self.books if book.author == author]

    @get(headers="accept^=text/plain")
    async def titles(self) -> str:
        return "".join(f"{book.title}, {book.author}\n" for book in self.books)

    @get("/{number:int}")
    async def show(self, number: int) -> Book:
        if not 1 <= number <= len(self.books):
            raise HttpError(404, f"there is no book {number}")
        return self.books[number - 1]

    @post
    async def add(self, book: Book) -> tuple[int, Headers]:
        self.books.append(book)
        return 201, Headers({"location": app.url_for("books.show", number=len(self.books))})


if __name__ == "__main__":
    app.run()
