"""A handler at its place: patterns, wildcards, groups, methods, names, narrowing, all compiled."""

from __future__ import annotations

import pytest

from tarry.app.binders import Groups
from tarry.app.dispatch import Dispatcher, RouteError
from tarry.app.params import Path
from tarry.app.request import Request
from tarry.app.route_options import Registration, RouteOptions
from tarry.app.routes import as_filter
from tests.app.serving import add_route, once, serving

URLENCODED = [("content-type", "application/x-www-form-urlencoded")]


def expressed(regexp, function, *, methods=("GET",)):
    dispatcher = Dispatcher()
    options = RouteOptions(methods=tuple(methods))
    dispatcher.add(Registration(None, regexp, function, options, "function"))
    return dispatcher


# ── paths ─────────────────────────────────────────────────────────────────────────────────


def test_the_rest_of_a_path_as_text_and_as_segments():
    def text(rest: str):
        return rest

    def bare(rest):
        return rest

    def segments(rest: list[str]):
        return rest

    for handler in (text, bare):
        assert once(serving(handler, "/{rest:path}"), "GET", "/a/b%2Fc/d").body == b"a/b/c/d"
    assert once(serving(segments, "/{rest:path}"), "GET", "/a/b%2Fc/d").json == ["a", "b/c", "d"]


def test_segments_are_converted_each():
    def handler(rest: list[int]):
        return rest

    dispatcher = serving(handler, "/sum/{rest:path}")
    assert once(dispatcher, "GET", "/sum/1/2/3").json == [1, 2, 3]
    asked = once(dispatcher, "GET", "/sum/1/x/3")
    assert [(each["in"], each["name"]) for each in asked.json["errors"]] == [("path", "rest")]


def test_a_counted_rest():
    def handler(pair: list[str]):
        return pair

    dispatcher = serving(handler, "/{pair:path:2}")
    assert once(dispatcher, "GET", "/a/b").json == ["a", "b"]
    assert once(dispatcher, "GET", "/a").status == 404
    assert once(dispatcher, "GET", "/a/b/c").status == 404


def test_wildcards_need_no_argument_but_can_have_one():
    def silent():
        return "x"

    def loud(wildcard: str, wildcard2: str):
        return f"{wildcard} {wildcard2}"

    assert once(serving(silent, "/a/*"), "GET", "/a/b").body == b"x"
    assert once(serving(silent, "/a/**"), "GET", "/a/b/c").body == b"x"
    assert once(serving(loud, "/*/x/*"), "GET", "/a/x/b").body == b"a b"


def test_a_function_at_several_paths_has_defaults_for_what_a_path_lacks():
    def handler(name: str, id: int = Path(default=0), tag: str = "none"):
        return [name, id, tag]

    dispatcher = Dispatcher()
    for path in ("/{name}", "/{name}/{id}", "/{name}/{id}/{tag}"):
        add_route(dispatcher, path, ["GET"], handler)

    assert once(dispatcher, "GET", "/a").json == ["a", 0, "none"]
    assert once(dispatcher, "GET", "/a?id=7&tag=t").json == ["a", 0, "t"]
    assert once(dispatcher, "GET", "/a/7").json == ["a", 7, "none"]
    assert once(dispatcher, "GET", "/a/7/t").json == ["a", 7, "t"]


def test_paths_beyond_ascii():
    def handler(größe: str):
        return größe

    dispatcher = serving(handler, "/maße/{größe}")
    assert once(dispatcher, "GET", "/ma%C3%9Fe/%E2%82%AC").body == "€".encode()
    assert once(dispatcher, "GET", "/ma%C3%9Fe/%ff").status == 400


@pytest.mark.parametrize("target", ["/7", "/007", "/-7"])
def test_a_kind_and_an_annotation_agree(target):
    def handler(id: int):
        return id

    assert once(serving(handler, "/{id:int}"), "GET", target).status in (200, 404)
    assert once(serving(handler, "/{id}"), "GET", "/x").status == 400
    assert once(serving(handler, "/{id:int}"), "GET", "/x").status == 404


# ── regular expressions ───────────────────────────────────────────────────────────────────


