"""The tree and the table of routes."""

from __future__ import annotations

from types import SimpleNamespace

from tarry.app.conditions import parse_conditions
from tarry.app.describe import RouteRow, route_table, site_map
from tarry.app.patterns import parse_pattern
from tarry.app.regexps import parse_regexp


def route(line: str, params=None, headers=None) -> SimpleNamespace:
    """A route from methods, path and name; a path that begins with "^" is an expression."""
    methods, text, name = line.split()
    pattern = parse_regexp(text) if text.startswith("^") else parse_pattern(text)
    return SimpleNamespace(
        path=str(pattern),
        methods=methods.split(","),
        name=name,
        conditions=parse_conditions(params, headers),
    )


ROUTES = [
    route(line)
    for line in (
        "GET / index",
        "GET /users users",
        "POST /users add_user",
        "GET,DELETE /users/{id:int} user",
        "GET /users/{id:int}/posts/ posts",
        "GET /日本/{rest:path} japan",
        "PUT /users/ all_users",
        "GET /z last",
        "POST /z last_too",
    )
]


def test_the_tree():
    assert site_map(ROUTES).splitlines() == [
        "/                  GET          index",
        "├─ users           GET          users",
        "│  │               POST         add_user",
        "│  ├─ {id:int}     GET, DELETE  user",
        "│  │  └─ posts",
        "│  │     └─ /      GET          posts",
        "│  └─ /            PUT          all_users",
        "├─ 日本",
        "│  └─ {rest:path}  GET          japan",
        "└─ z               GET          last",
        "                   POST         last_too",
    ]


def test_a_tree_without_a_root_route():
    assert site_map([route("GET /a/b view")]).splitlines() == [
        "/",
        "└─ a",
        "   └─ b  GET  view",
    ]


def test_several_routes_at_the_root():
    assert site_map(
        [route("GET / index"), route("POST / add"), route("GET /a a")]
    ).splitlines() == [
        "/     GET   index",
        "│     POST  add",
        "└─ a  GET   a",
    ]


def test_a_tree_without_routes():
    assert site_map([]) == "/"


def test_the_table_keeps_the_order():
    assert route_table(ROUTES[2:4]) == [
        RouteRow("POST", "/users", "add_user"),
        RouteRow("GET, DELETE", "/users/{id:int}", "user"),
    ]


NARROWED = [
    route("GET ^/x/([a-z]+)/y$ expressed"),
    route("GET /pages page_a", params="a=b"),
    route("GET /pages page"),
    route("POST /pages add", headers="content-type^=text/"),
    route("* /pages/*/x any"),
    route("GET /pages/**/y deep"),
    route("POST ^/x/([a-z]+)/y$ expressed_too", params="a"),
    route("GET /last last", params=["a", "b"]),
]


def test_wildcards_expressions_and_narrowing():
    assert site_map(NARROWED).splitlines() == [
        "/",
        "├─ pages [params a=b]                   GET   page_a",
        "│  │                                    GET   page",
        "│  │     [headers content-type^=text/]  POST  add",
        "│  ├─ *",
        "│  │  └─ x                              *     any",
        "│  └─ **",
        "│     └─ y                              GET   deep",
        "├─ last [params a, b]                   GET   last",
        "└─ regexp ^/x/([a-z]+)/y$               GET   expressed",
        "                          [params a]    POST  expressed_too",
    ]


def test_narrowing_at_the_root():
    routes = [route("GET / index", params="a"), route("GET / other", params="b")]

    assert site_map(routes).splitlines() == [
        "/ [params a]  GET  index",
        "  [params b]  GET  other",
    ]


def test_the_table_has_expressions_and_narrowing():
    assert route_table(NARROWED[:3]) == [
        RouteRow("GET", "regexp ^/x/([a-z]+)/y$", "expressed"),
        RouteRow("GET", "/pages [params a=b]", "page_a"),
        RouteRow("GET", "/pages", "page"),
    ]


def test_routes_need_not_have_conditions():
    plain = SimpleNamespace(path="/a", methods=["GET"], name="view")

    assert site_map([plain]).splitlines() == ["/", "└─ a  GET  view"]
    assert route_table([plain]) == [RouteRow("GET", "/a", "view")]
