"""Where parameters are looked up: query, form, files, headers and cookies, and in which order."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import msgspec
import pytest

from tarry.app.dispatch import RouteError
from tarry.app.errors import HttpError
from tarry.app.params import Body, Cookie, File, Form, Header, Query
from tarry.app.request import Request
from tarry.app.spool import SPOOL_BYTES
from tarry.app.uploads import Upload
from tests.app.serving import WAIT_S, ask, once, serving, started
from tests.exchanges import Recorded, turns

URLENCODED = [("content-type", "application/x-www-form-urlencoded")]
MULTIPART = [("content-type", "multipart/form-data; boundary=b")]
JSON = [("content-type", "application/json")]


def multipart(*parts):
    """A body of (name, content) and (name, content, filename)."""
    sent = b""
    for name, content, *filename in parts:
        file = f'; filename="{filename[0]}"' if filename else ""
        head = f'--b\r\ncontent-disposition: form-data; name="{name}"{file}\r\n\r\n'
        sent += head.encode() + content + b"\r\n"
    return sent + b"--b--\r\n"


def post(handler, body, headers=URLENCODED, target="/", **settings):
    return once(serving(handler, methods=["POST"], **settings), "POST", target, headers, body=body)


def faults(asked):
    assert asked.status == 400
    return sorted((each["in"], each["name"], each["reason"]) for each in asked.json["errors"])


# ── fields ────────────────────────────────────────────────────────────────────────────────


def test_the_query_comes_before_the_form():
    def handler(a: str, b: str = "none", c: str = "none"):
        return [a, b, c]

    asked = post(handler, b"a=form&b=form", target="/?a=query")

    assert asked.json == ["query", "form", "none"]


@pytest.mark.parametrize("headers", [URLENCODED, MULTIPART])
def test_lists_are_of_one_place(headers):
    def handler(a: list[int], b: list[int] = []):  # noqa: B006 — because defaults are copied
        return [a, b]

    body = b"a=3&a=4&b=5&b=6"
    if headers is MULTIPART:
        body = multipart(("a", b"3"), ("a", b"4"), ("b", b"5"), ("b", b"6"))

    assert post(handler, body, headers).json == [[3, 4], [5, 6]]
    assert post(handler, body, headers, "/?a=1&a=2").json == [[1, 2], [5, 6]]
    assert post(handler, b"a=1").json == [[1], []]


def test_a_marker_looks_nowhere_else():
    def handler(a: Annotated[str, Form()] = "none", b: Annotated[str, Query()] = "none"):
        return [a, b]

    assert post(handler, b"a=form&b=form").json == ["form", "none"]
    assert post(handler, b"", target="/?a=query&b=query").json == ["none", "query"]


def test_a_marker_can_say_what_the_client_calls_it():
    def handler(kind: Annotated[str, Form("type")], photo: Annotated[Upload, File("img")]):
        return f"{kind} {photo.filename}"

    body = multipart(("type", b"x"), ("img", b"JPEG", "a.jpg"))
    assert post(handler, body, MULTIPART).body == b"x a.jpg"


def test_each_place_has_its_name_in_a_refusal():
    def handler(
        a: int,
        b: Annotated[int, Query()],
        c: Annotated[int, Form()],
        d: Annotated[int, Header()],
        e: Annotated[int, Cookie()],
        f: Upload,
    ):
        return "x"

    asked = post(handler, b"c=x", [*URLENCODED, ("d", "x"), ("cookie", "e=x")], "/?b=x")

    assert faults(asked) == [
        ("cookie", "e", "is not an integer"),
        ("form", "c", "is not an integer"),
        ("form", "f", "is missing"),
        ("header", "d", "is not an integer"),
        ("query", "b", "is not an integer"),
        ("query or form", "a", "is missing"),
    ]


@pytest.mark.parametrize("body", [None, b""])
def test_a_missing_form_is_told_field_by_field(body):
    def handler(a: Annotated[int, Form()], b: Annotated[int, Form()] = 2):
        return [a, b]

    headers = URLENCODED if body is not None else ()
    assert faults(post(handler, body, headers)) == [("form", "a", "is missing")]


@pytest.mark.parametrize("headers", [JSON, [("content-type", "text/plain")], ()])
def test_a_body_of_another_type_is_415_where_a_form_is_needed(headers):
    def needs(a: Annotated[str, Form()] = "default"):
        return a

    def needs_file(f: Upload | None = None):
        return "x"

    for handler in (needs, needs_file):
        asked = post(handler, b"a=1", headers)
        assert asked.status == 415
        assert b"multipart/form-data" in asked.headers[b"accept"]


def test_a_body_of_another_type_is_no_matter_where_a_form_is_possible():
    def handler(a: str = "default"):
        return a

    assert post(handler, b'{"a": 1}', JSON).body == b"default"


def test_a_json_body_beside_a_parameter():
    def handler(value: Annotated[dict[str, int], Body()], page: int):
        return [value, page]

    assert post(handler, b'{"a":1}', JSON, "/?page=2").json == [{"a": 1}, 2]
    assert post(handler, b"page=2", URLENCODED).status == 415


def test_the_raw_body_beside_form_fields():
    def handler(raw: Annotated[bytes, Body()], a: Annotated[str, Form()], f: Upload | None):
        return [len(raw), a, f.read().decode() if f else None]

    body = multipart(("a", b"1"), ("f", b"file", "f"))
    assert post(handler, body, MULTIPART).json == [len(body), "1", "file"]
    assert post(handler, b"a=1", URLENCODED).json == [3, "1", None]


def test_the_form_of_a_get_is_not_looked_for():
    def handler(a: str = "default"):
        return a

    dispatcher = serving(handler)
    assert once(dispatcher, "GET", "/", URLENCODED, body=b"a=form").body == b"default"
    assert once(dispatcher, "GET", "/?a=query", URLENCODED, body=b"a=form").body == b"query"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (URLENCODED, b"a=%zz", 400),
        (URLENCODED, b"a=%ff", 400),
        (URLENCODED, b"&".join(b"a%d=" % number for number in range(1001)), 413),
        (MULTIPART, b"--b\r\nnonsense", 400),
        ([("content-type", "multipart/form-data")], b"", 400),
    ],
)
def test_a_damaged_form_is_the_fault_of_the_client(headers, body, status, caplog):
    def handler(a: str = "default"):
        return a

    assert post(handler, body, headers).status == status
    assert not caplog.records


# ── records ───────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class Signup:
    name: str
    age: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Page(msgspec.Struct, rename="kebab"):
    page_size: int
    number: int = 1


def test_a_record_of_a_form():
    def handler(signup: Annotated[Signup, Form()]):
        return signup

    asked = post(handler, b"name=Ada&age=36&tags=a&tags=b")
    assert asked.json == {"name": "Ada", "age": 36, "tags": ["a", "b"]}
    assert faults(post(handler, b"age=old")) == [
        ("form", "age", "is not an integer"), ("form", "name", "is missing"),
    ]  # fmt: skip
    assert post(handler, b'{"name":"Ada","age":36}', JSON).status == 415


def test_a_record_of_the_query_under_the_names_of_the_client():
    def handler(page: Annotated[Page, Query()], name: str):
        return [page.page_size, page.number, name]

    dispatcher = serving(handler)
    assert once(dispatcher, "GET", "/?page-size=20&name=x").json == [20, 1, "x"]
    assert faults(once(dispatcher, "GET", "/?page-size=x&number=y")) == [
        ("query", "name", "is missing"),
        ("query", "number", "is not an integer"),
        ("query", "page-size", "is not an integer"),
    ]


LARGE_PAGE = Page(9)


def test_a_record_may_be_absent_as_a_whole():
    def handler(
        page: Annotated[Page | None, Query()], other: Annotated[Page, Query()] = LARGE_PAGE
    ):
        return [None if page is None else page.page_size, other.page_size]

    dispatcher = serving(handler)
    assert once(dispatcher, "GET", "/").json == [None, 9]
    assert once(dispatcher, "GET", "/?page-size=2").json == [2, 2]
    assert faults(once(dispatcher, "GET", "/?number=2")) == [("query", "page-size", "is missing")]


class Nested(msgspec.Struct):
    page: Page


def test_a_record_in_a_record_cannot_come_from_a_form():
    def handler(nested: Annotated[Nested, Form()]):
        return "x"

    with pytest.raises(RouteError, match=r"its field 'page'.*send it in a JSON body"):
        serving(handler, methods=["POST"])


# ── files ─────────────────────────────────────────────────────────────────────────────────


def test_files_one_several_or_none():
    def handler(
        one: Upload,
        several: list[Upload],
        maybe: Upload | None,
        perhaps: list[Upload] | None,
        some: Annotated[list[Upload], File()] = [],  # noqa: B006 — because defaults are copied
    ):
        return [one.filename, [each.filename for each in several], maybe, perhaps, len(some)]

    body = multipart(
        ("one", b"1", "a"), ("one", b"2", "b"), ("several", b"3", "c"), ("several", b"4", "d")
    )
    assert post(handler, body, MULTIPART).json == ["a", ["c", "d"], None, None, 0]
    assert faults(post(handler, multipart(), MULTIPART)) == [
        ("form", "one", "is missing"), ("form", "several", "is missing"),
    ]  # fmt: skip


def test_lists_of_files_that_may_be_absent():
    def handler(files: list[Upload] | None):
        return [each.read().decode() for each in files or ()]

    body = multipart(("files", b"1", "a"), ("files", b"2", "b"))
    assert post(handler, body, MULTIPART).json == ["1", "2"]


def test_a_text_field_is_no_file():
    def handler(f: Upload):
        return "x"

    body = multipart(("f", b"text"))
    assert faults(post(handler, body, MULTIPART)) == [("form", "f", "is missing")]
    assert faults(post(handler, b"f=text")) == [("form", "f", "is missing")]


def test_an_input_without_a_chosen_file_is_none():
    def handler(f: Upload | None):
        return str(f)

    assert post(handler, multipart(("f", b"", "")), MULTIPART).body == b"None"


@pytest.mark.parametrize("annotation", [str, bytes, int | Upload | str, tuple[Upload, int]])
def test_a_file_of_another_type_cannot_be(annotation):
    def handler(f):
        return "x"

    handler.__annotations__["f"] = Annotated[annotation, File()]
    if annotation == int | Upload | str:
        serving(handler, methods=["POST"])  # an upload is among them
    else:
        with pytest.raises(RouteError, match="is a file, so its type is Upload"):
            serving(handler, methods=["POST"])


def closed_after(handler, *, leave=False, **settings):
    """Post a file that lies on disk; the uploads that the handler kept, after the answer."""

    async def run():
        async with started(serving(handler, methods=["POST"], **settings)) as dispatcher:
            exchange = Recorded("POST", "/", MULTIPART, body=True)
            dispatcher.handle(exchange)
            exchange.body.feed(multipart(("f", b"x" * (SPOOL_BYTES + 1), "f")))
            exchange.body.finish([])
            if leave:
                await turns()
                exchange.leave()
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
            return exchange.status if exchange.started else None

    return asyncio.run(run())


kept: list[Upload] = []


def stores(f: Upload):
    kept.append(f)
    return "stored"


async def stores_async(request: Request):
    kept.append((await request.form()).file("f"))
    return "stored"


def refuses(f: Upload):
    kept.append(f)
    raise HttpError(422)


def fails(f: Upload):
    kept.append(f)
    raise ValueError


def streams(f: Upload):
    kept.append(f)
    return (piece for piece in (f.file.read(1), b"b"))


@pytest.mark.parametrize(
    ("handler", "status"),
    [(stores, 200), (stores_async, 200), (refuses, 422), (fails, 500), (streams, 200)],
)
def test_files_are_closed_after_the_answer_whatever_it_is(handler, status):
    kept.clear()
    assert closed_after(handler) == status

    (upload,) = kept
    with pytest.raises(ValueError, match="the upload is closed"):
        upload.read()


def test_files_are_closed_when_the_client_leaves_while_the_handler_works():
    async def handler(request: Request):
        kept.append((await request.form()).file("f"))
        while not request.gone:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise HttpError(500)

    kept.clear()
    closed_after(handler, leave=True)

    (upload,) = kept
    with pytest.raises(ValueError, match="the upload is closed"):
        upload.read()


def test_fields_are_refused_when_others_are_bad_and_files_are_closed():
    def handler(f: Upload, n: int):
        return "x"

    async def run():
        async with started(serving(handler, methods=["POST"])) as dispatcher:
            body = multipart(("f", b"x" * (SPOOL_BYTES + 1), "f"), ("n", b"x"))
            return await ask(dispatcher, "POST", "/", MULTIPART, body=body)

    assert faults(asyncio.run(run())) == [("query or form", "n", "is not an integer")]


# ── headers and cookies ───────────────────────────────────────────────────────────────────


def test_headers_by_name_and_several():
    def handler(
        x_tag: Annotated[list[str], Header()], agent: Annotated[str, Header("User-Agent")] = "none"
    ):
        return [x_tag, agent]

    headers = [("X-Tag", "a"), ("x-tag", "b"), ("user-agent", "curl")]
    assert once(serving(handler), "GET", "/", headers).json == [["a", "b"], "curl"]
    assert faults(once(serving(handler))) == [("header", "x-tag", "is missing")]


def test_too_many_cookies_are_431():
    def handler(sid: Annotated[str, Cookie()] = ""):
        return sid

    assert once(serving(handler), "GET", "/", [("cookie", "sid=abc")]).body == b"abc"
    assert once(serving(handler), "GET", "/", [("cookie", "a" * 9000)]).status == 431


@pytest.mark.parametrize("query", ["a=%zz", "a=%ff", "&".join(f"a{n}=" for n in range(1001))])
def test_a_query_that_does_not_decode_is_400(query):
    def handler(a: str = "default"):
        return a

    assert once(serving(handler), "GET", f"/?{query}").status == 400
