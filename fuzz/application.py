"""An application with every kind of route, argument, filter, lane and result that there is.

Whatever a request asks of it, it has an answer below 500: no handler fails by itself.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import attrs
import msgspec
import pydantic

from tarry import (
    App,
    Body,
    Compression,
    Cookie,
    Cookies,
    Events,
    File,
    Form,
    FormLimits,
    Header,
    Headers,
    Html,
    HttpError,
    Path,
    Query,
    Redirect,
    Request,
    Response,
    SendFile,
    ServerEvent,
    Stream,
    Upload,
    WebSocket,
    any_of,
    controller,
    get,
    post,
)  # fmt: skip

MAX_BODY_BYTES = 64 * 1024


# ---- types of arguments --------------------------------------------------------------------


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    LOW = 1
    HIGH = 2


class ItemStruct(msgspec.Struct):
    """A record of msgspec."""

    name: str
    price: float = 0.0
    tags: list[str] = []


@dataclasses.dataclass
class ItemData:
    """A dataclass, with another one inside."""

    name: str
    count: int = 1
    inner: ItemData | None = None
    made: datetime | None = None


class ItemDict(TypedDict):
    """A typed dict."""

    name: str
    levels: NotRequired[dict[str, int]]


@attrs.define
class ItemAttrs:
    """A class of attrs."""

    name: str
    id: uuid.UUID | None = None


class ItemModel(pydantic.BaseModel):
    """A model of Pydantic with limits."""

    name: str = pydantic.Field(max_length=20)
    price: Decimal = Decimal(0)
    tags: set[str] = set()


@dataclasses.dataclass
class Page:
    """A record of the query."""

    number: int = 1
    size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    order: Literal["up", "down"] = "up"


@dataclasses.dataclass
class Login:
    """A record of a form."""

    user: str
    password: str
    keep: bool = False


class Tenant:
    """What a dependency makes."""

    def __init__(self, name: str) -> None:
        self.name = name


class Connection(Tenant):
    """What another dependency makes of the first."""


class Clock(Tenant):
    """What a dependency makes in a thread."""


class NoTenant(Exception):
    """An author's error with a handler of its own."""


def text_of(value: object) -> str:
    """A value as a text that can be sent."""
    return repr(value).encode("utf-8", "backslashreplace").decode()[:200]


# ---- the application -----------------------------------------------------------------------


def make_app(folder: FilePath) -> App:
    """The application; files lie in `folder`."""
    (folder / "file.txt").write_bytes(b"0123456789" * 20_000)
    (folder / "small.txt").write_bytes(b"small")
    app = App(max_body_bytes=MAX_BODY_BYTES)
    for add in (
        _add_paths, _add_queries, _add_fields, _add_bodies, _add_forms, _add_streams,
        _add_dependencies, _add_answers, _add_narrowing, _add_classes, _add_filters, _add_errors,
        _add_sockets,
    ):  # fmt: skip
        add(app)
    _add_files(app, folder)

    @app.get("/", inline=True)
    def root() -> str:
        return "here"

    return app


def _add_paths(app: App) -> None:
    @app.get("/int/{n:int}", inline=True)
    def of_int(n: int) -> str:
        return str(n)

    @app.get("/float/{x:float}")
    def of_float(x: float) -> str:
        return str(x)

    @app.get("/uuid/{id:uuid}")
    async def of_uuid(id: uuid.UUID) -> str:
        return str(id)

    @app.route("/str/{text}", methods="*", inline=True)
    def of_text(text: str) -> str:
        return text_of(text)

    @app.get("/path/{rest:path}")
    async def of_path(rest: str) -> str:
        return text_of(rest)

    @app.get("/two/{rest:path:2}/end")
    def of_two(rest: list[int]) -> str:
        return text_of(rest)

    @app.get("/star/*/x", inline=True)
    def of_star() -> str:
        return "star"

    @app.get("/rest/**")
    def of_rest(request: Request) -> str:
        return text_of((request.path, request.url))

    @app.get(regexp=r"/re/(?P<year>[0-9]{4})-(x+)?(.*)", inline=True)
    def of_regexp(year: str) -> str:
        return year

    @app.get("/date/{day}/{colour}")
    def of_types(day: Annotated[date, Path()], colour: Colour) -> str:
        return text_of((day, colour))


