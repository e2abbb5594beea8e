"""The tree and the table of routes."""

from __future__ import annotations

from types import SimpleNamespace

from tarry.app.describe import RouteRow, route_table, site_map


def route(line: str) -> SimpleNamespace:
    methods, path, name = line.split()
    return SimpleNamespace(path=path, methods=methods.split(","), name=name)


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
