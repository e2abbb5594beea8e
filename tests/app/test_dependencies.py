"""What handlers depend on: made once, shared, cleaned up, in every lane."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Annotated, Any

import msgspec
import pytest

from tarry.app.binders import BinderContext
from tarry.app.dependencies import Provider
from tarry.app.dispatch import Dispatcher, RouteError
from tarry.app.errors import HttpError
from tarry.app.params import Body, File, Form, Header
from tarry.app.request import Request
from tarry.app.responses import Response, Stream
from tarry.app.uploads import Upload
from tests.app.serving import WAIT_S, add_route, ask, once, started
from tests.exchanges import Recorded, turns

URLENCODED = [("content-type", "application/x-www-form-urlencoded")]
JSON = [("content-type", "application/json")]


class Session:
    def __init__(self, text="session"):
        self.text = text


class User:
    def __init__(self, text):
        self.text = text


class Order(msgspec.Struct):
    item: str


def depending(function, providers, path="/", *, methods=("GET",), lane="threads", **settings):
    """A dispatcher with one route and what it depends on; a provider may be (function, inline)."""
    dispatcher = Dispatcher(**settings)
    for kind, provider in providers.items():
        made, inline = provider if isinstance(provider, tuple) else (provider, False)
        dispatcher.binders[kind] = Provider(made, inline=inline)
    if lane == "async":
        plain = function

        @functools.wraps(plain)
        async def function(**arguments):
            return plain(**arguments)

    add_route(dispatcher, path, methods, function, inline=lane == "inline")
    return dispatcher


LANES = pytest.mark.parametrize("lane", ["async", "threads", "inline"])


def kinds_of_providers(log):
    """A provider of each kind; generators write down how they end."""

    def plain():
        log.append("made")
        return Session(threading.current_thread().name)

    async def asynchronous():
        await asyncio.sleep(0)
        return plain()

    def generator():
        try:
            yield plain()
            log.append("fine")
        except ValueError as error:
            log.append(str(error))
            raise
        finally:
            log.append("closed")

    async def async_generator():
        try:
            yield await asynchronous()
            log.append("fine")
        except ValueError as error:
            log.append(str(error))
            raise
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    return {
        "plain": plain,
        "inline": (plain, True),
        "async": asynchronous,
        "generator": generator,
        "inline generator": (generator, True),
        "async generator": async_generator,
    }


KINDS = pytest.mark.parametrize("kind", list(kinds_of_providers([])))


@LANES
@KINDS
def test_each_kind_of_provider_serves_each_lane(lane, kind):
    log = []

    def handler(session: Session):
        log.append("handled")
        return session.text

    asked = once(depending(handler, {Session: kinds_of_providers(log)[kind]}, lane=lane))

    assert asked.status == 200
    on_the_loop = kind.startswith(("inline", "async")) and not (
        lane == "threads" and kind.startswith("inline")
    )
    assert asked.body.startswith(b"MainThread" if on_the_loop else b"tarry-handler")
    cleaned = ["fine", "closed"] if "generator" in kind else []
    assert log == ["made", "handled", *cleaned]


@LANES
@pytest.mark.parametrize("kind", [each for each in kinds_of_providers([]) if "generator" in each])
def test_an_error_of_the_handler_is_raised_at_the_yield(lane, kind, caplog):
    log = []

    def handler(session: Session):
        raise ValueError("of the handler")

    asked = once(depending(handler, {Session: kinds_of_providers(log)[kind]}, lane=lane))

    assert asked.status == 500
    assert log == ["made", "of the handler", "closed"]
    assert len(caplog.records) == 1


@LANES
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_provider_can_turn_an_error_into_an_answer(lane, asynchronous):
    def provide():
        try:
            yield Session()
        except KeyError as error:
            raise HttpError(404, f"no {error.args[0]}") from error

    async def provide_async():
        try:
            yield Session()
        except KeyError as error:
            raise HttpError(404, f"no {error.args[0]}") from error

    def handler(session: Session):
        raise KeyError("note")

    provider = provide_async if asynchronous else provide
    asked = once(depending(handler, {Session: provider}, lane=lane))

    assert (asked.status, asked.json["detail"]) == (404, "no note")


@LANES
@pytest.mark.parametrize("asynchronous", [False, True])
def test_cleaning_up_that_fails_is_a_500_and_logged(lane, asynchronous, caplog):
    def provide():
        yield Session()
        raise OSError("disk full")

    async def provide_async():
        yield Session()
        raise OSError("disk full")

    def handler(session: Session):
        return "stored"

    provider = provide_async if asynchronous else provide
    asked = once(depending(handler, {Session: provider}, lane=lane))

    assert asked.status == 500
    assert b"disk" not in asked.body
    assert len(caplog.records) == 1
    assert "disk full" in caplog.text


@LANES
def test_a_generator_that_yields_twice_is_a_500(lane, caplog):
    def provide():
        yield Session()
        yield Session()

    asked = once(depending(lambda **_: "x", {Session: provide}, lane=lane))
    assert asked.status == 200  # nothing asks for it

    def handler(session: Session):
        return "x"

    assert once(depending(handler, {Session: provide}, lane=lane)).status == 500
    assert "didn't stop" in caplog.text


@LANES
def test_the_cleanup_is_over_before_the_answer_goes_out(lane):
    seen = []

    async def run():
        def provide(request: Request):
            yield Session()
            seen.append(request.exchange.started)

        def handler(session: Session):
            return "x"

        async with started(depending(handler, {Session: provide}, lane=lane)) as dispatcher:
            return await ask(dispatcher)

    assert asyncio.run(run()).body == b"x"
    assert seen == [False]


# ── streams ───────────────────────────────────────────────────────────────────────────────


@LANES
@pytest.mark.parametrize("kind", [each for each in kinds_of_providers([]) if "generator" in each])
def test_what_a_stream_uses_is_cleaned_up_after_its_last_piece(lane, kind):
    log = []

    def handler(session: Session):
        def pieces():
            for number in range(3):
                log.append(number)
                yield str(number)

        return Stream(pieces())

    asked = once(depending(handler, {Session: kinds_of_providers(log)[kind]}, lane=lane))

    assert asked.body == b"012"
    assert log == ["made", 0, 1, 2, "fine", "closed"]


@LANES
def test_what_a_stream_uses_is_cleaned_up_when_the_client_leaves(lane):
    log, closed = [], threading.Event()

    def provide():
        try:
            yield Session()
        finally:
            closed.set()

    async def pieces():
        yield "first"
        log.append("waits")
        await asyncio.Event().wait()

    def handler(session: Session):
        return Stream(pieces())

    async def run():
        async with started(depending(handler, {Session: provide}, lane=lane)) as dispatcher:
            exchange = Recorded()
            dispatcher.handle(exchange)
            while not log:
                await asyncio.sleep(0)
            exchange.leave()
            await asyncio.wait_for(exchange.complete.wait(), WAIT_S)
            assert await asyncio.to_thread(closed.wait, WAIT_S)

    asyncio.run(run())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_cleaning_up_after_a_stream_that_fails_is_logged(asynchronous, caplog):
    def provide():
        yield Session()
        raise OSError("disk full")

    async def provide_async():
        yield Session()
        raise OSError("disk full")

    def handler(session: Session):
        return Stream(["a"])

    provider = provide_async if asynchronous else provide
    asked = once(depending(handler, {Session: provider}))

    assert (asked.status, asked.body) == (200, b"a")
    assert [each.name for each in caplog.records] == ["tarry"]
    assert "disk full" in caplog.text


# ── what depends on what ──────────────────────────────────────────────────────────────────


@LANES
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_value_is_made_once_for_a_request_and_again_for_the_next(lane, asynchronous):
    log = []

    def make_session():
        log.append("opened")
        yield Session()
        log.append("closed")

    async def make_session_async():
        log.append("opened")
        yield Session()
        log.append("closed")

    def make_user(session: Session):
        yield User(session)
        log.append("user gone")

    def make_order(user: User, session: Session):
        return Order(str(user.text is session))

    def handler(order: Order, user: User, session: Session, again: Session):
        return f"{order.item} {user.text is session} {session is again}"

    session = make_session_async if asynchronous else make_session
    providers = {Session: session, User: make_user, Order: make_order}
    dispatcher = depending(handler, providers, lane=lane)

    for _ in range(2):
        assert once(dispatcher).body == b"True True True"
        # Cleaned up in the reverse order.
        assert log == ["opened", "user gone", "closed"]
        log.clear()


@LANES
def test_the_parameters_of_dependencies_are_bound_like_those_of_handlers(lane):
    def make_user(id: int, token: Annotated[str, Header("x-token")], times: int = 1):
        return User(f"{id} {token} " * times)

    def handler(user: User, id: int):
        return f"{user.text}{id}"

    dispatcher = depending(handler, {User: make_user}, "/{id}", lane=lane)

    asked = once(dispatcher, "GET", "/7?times=2", [("x-token", "t")])
    assert asked.body == b"7 t 7 t 7"


@LANES
def test_bad_parameters_of_all_are_in_one_answer(lane):
    def make_session(size: int):
        return Session()

    def make_user(session: Session, token: Annotated[str, Header("x-token")]):
        return User("x")

    def handler(user: User, id: int, page: int = 1):
        return "x"

    dispatcher = depending(handler, {Session: make_session, User: make_user}, "/{id}", lane=lane)
    asked = once(dispatcher, "GET", "/x?page=y")

    assert asked.status == 400
    assert {(each["in"], each["name"]) for each in asked.json["errors"]} == {
        ("path", "id"), ("query", "page"), ("query", "size"), ("header", "x-token"),
    }  # fmt: skip


def test_nothing_is_made_for_a_request_with_bad_parameters():
    made = []

    def make_session():
        made.append(True)
        return Session()

    def make_user(session: Session, id: int):
        return User("x")

    def handler(user: User):
        return "x"

    providers = {Session: make_session, User: make_user}
    assert once(depending(handler, providers), "GET", "/?id=x").status == 400
    assert not made


@LANES
def test_what_was_made_is_cleaned_up_if_the_next_cannot_be_made(lane):
    log = []

    def make_session():
        try:
            yield Session()
        except HttpError as error:
            log.append(error.status)
            raise

    def make_user(session: Session):
        raise HttpError(401)

    def handler(user: User):
        log.append("called")

    asked = once(depending(handler, {Session: make_session, User: make_user}, lane=lane))
    assert asked.status == 401
    assert log == [401]


@LANES
def test_a_dependency_may_take_form_fields_and_files(lane):
    def make_user(name: Annotated[str, Form()], photo: Annotated[Upload, File()]):
        return User(f"{name} {photo.read().decode()}")

    def handler(user: User, name: str):
        return f"{user.text} {name}"

    dispatcher = depending(handler, {User: make_user}, methods=["POST"], lane=lane)
    sent = (
        b'--b\r\ncontent-disposition: form-data; name="name"\r\n\r\nAda\r\n'
        b'--b\r\ncontent-disposition: form-data; name="photo"; filename="p"\r\n\r\nJPEG\r\n'
        b"--b--\r\n"
    )
    multipart = [("content-type", "multipart/form-data; boundary=b")]

    assert once(dispatcher, "POST", "/", multipart, body=sent).body == b"Ada JPEG Ada"
    assert once(dispatcher, "POST", "/", JSON, body=b"{}").status == 415


@LANES
def test_a_dependency_and_its_handler_may_both_take_the_body(lane):
    def make_user(order: Order):
        return User(order.item)

    def handler(user: User, raw: Annotated[bytes, Body()]):
        return f"{user.text} {len(raw)}"

    dispatcher = depending(handler, {User: make_user}, methods=["POST"], lane=lane)

    asked = once(dispatcher, "POST", "/", JSON, body=b'{"item":"tea"}')
    assert asked.body == b"tea 14"
    asked = once(dispatcher, "POST", "/", JSON, body=b'{"item":7}')
    assert [(each["in"], each["name"]) for each in asked.json["errors"]] == [("body", "item")]


@LANES
def test_a_dependency_may_amend_the_answer(lane):
    def make_session(response: Response):
        response.headers["x-session"] = "new"
        return Session()

    def handler(session: Session):
        return "x"

    asked = once(depending(handler, {Session: make_session}, lane=lane))
    assert asked.headers[b"x-session"] == b"new"


@LANES
@pytest.mark.parametrize("annotation", [Session | None, Annotated[Session | None, "metadata"]])
def test_what_may_be_none_is_still_asked_for(lane, annotation):
    def make_session(token: str = ""):
        return Session(token) if token else None

    def handler(session=None):
        return "nobody" if session is None else session.text

    handler.__annotations__["session"] = annotation
    dispatcher = depending(handler, {Session: make_session}, lane=lane)

    assert once(dispatcher, "GET", "/?token=t").body == b"t"
    assert once(dispatcher).body == b"nobody"


@LANES
def test_a_provider_that_looks_at_its_argument_makes_one_for_each(lane):
    def make_session(context: BinderContext, request: Request):
        return Session(f"{context.argument.name}@{context.path['id']}")

    def make_user(session: Session):
        return User(session.text)

    def handler(first: Session, second: Session, user: User):
        return f"{first.text} {second.text} {user.text}"

    dispatcher = depending(handler, {Session: make_session, User: make_user}, "/{id}", lane=lane)

    assert once(dispatcher, "GET", "/7").body == b"first@7 second@7 session@7"


def test_a_bare_request_is_the_request_here_too():
    def make_session(request):
        return Session(request.path)

    def handler(session: Session):
        return session.text

    assert once(depending(handler, {Session: make_session}, "/**"),
                "GET", "/a/b").body == b"/a/b"  # fmt: skip


# ── what cannot be ────────────────────────────────────────────────────────────────────────


def session_of_user(user: User):
    return Session()


def user_of_session(session: Session):
    return User("x")


def takes_session(session: Session):
    return "x"


def test_a_circle_is_told_when_the_route_is_added():
    providers = {Session: session_of_user, User: user_of_session}
    with pytest.raises(RouteError, match="depends on itself: session → user → session") as caught:
        depending(takes_session, providers)

    assert "test_dependencies.py" in str(caught.value)


def test_a_provider_that_cannot_be_bound_names_itself():
    def provider(*things: Any):
        return Session()

    with pytest.raises(RouteError, match=r"provider \(.*argument 'things'"):
        depending(takes_session, {Session: provider})


def test_threads_of_dependencies_are_given_back():
    """A handler in a thread must not hold one while its dependency waits for another."""

    def make_session():
        return Session()

    async def make_user(session: Session):
        return User("x")

    def handler(user: User):
        return "x"

    async def run():
        providers = {Session: make_session, User: make_user}
        async with started(depending(handler, providers, max_threads=1)) as dispatcher:
            answers = await asyncio.gather(*(ask(dispatcher) for _ in range(20)))
            await turns()
            return answers

    assert [each.body for each in asyncio.run(run())] == [b"x"] * 20


def test_a_post_form_reaches_a_dependency_by_name():
    def make_user(name: str):
        return User(name)

    def handler(user: User):
        return user.text

    dispatcher = depending(handler, {User: make_user}, methods=["POST"])
    assert once(dispatcher, "POST", "/", URLENCODED, body=b"name=Ada").body == b"Ada"
    assert once(dispatcher, "POST", "/?name=Bob", URLENCODED, body=b"name=Ada").body == b"Bob"