def _add_queries(app: App) -> None:
    @app.get("/query", inline=True)
    def scalars(
        a: str = "", b: int = 0, c: float = 0.0, d: bool = False, e: Decimal | None = None,
        f: uuid.UUID | None = None, g: date | None = None, h: datetime | None = None,
        i: Colour = Colour.RED, j: Level = Level.LOW, k: Literal["x", "y", 1] = "x",
        l: time | None = None, m: timedelta | None = None,  # noqa: E741 — one letter each
    ) -> str:  # fmt: skip
        return text_of((a, b, c, d, e, f, g, h, i, j, k, l, m))

    @app.route("/many", methods="GET, POST")
    def collections(
        a: list[int], b: Annotated[set[Colour], Query()], c: list[str] | None = None,
        d: tuple[int, ...] = (), e: int | uuid.UUID | str = "",
    ) -> str:  # fmt: skip
        return text_of((a, b, c, d, e))

    @app.get("/page")
    async def record(page: Annotated[Page, Query()], number: Annotated[int, Query("n")] = 3) -> str:
        return text_of((page, number))


def _add_fields(app: App) -> None:
    @app.route("/fields", methods="GET, POST", inline=True)
    def fields(
        headers: Headers, cookies: Cookies,
        token: Annotated[int | None, Header("x-token")] = None,
        accept: Annotated[list[str] | None, Header()] = None,
        session: Annotated[str, Cookie()] = "", number: Annotated[int, Cookie("n")] = 0,
    ) -> str:  # fmt: skip
        return text_of((list(headers.items()), cookies, token, accept, session, number))

    @app.get("/required")
    def required(x_token: Annotated[int, Header()], sid: Annotated[uuid.UUID, Cookie()]) -> str:
        return text_of((x_token, sid))

    @app.get("/about")
    def about(request: Request) -> str:
        return text_of((request.url, request.host, request.query, request.cookies, request.client))


def _add_bodies(app: App) -> None:
    kinds = {"struct": ItemStruct, "data": ItemData, "dict": ItemDict, "attrs": ItemAttrs,
             "model": ItemModel, "list": list[ItemStruct], "models": list[ItemModel],
             "union": int | list[str] | None, "mapping": dict[str, Level]}  # fmt: skip
    for name, kind in kinds.items():
        app.route(f"/json/{name}", methods="POST, PUT")(_taking(kind))

    @app.post("/json/any", inline=True)
    def of_any(value: Annotated[Any, Body()]) -> dict[str, Any]:
        return {"value": value}

    @app.post("/raw", max_body_bytes=1000)
    def raw(body: Annotated[bytes, Body()]) -> bytes:
        return body

    @app.route("/request/{way}", methods="POST, PUT, PATCH, DELETE")
    async def by_request(request: Request, way: Literal["body", "json", "form", "stream"]) -> Any:
        if way == "stream":
            return str(sum([len(piece) async for piece in request.stream()]))
        return text_of(await getattr(request, way)())

    @app.post("/file-like")
    def like_a_file(request: Request) -> str:
        return str(len(request.file.read()))

    @app.post("/heard")
    async def heard(request: Request) -> str:
        seen: list[str] = []
        request.on("data", lambda chunk: seen.append(str(len(chunk))))
        request.on("end", lambda response: response.headers.update({"x-seen": str(len(seen))}))
        return "heard"


def _taking(kind: Any) -> Callable[..., Any]:
    async def take(item: Annotated[Any, Body()]) -> Any:
        return {"item": text_of(item)}

    take.__annotations__["item"] = Annotated[kind, Body()]
    return take