def test_named_groups_are_arguments():
    def handler(year: int, slug: str):
        return [year, slug]

    dispatcher = expressed(r"/(?P<year>[0-9]{4})-(?P<slug>\w+)", handler)
    assert once(dispatcher, "GET", "/2026-tea").json == [2026, "tea"]
    assert once(dispatcher, "GET", "/26-tea").status == 404


def test_unnamed_groups_are_reached_by_their_type():
    def handler(groups: Groups, request: Request):
        return [list(groups), request.path]

    dispatcher = expressed(r"/(\w+)\.(\w+)?", handler)
    assert once(dispatcher, "GET", "/a.txt").json == [["a", "txt"], "/a.txt"]
    assert once(dispatcher, "GET", "/a.").json == [["a", ""], "/a."]


def test_a_named_group_needs_no_argument():
    assert once(expressed(r"/(?P<slug>\w+)", lambda: "x"), "GET", "/a").body == b"x"


def test_a_regular_expression_sees_the_decoded_path():
    def handler(word: str):
        return word

    assert once(expressed("/(?P<word>ü+)", handler), "GET", "/%C3%BC%C3%BC").body == "üü".encode()


@pytest.mark.parametrize("regexp", ["(", "", "[a"])
def test_a_regular_expression_that_cannot_be(regexp):
    with pytest.raises(RouteError, match=r"test_routes\.py"):
        expressed(regexp, lambda: None)


# ── methods ───────────────────────────────────────────────────────────────────────────────


def test_any_method():
    def handler(request: Request):
        return request.method

    dispatcher = serving(handler, methods=["*"])
    for method in ("GET", "POST", "BREW", "OPTIONS", "HEAD"):
        assert once(dispatcher, method).body == method.encode()


def test_a_method_of_its_own_comes_before_any():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["*"], lambda: "any")
    add_route(dispatcher, "/", ["POST"], lambda: "post")

    assert once(dispatcher, "POST").body == b"post"
    assert once(dispatcher, "GET").body == b"any"


def test_options_and_head_can_have_routes_of_their_own():
    dispatcher = Dispatcher()
    add_route(dispatcher, "/", ["GET"], lambda: "get")
    add_route(dispatcher, "/", ["HEAD"], lambda: "head")
    add_route(dispatcher, "/", ["OPTIONS"], lambda: "options")

    assert once(dispatcher, "HEAD").body == b"head"
    assert once(dispatcher, "OPTIONS").body == b"options"


@pytest.mark.parametrize(("methods", "found"), [(["GET"], "none"), (["GET", "POST"], "form")])
def test_a_form_is_looked_for_where_a_method_has_bodies(methods, found):
    def handler(a: str = "none"):
        return a

    dispatcher = serving(handler, methods=methods)
    asked = once(dispatcher, methods[-1], "/", URLENCODED, body=b"a=form")
    assert asked.body == found.encode()


# ── the request by its name ───────────────────────────────────────────────────────────────


def test_an_argument_that_is_only_called_request_is_the_request():
    def handler(request):
        return request.path

    async def handler_async(request, page=1):
        return f"{request.path} {page}"

    assert once(serving(handler, "/a"), "GET", "/a").body == b"/a"
    assert once(serving(handler_async, "/a"), "GET", "/a?page=2&request=x").body == b"/a 2"


def test_an_argument_called_request_with_a_type_default_or_place_is_that():
    def typed(request: str):
        return request

    def defaulted(request="none"):
        return request

    assert once(serving(typed), "GET", "/?request=x").body == b"x"
    assert once(serving(defaulted)).body == b"none"
    assert once(serving(lambda request: request, "/{request}"), "GET", "/x").body == b"x"


# ── filters ───────────────────────────────────────────────────────────────────────────────


def test_a_filter_that_is_none_is_told_when_the_route_is_added():
    with pytest.raises(RouteError, match="a filter is a function of the request"):
        add_route(Dispatcher(), "/", ["GET"], lambda: "x", filters=(lambda: None,))


def test_a_function_is_one_filter_wherever_it_stands():
    def step(request):
        return None

    assert as_filter(step) is as_filter(step)
    assert as_filter(as_filter(step)) is as_filter(step)
