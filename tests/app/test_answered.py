"""A response as filters see it: what they can put into it, and what goes out then."""

from __future__ import annotations

import pytest

from tarry import (
    Answered,
    App,
    Events,
    Headers,
    HttpError,
    SendFile,
    ServerEvent,
    SetCookie,
    Stream,
)
from tarry.app.answered import answered
from tarry.app.results import ResultError, answer_for
from tests.app.serving import once


def changed(change, handler=lambda: "text", *arguments, **named):
    """What is answered when a filter changes the response, and the response it saw."""
    app, seen = App(), []
    app.add_route("/", handler)

    @app.filter(inline=True)
    def filter(request):
        response = yield
        seen.append((type(response), response.status, response.headers, response.body))
        return change(response)

    return once(app, *arguments, **named), seen[0]


def setting(**values):
    def change(response):
        for name, value in values.items():
            setattr(response, name, value)

    return change


async def agen():
    yield "a"
    yield "b"


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        (b"other", b"text/plain; charset=utf-8", b"other"),
        ("öther", b"text/plain; charset=utf-8", "öther".encode()),
        ({"a": 1}, b"application/json", b'{"a":1}'),
        (None, None, b""),
        (Stream(["a", "b"]), b"text/plain; charset=utf-8", b"ab"),
        (Events([ServerEvent("a")]), b"text/event-stream", b"data: a\n\n"),
        ((201, {"a": 1}), b"application/json", b'{"a":1}'),
    ],
)
def test_a_body_can_be_replaced_by_what_handlers_return(body, content_type, sent):
    asked, _ = changed(setting(body=body), lambda: (202, Headers({"x-a": "1"}), "text"))

    assert (asked.status, asked.body, asked.headers[b"x-a"]) == (202, sent, b"1")
    assert asked.content_type == content_type


def test_a_generator_as_a_body_is_streamed():
    assert changed(lambda response: setattr(response, "body", agen()))[0].body == b"ab"


def test_nothing_is_changed_by_looking():
    asked, (kind, status, headers, body) = changed(lambda _: None)

    assert (kind, status, body) == (Answered, 200, b"text")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert asked.headers == {b"content-type": b"text/plain; charset=utf-8"}


def test_the_announced_length_of_a_body_goes_with_it():
    def handler():
        return Stream([b"abc"], length=3)

    asked, (_, _, headers, _) = changed(setting(body=b"longer"), handler)
    assert (headers.get("content-length"), asked.body) == (None, b"longer")
    assert asked.exchange.answer_head.length is None

    asked, _ = changed(lambda response: response.headers.__setitem__("x-a", "1"), handler)
    assert asked.exchange.answer_head.length == 3


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_file_can_be_replaced_by_a_body(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"x" * (10 if name == "small" else 200_000))
    asked, _ = changed(setting(body="other"), lambda: path)

    assert (asked.body, asked.exchange.answer_head.length) == (b"other", None)


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_file_stays_one_with_other_headers(name, tmp_path):
    path = tmp_path / name
    size = 10 if name == "small" else 200_000
    path.write_bytes(b"x" * size)

    def change(response):
        response.headers["x-a"] = "1"
        response.cookies.append(SetCookie("a", "b"))

    for method, length in (("GET", size), ("HEAD", 0)):
        asked, _ = changed(change, lambda: path, method)
        assert (asked.status, len(asked.body), asked.headers[b"x-a"]) == (200, length, b"1")
        assert asked.headers[b"set-cookie"].startswith(b"a=b")


@pytest.mark.parametrize("body", ["path", "send_file", "object", "two bodies"])
def test_a_body_that_cannot_be_sent_is_a_bug(body, tmp_path, caplog):
    bodies = {
        "path": tmp_path / "file",
        "send_file": SendFile(tmp_path / "file"),
        "object": object(),
        "two bodies": ("a", "b"),
    }
    asked, _ = changed(setting(body=bodies[body]))

    assert asked.status == 500
    assert "ResultError" in caplog.text


@pytest.mark.parametrize("status", [0, 99, 1000, "200", None])
def test_a_status_that_there_is_not_is_a_bug(status, caplog):
    asked, _ = changed(setting(status=status))

    assert asked.status == 500
    assert caplog.records


def test_all_headers_can_be_replaced_at_once():
    asked, _ = changed(setting(headers=Headers({"x-a": "1"})))

    assert asked.headers == {b"x-a": b"1"}


def test_a_response_can_be_returned_by_a_filter_further_out():
    app, kept = App(), []
    app.add_route("/", lambda: "text")

    @app.filter
    async def returns_an_older_one(request, next):
        await next(request)
        return kept[0]

    @app.filter
    async def keeps(request, next):
        kept.append(await next(request))
        raise HttpError(403)

    assert (once(app).status, once(app).body) == (200, b"text")


def test_a_file_is_refused_where_it_was_put_in(tmp_path):
    response = answered(answer_for("text"))
    response.body = tmp_path
    with pytest.raises(ResultError, match="let it return the file"):
        response.answer()


def test_headers_that_are_added_as_before_are_sent_as_they_are_now():
    """What one response got is neither lost nor sent with another one."""
    app, given = App(), iter(("1", "1", "2", "1", ["1"], "1"))
    app.add_route("/", lambda: "text", inline=True)

    @app.filter(inline=True)
    def add(request):
        response = yield
        response.headers["x-a"] = next(given)
        response.headers.add("X-B", "1")
        if request.query:
            response.set_cookie("secret", "1")

    sent = [once(app, target=target) for target in ("/", "/?a=1", "/", "/", "/", "/")]

    assert [each.status for each in sent] == [200, 200, 200, 200, 500, 200]
    values = [each.headers[b"x-a"] for each in sent if each.status == 200]
    assert values == [b"1", b"1", b"2", b"1", b"1"]
    assert [b"set-cookie" in each.headers for each in sent] == [False, True] + [False] * 4
    assert all(each.headers[b"x-b"] == b"1" for each in sent if each.status == 200)


def test_headers_that_took_the_place_of_all_others_can_be_looked_at():
    seen = []

    def change(response):
        response.headers = Headers({"x-a": "1"})
        response.headers["x-b"] = "2"
        seen.append(dict(response.headers))

    asked, _ = changed(change)
    assert seen == [{"x-a": "1", "x-b": "2"}]
    assert asked.headers == {b"x-a": b"1", b"x-b": b"2"}