def _add_forms(app: App) -> None:
    @app.post("/form")
    def form(
        name: Annotated[str, Form()], age: Annotated[int | None, Form()] = None,
        tags: Annotated[list[Level] | None, Form("tag")] = None, q: int = 0,
    ) -> str:  # fmt: skip
        return text_of((name, age, tags, q))

    @app.post("/login")
    async def login(login: Annotated[Login, Form()]) -> str:
        return text_of(login)

    @app.post("/form-data")
    async def data(request: Request) -> str:
        form = await request.form()
        return text_of((form.fields, form.files))

    @app.post("/upload")
    def upload(file: Upload, more: Annotated[list[Upload], File("files", [])]) -> Any:
        return {"name": file.filename, "size": len(file.read()), "more": len(more)}

    @app.post("/upload-async")
    async def upload_async(file: Annotated[Upload | None, File()] = None, note: str = "") -> str:
        return text_of((note, file and len(await file.read_async())))

    @app.post("/small-form")
    async def small(request: Request) -> str:
        return text_of(await request.form(FormLimits(max_fields=2, max_files=1)))


def _add_streams(app: App) -> None:
    def numbers() -> Iterator[str]:
        yield from map(str, range(5))

    async def later() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d\n" % number

    @app.get("/stream")
    def stream() -> Stream:
        return Stream(numbers(), headers={"x-kind": "stream"})

    @app.route("/stream-async", methods="GET, POST")
    async def stream_async(length: bool = False) -> Stream:
        return Stream(later(), length=10 if length else None, content_type="text/csv")

    @app.get("/generator")
    def generator() -> Iterator[str]:
        yield from numbers()

    @app.get("/events")
    async def events(request: Request) -> Events:
        async def items() -> AsyncIterator[Any]:
            yield "text\r\nlines"
            yield {"json": request.headers.get("last-event-id", "")}
            yield ServerEvent("named", event="tick", id="1", retry_ms=10)

        return Events(items(), retry_ms=100)


def _add_dependencies(app: App) -> None:
    @app.binder(Tenant)
    def tenant(request: Request, name: Annotated[str, Header("x-tenant")] = "nobody") -> Any:
        if name == "none":
            raise NoTenant
        yield Tenant(name)

    @app.binder(Connection)
    async def connection(tenant: Tenant, retries: int = 0) -> AsyncIterator[Connection]:
        yield Connection(f"{tenant.name} {retries}")

    @app.binder(Clock, inline=True)
    def clock(day: date | None = None) -> Clock:
        return Clock(str(day))

    @app.get("/tenant")
    def plain(tenant: Tenant, clock: Clock) -> str:
        return text_of((tenant.name, clock.name))

    @app.route("/connection", methods="GET, POST")
    async def awaited(connection: Connection, tenant: Tenant, text: str = "") -> Stream:
        return Stream([connection.name.encode("unicode_escape"), tenant.name.encode(), b"."])

    @app.get("/clock", inline=True)
    def inline(clock: Clock) -> str:
        return clock.name


def _add_answers(app: App) -> None:
    answers: dict[str, Any] = {
        "none": None, "text": "text", "bytes": b"bytes", "list": [1, 2], "html": Html("<p>"),
        "tuple": (201, Headers({"x-a": "b"}), {"a": 1}), "record": ItemStruct("a"),
        "response": Response("a", 202, {"x-b": "c"}), "redirect": Redirect("/str/a"), "304": Response(None, 304),
    }  # fmt: skip

    @app.get("/answer/{kind}", inline=True)
    def answer(kind: str) -> Any:
        if kind not in answers:
            raise HttpError(404, "there is no such answer")
        return answers[kind]

    @app.get("/refuse/{status:int}")
    async def refuse(status: Annotated[int, msgspec.Meta(ge=400, le=499)]) -> None:
        raise HttpError(status, "refused", headers=[(b"x-refused", b"yes")])

    @app.get("/cookie")
    async def cookie(request: Request) -> str:
        request.response.set_cookie("seen", "yes")
        request.response.headers["x-path"] = "cookie"
        return "set"


