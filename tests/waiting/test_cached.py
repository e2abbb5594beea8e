"""Cached handlers: what is kept, for whom, and how often the function runs."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import logging
import threading
from datetime import date
from pathlib import Path
from typing import Annotated

import pytest

from tarry import (
    App,
    Header,
    Headers,
    Html,
    HttpError,
    RegistrationError,
    Request,
    Response,
    SendFile,
    Stream,
    Upload,
    get,
)
from tarry.app.deferred import Instead
from tarry.testing import AsyncClient, Client, JumpingClock

TIMEOUT_S = 10.0
WAYS = ["async def", "def", "inline"]
WAITING_WAYS = ["async def", "def"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """The folder of the cache is below the current one."""
    monkeypatch.chdir(tmp_path)


def cached_app(way, function, path="/", *, app=None, **options):
    """An application with one handler, written in one of the ways."""
    app = app or App()
    if way == "async def":

        async def handler(n: int = 0):
            return function(n)
    else:

        def handler(n: int = 0):
            return function(n)

    app.get(path, inline=way == "inline")(app.cached(**options)(handler))
    return app


class Counted:
    """A function that writes down its calls."""

    def __init__(self, result=lambda n: {"n": n}):
        self.calls = []
        self._result = result

    def __call__(self, n):
        self.calls.append(n)
        return self._result(n)


# ---- what is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_the_second_request_gets_the_same_answer_without_a_call(way):
    function = Counted(lambda n: ({"n": n}, 201, Headers({"x-made": "yes"})))
    with Client(cached_app(way, function)) as client:
        first, second = client.get("/?n=1"), client.get("/?n=1")

    assert function.calls == [1]
    assert (first.status, first.json(), first.headers["x-made"]) == (201, {"n": 1}, "yes")
    assert (second.status, second.body) == (first.status, first.body)
    fields = [{k: v for k, v in each.headers.items() if k != "date"} for each in (first, second)]
    assert fields[0] == fields[1]


@pytest.mark.parametrize("way", WAYS)
def test_other_arguments_are_another_answer(way):
    function = Counted()
    with Client(cached_app(way, function)) as client:
        answers = [client.get(f"/?n={n}").json() for n in (1, 2, 1, 2, 0)]
        answers.append(client.get("/").json())  # the default is an argument like any other

    assert [each["n"] for each in answers] == [1, 2, 1, 2, 0, 0]
    assert function.calls == [1, 2, 0]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_kept_as_long_as_said(way):
    function = Counted()
    with Client(cached_app(way, function, keep="10m"), clock=JumpingClock()) as client:
        client.get("/")
        client.advance("9m59s")
        client.get("/")
        assert len(function.calls) == 1
        client.advance("1s")
        client.get("/")
        assert len(function.calls) == 2


@pytest.mark.parametrize(
    "result",
    [
        "text é",
        b"\0bytes",
        None,
        [1, 2],
        {},
        (204,),
        ("", 200),
        (301, Headers({"location": "/there"})),
        Response(b"{}", headers={"content-type": "application/x", "etag": '"1"'}),
        Html("<p>"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("way", WAYS)
def test_a_kept_answer_is_that_of_the_function(way, result):
    app = cached_app(way, lambda n: result)
    app.get("/plain", inline=True)(lambda: result)
    with Client(app) as client:
        plain, *cached = client.get("/plain"), client.get("/"), client.get("/")

    for each in cached:
        assert (each.status, each.body) == (plain.status, plain.body)
        assert dict(each.headers.items()) | {"date": ""} == dict(plain.headers.items()) | {
            "date": ""
        }


@pytest.mark.parametrize("way", WAYS)
def test_text_of_a_handler_for_html_stays_html(way):
    app = App()

    def page() -> Html:
        return "<p>hello"

    async def page_async() -> Html:
        return "<p>hello"

    handler = app.cached()(page_async if way == "async def" else page)
    app.get("/", inline=way == "inline")(handler)
    with Client(app) as client:
        replies = [client.get("/"), client.get("/")]

    assert [each.headers["content-type"] for each in replies] == ["text/html; charset=utf-8"] * 2
    assert {each.text for each in replies} == {"<p>hello"}


@pytest.mark.parametrize("way", ["async def", "def"])
def test_answers_are_there_when_the_application_starts_again(way):
    functions = [Counted(), Counted()]
    for function in functions:
        with Client(cached_app(way, function)) as client:
            assert client.get("/?n=3").json() == {"n": 3}

    assert [each.calls for each in functions] == [[3], []]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_kept_in_memory_alone_leaves_no_file(way):
    function = Counted()
    with Client(cached_app(way, function, disk=False)) as client:
        client.get("/")
        client.get("/")

    assert function.calls == [0]
    assert not Path(".tarry").exists()


def test_an_application_that_keeps_nothing_makes_no_folder():
    with Client(cached_app("def", lambda n: (500, "no"))) as client:
        client.get("/")

    assert not Path(".tarry").exists()


@pytest.mark.parametrize("way", WAYS)
def test_without_a_cache_each_request_is_a_call(way):
    function = Counted()
    app = App(cache_memory_bytes=0, cache_disk_bytes=0)
    with Client(cached_app(way, function, app=app)) as client:
        assert [client.get("/").json()["n"] for _ in range(2)] == [0, 0]

    assert function.calls == [0, 0]


@pytest.mark.parametrize("way", WAYS)
def test_a_section_can_be_cleared(way):
    function = Counted()
    app = cached_app(way, function, section="numbers")
    with Client(app) as client:
        client.get("/?n=1")
        client.get("/?n=2")
        assert [(each.name, each.memory_entries) for each in app.cache.sections()] == [
            ("numbers", 2)
        ]
        assert app.cache.clear("others") == 0
        assert app.cache.clear("numbers") == 2
        client.get("/?n=1")

    assert function.calls == [1, 2, 1]


def test_a_section_is_named_for_its_function():
    app = App()

    @app.get("/")
    @app.cached()
    def report():
        return {}

    with Client(app) as client:
        client.get("/")
    (section,) = app.cache.sections()

    assert section.name == f"{__name__}:{report.__qualname__}"


def test_head_gets_the_fields_of_the_kept_answer():
    function = Counted(lambda n: "hello")
    with Client(cached_app("def", function)) as client:
        client.get("/")
        reply = client.request("HEAD", "/")

    assert (reply.headers["content-length"], reply.body) == ("5", b"")
    assert len(function.calls) == 1


def test_a_function_that_was_changed_does_not_answer_as_before():
    def run(code):
        names = {"app": App()}
        source = f"@app.get('/')\n@app.cached()\ndef report(n: int = 0):\n    return {code}"
        exec(compile(source, "program.py", "exec"), names)
        with Client(names["app"]) as client:
            return client.get("/").text

    counted = "str(__import__('time').time_ns())"
    first = run(counted)
    assert run(counted) == first
    assert run(f"'new' + {counted}") != first


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [lambda path: path, lambda path: SendFile(path, max_age_s=60)])
def test_a_file_is_kept_as_long_as_it_stays_as_it_is(way, make):
    path = Path("drawing.txt").absolute()
    path.write_text("one")
    function = Counted(lambda n: make(path))
    with Client(cached_app(way, function)) as client:
        replies = [client.get("/") for _ in range(3)]
        assert len(function.calls) == 1
        assert {each.text for each in replies} == {"one"}
        assert len({each.headers.get("cache-control") for each in replies}) == 1
        assert replies[1].headers["etag"]
        path.write_text("three")
        assert client.get("/").text == "three"
        assert len(function.calls) == 2
        path.unlink()
        assert client.get("/").status == 404
        assert len(function.calls) == 3


@pytest.mark.parametrize("way", WAYS)
def test_the_content_of_a_file_can_be_a_part_of_the_key(way):
    table = Path("table.csv")
    table.write_text("a")
    function = Counted(lambda n: table.read_text())
    app = cached_app(way, function, key=lambda n: (n, table))
    with Client(app) as client:
        assert [client.get("/").text for _ in range(2)] == ["a", "a"]
        table.write_text("b")
        assert [client.get("/").text for _ in range(2)] == ["b", "b"]
        table.write_text("a")
        assert client.get("/").text == "a"

    assert len(function.calls) == 2


# ---- keys -----------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Order:
    items: dict[str, int]
    day: date


def test_records_and_all_that_arguments_can_be_are_keys():
    app, calls = App(), []

    @app.post("/{colour}")
    @app.cached()
    def handler(colour: Colour, order: Order, tags: set[str], key: Annotated[str, Header("x-key")]):
        calls.append(colour)
        return {"colour": colour, "tags": sorted(tags), "order": order, "key": key}

    def ask(path, items, key="k"):
        return client.post(
            path, json={"items": items, "day": "2026-01-31"}, headers={"x-key": key}
        ).json()

    with Client(app) as client:
        first = ask("/red?tags=a&tags=b", {"x": 1, "y": 2})
        assert ask("/red?tags=b&tags=a", {"y": 2, "x": 1}) == first
        assert len(calls) == 1
        others = [
            ask("/blue?tags=a&tags=b", {"x": 1, "y": 2}),
            ask("/red?tags=a", {"x": 1, "y": 2}),
            ask("/red?tags=a&tags=b", {"x": 2, "y": 1}),
            ask("/red?tags=a&tags=b", {"x": 1, "y": 2}, "other"),
        ]

    assert len(calls) == 5
    assert all(each != first for each in others)


def test_a_key_gets_the_arguments_that_it_names():
    app, calls = App(), []

    @app.get("/{a}")
    @app.cached(key=lambda a, more=7: (a, more))
    def handler(a: int, request: Request):
        calls.append(a)
        return {"a": a}

    with Client(app) as client:
        for path in ("/1", "/1?b=2", "/2"):
            client.get(path)

    assert calls == [1, 2]


def test_a_key_may_take_them_all():
    app, calls = App(), []

    @app.get("/")
    @app.cached(key=lambda **given: sorted(given.values()))
    async def handler(a: int, b: int):
        calls.append((a, b))
        return {}

    with Client(app) as client:
        client.get("/?a=1&b=2")
        client.get("/?a=2&b=1")

    assert calls == [(1, 2)]


@pytest.mark.parametrize("way", WAYS)
def test_what_has_no_key_is_not_kept(way):
    function = Counted()
    with Client(cached_app(way, function, key=lambda n: n or None)) as client:
        for n in (0, 0, 1, 1):
            client.get(f"/?n={n}")

    assert function.calls == [0, 0, 1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", [lambda n: 1 / 0, lambda n: object(), lambda n: Path("/")])
def test_an_error_of_a_key_is_500(way, key, caplog):
    function = Counted()
    with Client(cached_app(way, function, key=key)) as client:
        assert client.get("/").status == 500

    assert function.calls == []
    assert "Traceback" in caplog.text


class Tenant:
    pass


def takes_request(request: Request):
    return {}


def takes_bare_request(request):
    return {}


def takes_headers(headers: Headers, n: int):
    return {}


def takes_upload(file: Upload):
    return {}


def takes_tenant(tenant: Tenant | None):
    return {}


def takes_path(path: Path):
    return {}


@pytest.mark.parametrize(
    "function",
    [takes_request, takes_bare_request, takes_headers, takes_upload, takes_tenant, takes_path],
)
def test_an_argument_that_is_no_json_needs_a_key(function):
    app = App()
    app.binder(Tenant)(lambda: Tenant())

    with pytest.raises(RegistrationError, match=r"say what counts with key="):
        app.cached()(function)
    app.cached(key=lambda: 1)(function)


def test_a_key_that_does_not_fit_is_refused():
    app = App()
    for key in (lambda m: m, lambda *n: n, lambda n, /: n, Path("x"), asyncio.sleep):
        with pytest.raises(RegistrationError):
            app.cached(key=key)(lambda n: n)


def test_options_that_make_no_sense_are_refused():
    app = App()
    with pytest.raises(ValueError, match="0 seconds"):
        app.cached(keep=0)
    with pytest.raises(ValueError, match="duration"):
        app.cached(keep="long")
    with pytest.raises(RegistrationError, match="parentheses"):
        app.cached(lambda: 1)
    with pytest.raises(ValueError, match="0 bytes"):
        App(cache_memory_bytes=-1)


def test_functions_of_one_name_need_sections_of_their_own():
    app = App()

    def handler_for(n, **options):
        @app.get(f"/{n}")
        @app.cached(**options)
        def handler():
            return {"n": n}

    handler_for(1)
    with pytest.raises(RegistrationError, match=r"section= of its own"):
        handler_for(2)
    handler_for(3, section="three")
    with Client(app) as client:
        assert [client.get(f"/{n}").json() for n in (1, 3)] == [{"n": 1}, {"n": 3}]


def test_functions_in_one_section_have_answers_of_their_own():
    app = App()

    @app.get("/a")
    @app.cached(section="both")
    def a():
        return "a"

    @app.get("/b")
    @app.cached(section="both")
    def b():
        return "b"

    with Client(app) as client:
        assert [client.get(path).text for path in ("/a", "/b", "/a")] == ["a", "b", "a"]
    assert app.cache.clear("both") == 2


# ---- what is not kept -----------------------------------------------------------------------


def not_kept(way, result, *, times=2):
    function = Counted(result)
    with Client(cached_app(way, function)) as client:
        replies = [client.get("/") for _ in range(times)]
    assert len(function.calls) == times
    return replies


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_with_a_cookie_is_not_kept(way):
    def result(n):
        response = Response({"n": n})
        response.set_cookie("id", "1")
        return response

    for reply in not_kept(way, result):
        assert reply.headers["set-cookie"].startswith("id=1")


@pytest.mark.parametrize("way", WAYS)
def test_an_error_is_not_kept(way):
    def raised(n):
        raise HttpError(404, "there is none")

    for result in (raised, lambda n: (404, {"detail": "there is none"})):
        for reply in not_kept(way, result):
            assert (reply.status, reply.json()["detail"]) == (404, "there is none")


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_passed_on_and_said_once(way, caplog):
    for reply in not_kept(way, lambda n: Stream(["a", "b"]), times=3):
        assert reply.text == "ab"

    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "handler" in record.message
    assert "Stream objects" in record.message


@pytest.mark.parametrize("way", WAYS)
def test_an_open_file_is_passed_on(way):
    def open_notes(n):
        return Path("notes.txt").open("rb")

    Path("notes.txt").write_text("notes")
    for reply in not_kept(way, open_notes):
        assert reply.text == "notes"


@pytest.mark.parametrize("way", WAYS)
def test_a_wait_is_passed_on(way):
    app = App()

    def park(n):
        wait = app.park(int)
        wait.wake(7)
        return wait

    function = Counted(park)
    with Client(cached_app(way, function, app=app)) as client:
        assert [client.get("/").json() for _ in range(2)] == [7, 7]
    assert len(function.calls) == 2


def test_a_generator_is_left_as_it_is(caplog):
    app = App()

    def steps():
        yield "a"
        yield "b"

    assert app.cached()(steps) is steps
    assert "steps" in caplog.text
    assert "generators" in caplog.text


# ---- one call for all who ask the same --------------------------------------------------------


class Gate:
    """A handler whose call waits until the test opens it."""

    def __init__(self, way, *, app=None, result=None, **options):
        self.app = app or App()
        self.calls = 0
        self._result = result or (lambda: {"made": True})
        self._open = threading.Event()
        self._opened = asyncio.Event()
        self._began = asyncio.Event()
        self._loop = asyncio.get_running_loop()

        def begin():
            self.calls += 1
            self._loop.call_soon_threadsafe(self._began.set)

        async def asynchronous(n: int = 0):
            begin()
            await self._opened.wait()
            return self._result()

        def threaded(n: int = 0):
            begin()
            self._open.wait(TIMEOUT_S)
            return self._result()

        handler = asynchronous if way == "async def" else threaded
        self.app.get("/")(self.app.cached(**options)(handler))

    async def began(self):
        await asyncio.wait_for(self._began.wait(), TIMEOUT_S)
        self._began.clear()

    def open(self):
        self._open.set()
        self._opened.set()

    async def asked(self, client, count):
        """So many requests, of which the first has begun the call and the others wait."""
        first = client.begin("GET", "/")
        await self.began()
        return [first, *[await client.parked("GET", "/") for _ in range(count - 1)]]


async def replies_of(pending):
    return [await each.reply() for each in pending]


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_two_hundred_who_ask_the_same_make_one_call_and_hold_no_thread(way):
    async def test():
        gate = Gate(way, app=App(max_threads=2))
        gate.app.get("/other")(lambda: "free")
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 200)
            assert (await client.get("/other")).text == "free"
            gate.open()
            replies = await replies_of(pending)
        assert gate.calls == 1
        assert {(each.status, each.text) for each in replies} == {(200, '{"made":true}')}

    asyncio.run(test())


@pytest.mark.parametrize("way", WAYS)
def test_two_hundred_at_once_make_one_call(way):
    function = Counted()

    async def test():
        async with AsyncClient(cached_app(way, function)) as client:
            pending = [client.begin("GET", "/") for _ in range(200)]
            assert {each.text for each in await replies_of(pending)} == {'{"n":0}'}

    asyncio.run(test())
    assert function.calls == [0]


@pytest.mark.parametrize("way", WAITING_WAYS)
@pytest.mark.parametrize("options", [{}, {"disk": False}])
def test_an_error_goes_to_all_who_wait_and_is_not_kept(way, options):
    def fail():
        raise HttpError(503, "too early")

    async def test():
        gate = Gate(way, result=fail, **options)
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 5)
            gate.open()
            replies = await replies_of(pending)
            assert [(each.status, each.json()["detail"]) for each in replies] == [
                (503, "too early")
            ] * 5
            assert gate.calls == 1
            assert (await client.get("/")).status == 503
        assert gate.calls == 2

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_an_answer_that_is_an_error_goes_to_all_who_wait_and_is_not_kept(way):
    async def test():
        gate = Gate(way, result=lambda: (404, "no"))
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 3)
            gate.open()
            assert [each.status for each in await replies_of(pending)] == [404] * 3
            assert gate.calls == 1
            await client.get("/")
        assert gate.calls == 2

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_an_unexpected_error_has_its_own_traceback_for_each(way, caplog):
    def fail():
        raise ZeroDivisionError

    async def test():
        gate = Gate(way, result=fail)
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 20)
            gate.open()
            assert {each.status for each in await replies_of(pending)} == {500}

    asyncio.run(test())
    texts = [each.exc_text for each in caplog.records if each.exc_text]
    assert len(texts) == 20
    assert all(text.count("raise ZeroDivisionError") == 1 for text in texts)
    assert max(map(len, texts)) < 2 * min(map(len, texts))


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_a_cookie_goes_to_its_own_client_alone(way):
    numbers = iter(range(1, 100))

    def result():
        response = Response("hello")
        response.set_cookie("id", str(next(numbers)))
        return response

    def error():
        headers = {"set-cookie": f"id={next(numbers)}"}
        raise HttpError(401, headers=headers)

    async def test(result):
        gate = Gate(way, result=result)
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 5)
            gate.open()
            replies = await replies_of(pending)
        cookies = {each.headers["set-cookie"].partition(";")[0] for each in replies}
        assert len(cookies) == gate.calls == 5

    asyncio.run(test(result))
    asyncio.run(test(error))


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_an_answer_in_place_of_a_result_is_for_its_own_client_alone(way):
    """As that to a request that repeats another one: see `tarry.waiting.repeats`."""
    numbers = iter(range(1, 100))

    def instead():
        raise Instead({"ticket": next(numbers)})

    async def test():
        gate = Gate(way, result=instead)
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 5)
            gate.open()
            texts = {each.text for each in await replies_of(pending)}
        assert len(texts) == gate.calls == 5

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_a_stream_is_begun_for_each(way):
    async def test():
        gate = Gate(way, result=lambda: Stream(["a", "b"]))
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 5)
            gate.open()
            assert [each.text for each in await replies_of(pending)] == ["ab"] * 5
        assert gate.calls == 5

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_the_call_goes_on_when_the_first_client_leaves(way):
    async def test():
        gate = Gate(way)
        async with AsyncClient(gate.app) as client:
            first, *others = await gate.asked(client, 3)
            await first.disconnect()
            gate.open()
            assert [each.status for each in await replies_of(others)] == [200, 200]
        assert gate.calls == 1

    asyncio.run(test())


def test_another_one_begins_when_the_first_client_leaves_a_wait():
    app, waits, began = App(), [], asyncio.Event()

    @app.get("/")
    @app.cached()
    async def handler():
        waits.append(app.park(int))
        began.set()
        return {"got": await waits[-1]}

    async def test():
        async with AsyncClient(app) as client:
            pending = [await client.parked("GET", "/") for _ in range(4)]
            assert len(waits) == 1
            began.clear()
            await pending[0].disconnect()
            await asyncio.wait_for(began.wait(), TIMEOUT_S)
            waits[0].wake(1)
            waits[1].wake(2)  # the second of them, as the third and the fourth wait for it
            replies = await replies_of(pending[1:])
        assert [each.json() for each in replies] == [{"got": 2}] * 3

    asyncio.run(test())


def test_another_one_begins_when_a_filter_gives_up_the_first():
    app, calls = App(), []
    began, given_up = asyncio.Event(), asyncio.Event()

    @app.filter
    async def impatient(request, next):
        if "impatient" not in request.query:
            return await next(request)
        task = asyncio.ensure_future(next(request))
        await given_up.wait()
        task.cancel()
        await asyncio.wait([task])
        return 504, "gave up"

    @app.get("/")
    @app.cached(key=lambda: 1)
    async def handler():
        calls.append(asyncio.Event())
        began.set()
        await calls[-1].wait()
        return "made"

    async def test():
        async with AsyncClient(app) as client:
            first = client.begin("GET", "/?impatient")
            await asyncio.wait_for(began.wait(), TIMEOUT_S)
            began.clear()
            second = await client.parked("GET", "/")
            given_up.set()
            assert (await first.reply()).status == 504
            await asyncio.wait_for(began.wait(), TIMEOUT_S)
            calls[1].set()
            assert (await second.reply()).text == "made"

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_who_leaves_while_it_waits_is_let_go(way):
    async def test():
        gate = Gate(way, app=App(max_parked=2))
        async with AsyncClient(gate.app) as client:
            first, second, third = await gate.asked(client, 3)
            assert (await client.get("/")).status == 503  # as many wait as may
            await second.disconnect()
            fourth = await client.parked("GET", "/")
            gate.open()
            assert [each.status for each in await replies_of([first, third, fourth])] == [200] * 3
        assert gate.calls == 1

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_who_waits_is_answered_when_the_server_stops(way):
    async def test():
        gate = Gate(way)
        async with AsyncClient(gate.app) as client:
            pending = await gate.asked(client, 3)
            gate.app.drain()
            gate.open()
            assert [each.status for each in await replies_of(pending)] == [200] * 3

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_what_was_cleared_is_made_anew_although_it_is_being_made(way):
    texts = iter(["old", "new"])

    async def test():
        gate = Gate(way, result=lambda: next(texts), section="s")
        async with AsyncClient(gate.app) as client:
            before = await gate.asked(client, 2)
            gate.app.cache.clear("s")
            after = client.begin("GET", "/")
            await gate.began()
            gate.open()
            both = await replies_of([*before, after])
            assert gate.calls == 2
            assert both[0].text == both[1].text != both[2].text
            assert (await client.get("/")).text == both[2].text
        assert gate.calls == 2

    asyncio.run(test())


def test_what_a_waiting_handler_depends_on_stays_open():
    class Desk:
        is_open = True

    app, asked, go_on, calls = App(), threading.Semaphore(0), threading.Event(), []

    @app.binder(Desk)
    def desk():
        made = Desk()
        yield made
        made.is_open = False

    def key():
        asked.release()
        return 1

    @app.get("/")
    @app.cached(key=key)
    def handler(desk: Desk):
        calls.append(desk)
        go_on.wait(TIMEOUT_S)
        response = Response({"open": desk.is_open})
        response.set_cookie("id", "1")  # so that each has to make its own
        return response

    with Client(app) as client:
        pending = [client.begin("GET", "/") for _ in range(3)]
        assert all(asked.acquire(timeout=TIMEOUT_S) for _ in pending)
        go_on.set()
        assert [each.reply().json() for each in pending] == [{"open": True}] * 3
    assert len(calls) == 3


def test_a_handler_with_dependencies_is_called_once_as_well():
    class Desk:
        pass

    app, began, go_on, calls = App(), threading.Event(), threading.Event(), []
    app.binder(Desk)(lambda: Desk())

    @app.get("/")
    @app.cached(key=lambda: 1)
    def handler(desk: Desk):
        calls.append(desk)
        began.set()
        go_on.wait(TIMEOUT_S)
        return "made"

    with Client(app) as client:
        pending = [client.begin("GET", "/") for _ in range(5)]
        began.wait(TIMEOUT_S)
        go_on.set()
        assert {each.reply().text for each in pending} == {"made"}
    assert len(calls) == 1


def test_each_request_sees_itself_when_it_makes_its_own():
    async def test():
        import tarry

        gate = Gate("def", result=lambda: Stream([tarry.request.query_string]), key=lambda: 1)
        async with AsyncClient(gate.app) as client:
            first = client.begin("GET", "/?n=1")
            await gate.began()
            others = [await client.parked("GET", f"/?n={n}") for n in (2, 3)]
            gate.open()
            assert [each.text for each in await replies_of([first, *others])] == [
                "n=1",
                "n=2",
                "n=3",
            ]

    asyncio.run(test())


def test_a_waiting_request_is_kept_by_filters_as_well():
    async def test():
        gate = Gate("def")

        @gate.app.filter
        def marked(request):
            response = yield
            response.headers["x-seen"] = request.query_string

        async with AsyncClient(gate.app) as client:
            first = client.begin("GET", "/?n=0")
            await gate.began()
            second = await client.parked("GET", "/?n=00")
            gate.open()
            replies = await replies_of([first, second])
        assert [each.headers["x-seen"] for each in replies] == ["n=0", "n=00"]
        assert gate.calls == 1

    asyncio.run(test())


@pytest.mark.parametrize("way", WAITING_WAYS)
def test_over_real_sockets_the_call_is_made_once(way):
    from tests.both.clients import ask_http1, ask_http2

    function = Counted()
    with cached_app(way, function).start(access_log=False) as server:
        answers = []

        def ask(client):
            answers.append(client(server.url).body)

        threads = [
            threading.Thread(target=ask, args=(client,))
            for client in (ask_http1, ask_http2)
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)

    assert answers == [b'{"n":0}'] * 40
    assert function.calls == [0]


# ---- what the function stays ------------------------------------------------------------------


def test_name_signature_and_function_are_kept():
    app = App()

    def report(year: int, detail: bool = False) -> Html:
        """Show a year."""
        return Html(f"{year} {detail}")

    cached = app.cached()(report)

    assert cached.__wrapped__ is report
    assert (cached.__name__, cached.__doc__) == ("report", "Show a year.")
    assert cached.__annotations__ == report.__annotations__


def test_outside_of_a_request_it_is_the_function_itself():
    app = App()

    @app.cached()
    def report(year):
        return {"year": year}

    @app.cached()
    async def report_async(year):
        return {"year": year}

    assert report(2026) == {"year": 2026}
    assert asyncio.run(report_async(2026)) == {"year": 2026}


@pytest.mark.parametrize("singleton", [True, False])
def test_methods_of_controllers_are_cached(singleton):
    app, calls = App(), []

    @app.controller("/reports", singleton=singleton)
    class Reports:
        @get("/{year}")
        @app.cached()
        def show(self, year: int):
            calls.append(year)
            return {"year": year}

        @get("/{year}/more")
        @app.cached()
        async def more(self, year: int):
            calls.append(-year)
            return {"more": year}

    with Client(app) as client:
        texts = [
            client.get(f"/reports/{path}").text for path in ("1", "1", "2", "2/more", "2/more")
        ]

    assert texts == ['{"year":1}', '{"year":1}', '{"year":2}', '{"more":2}', '{"more":2}']
    assert calls == [1, 2, -2]


def test_a_damaged_entry_is_made_anew():
    function = Counted()
    app = cached_app("def", function)
    with Client(app) as client:
        client.get("/")
        (section,) = app.cache.sections()
        for path in Path(".tarry/cache").rglob("?" * 32):
            if path.is_file():
                path.write_bytes(path.read_bytes()[:-1])
    with Client(cached_app("def", function)) as client:
        assert client.get("/").json() == {"n": 0}

    assert section.disk_entries == 1
    assert function.calls == [0, 0]