def _add_files(app: App, folder: FilePath) -> None:
    @app.get("/file")
    async def file() -> SendFile:
        return SendFile(folder / "file.txt", max_age_s=10)

    @app.get("/file/{name}")
    def download(name: Literal["file.txt", "small.txt", "missing"]) -> SendFile:
        return SendFile(folder / name, download=True)

    @app.get("/open-file", inline=True)
    def opened() -> FilePath:
        return folder / "small.txt"


def _add_narrowing(app: App) -> None:
    @app.route("/narrow", methods="GET, POST", params="kind=a")
    def kind_a() -> str:
        return "a"

    @app.route("/narrow", methods="GET, POST", params=["kind^=b", "!not"], inline=True)
    def kind_b(kind: str) -> str:
        return text_of(kind)

    @app.post("/narrow", headers=any_of("content-type^=text/", "x-token!=1"))
    async def by_header(request: Request) -> str:
        return text_of(await request.body())

    @app.get("/narrow/{x}", headers="accept^=image/", filters=[_early_filter])
    def picture(x: int) -> str:
        return str(x)


def _early_filter(request: Request) -> Any:
    return (418, "early") if request.query else None


def _add_classes(app: App) -> None:
    @app.controller
    @controller("/shop")
    class Shop:
        """A controller that is made for each request."""

        @get("/{item:int}")
        def show(self, item: int, tenant: Tenant, colours: list[Colour] | None = None) -> Any:
            return {"item": item, "tenant": text_of((tenant.name, colours))}

        @post
        async def make(self, item: ItemModel) -> str:
            return item.name

    group = app.group("/api", filters=[_group_filter], max_body_bytes=100)

    @group.route("/{name}", methods="GET, POST, DELETE")
    async def named(name: str, request: Request) -> str:
        return text_of((name, await request.body()))


async def _group_filter(request: Request, next: Callable[[Any], Awaitable[Any]]) -> Any:
    response = await next(request)
    response.headers["x-group"] = "api"
    return response


def _add_filters(app: App) -> None:
    @app.filter(inline=True)
    def stamped(request: Request) -> Iterator[Any]:
        response = yield
        response.headers["x-stamped"] = "yes"

    @app.filter("/connection")
    def threaded(request: Request) -> Iterator[Any]:
        response = yield
        response.headers["x-threaded"] = str(response.status)

    @app.filter(regexp="/(json|request)/")
    async def around(request: Request, next: Callable[[Any], Awaitable[Any]]) -> Any:
        if request.headers.get("x-token") == "body":
            await request.body()
        return await next(request)

    @app.filter("/str/{text}")
    async def before(request: Request) -> Any:
        request.headers["x-filtered"] = "yes"
        return (429, "too often") if "early" in request.query else None

    @app.filter("/rest/**")
    async def generated(request: Request) -> AsyncIterator[Any]:
        response = yield
        response.headers["x-generated"] = "yes"

    app.filter("/stream-async", inline=True)(Compression(min_bytes=0).filter)
    app.filter("/about", inline=True)(_early_filter)


def _add_errors(app: App) -> None:
    @app.error(NoTenant)
    def no_tenant(error: NoTenant) -> Any:
        return 404, "no such tenant"

    @app.error(405)
    async def wrong_method(detail: str, request: Request) -> Any:
        return {"detail": detail, "path": text_of(request.path)}

    @app.error(418)
    def teapot(status: int) -> Html:
        return Html(f"<h1>{status}</h1>")


def _add_sockets(app: App) -> None:
    @app.websocket("/socket", "/socket/{room:int}", compression=True, subprotocols=["chat"])
    async def talk(socket: WebSocket, room: int = 0, times: int = 1) -> None:
        async for message in socket:
            await socket.send(message)

    @app.on("gone")
    def gone(request: Request) -> None:
        request.headers.get("host")
