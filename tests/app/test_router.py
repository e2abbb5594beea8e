"""The router: precedence, misses, changes, and a cost that does not grow with the routes."""

from __future__ import annotations

import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.patterns import PATH, Parameter, parse_pattern
from tarry.app.router import DuplicateRoute, MethodNotAllowed, NotFound, Router
from tarry.message.target import InvalidTarget


def split(each: str) -> tuple[list[str], str]:
    """Methods and text of "GET,POST /x", or of "/x" for GET."""
    if each.startswith("/"):
        return ["GET"], each
    methods, _, text = each.partition(" ")
    return methods.split(","), text


def router_of(*routes: str) -> Router[str]:
    """A router whose routes are called as they are written."""
    router: Router[str] = Router()
    for each in routes:
        methods, text = split(each)
        router.add(parse_pattern(text), methods, each)
    return router


def found(router: Router[str], path: str, method: str = "GET"):
    """What is found, or the name of what is raised."""
    try:
        return router.find(method.encode(), path.encode())
    except MethodNotAllowed as error:
        return error.allowed
    except (NotFound, InvalidTarget) as error:
        return type(error).__name__


ROUTES = [
    "/", "/users", "/users/", "/users/me", "/users/{id:int}", "/users/{at:uuid}",
    "/users/{x:float}", "/users/{name}", "/users/{id:int}/posts", "/users/{name}/cats",
    "/users/{rest:path}", "/files/{rest:path}", "/café", "/a b/{x}", "/{one}/{two}/{three}",
    "/a%2Fb",
]  # fmt: skip
UUID_TEXT = "00000000-0000-0000-0000-00000000000a"


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        ("/", "/", ()),
        ("/users", "/users", ()),
        ("/users/", "/users/", ()),
        ("/users/me", "/users/me", ()),
        ("/users/%6De", "/users/me", ()),
        ("/users/42", "/users/{id:int}", ("42",)),
        ("/users/-42", "/users/{id:int}", ("-42",)),
        ("/users/%34%32", "/users/{id:int}", ("42",)),
        ("/users/4.2", "/users/{x:float}", ("4.2",)),
        (f"/users/{UUID_TEXT}", "/users/{at:uuid}", (UUID_TEXT,)),
        ("/users/" + "9" * 19, "/users/{id:int}", ("9" * 19,)),
        ("/users/" + "9" * 20, "/users/{name}", ("9" * 20,)),
        ("/users/ada", "/users/{name}", ("ada",)),
        ("/users/a%2Fb", "/users/{name}", ("a/b",)),
        ("/users/a%20b", "/users/{name}", ("a b",)),
        ("/users/%E6%97%A5", "/users/{name}", ("日",)),
        ("/users/42/posts", "/users/{id:int}/posts", ("42",)),
        ("/users/42/cats", "/users/{name}/cats", ("42",)),
        ("/users/me/cats", "/users/{name}/cats", ("me",)),
        ("/users/42/dogs", "/users/{rest:path}", ("42/dogs",)),
        ("/users/42/", "/users/{rest:path}", ("42/",)),
        ("/files/a/b%2Fc/d", "/files/{rest:path}", ("a/b/c/d",)),
        ("/files/..", "/files/{rest:path}", ("..",)),
        ("/caf%C3%A9", "/café", ()),
        ("/caf%c3%a9", "/café", ()),
        ("/a%20b/c", "/a b/{x}", ("c",)),
        ("/a%2Fb", "/a%2Fb", ()),
        ("/x/y/z", "/{one}/{two}/{three}", ("x", "y", "z")),
        ("/a/b;c=d,e/f", "/{one}/{two}/{three}", ("a", "b;c=d,e", "f")),
    ],
)
def test_the_most_specific_route_is_found(path, route, values):
    assert found(router_of(*ROUTES), path) == (route, values)
    # The order of registration has no say.
    assert found(router_of(*reversed(ROUTES)), path) == (route, values)


@pytest.mark.parametrize(
    "path",
    [
        "//", "//users", "/users//", "/users//42", "/files", "/files/", "/files//a", "/files/a//b",
        "/files/a//", "/x/y/z/", "/x//z", "/USERS", "/x", "/" * 1000, "*",
    ],
)  # fmt: skip
def test_not_found(path):
    assert found(router_of(*ROUTES), path) == "NotFound"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "**",
        "users",
        "/%",
        "/%0",
        "/%zz",
        "/%00",
        "/a\0",
        "/%ff",
        "/%C0%AF",
        "/é",
        "/users/a\0",
        "/users/é",
        "/users/%",
    ],
)
def test_a_path_that_does_not_decode(path):
    assert found(router_of(*ROUTES), path) == "InvalidTarget"


def test_an_empty_router_finds_nothing():
    assert found(Router(), "/") == "NotFound"


def test_a_more_specific_route_without_the_method_hides_nothing():
    router = router_of("/a/b", "PUT /a/{x:int}", "POST,PURGE /a/{x}", "DELETE /{rest:path}")

    assert found(router, "/a/b", "POST") == ("POST,PURGE /a/{x}", ("b",))
    assert found(router, "/a/b", "DELETE") == ("DELETE /{rest:path}", ("a/b",))
    assert found(router, "/a/b", "PATCH") == (
        "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE",
    )  # fmt: skip
    assert found(router, "/a/1", "GET") == ("POST", "PUT", "DELETE", "OPTIONS", "PURGE")
    assert found(router, "/a/b/c", "GET") == ("DELETE", "OPTIONS")


def test_get_answers_head_until_head_is_registered():
    router = router_of("/a")
    assert found(router, "/a", "HEAD") == ("/a", ())

    router.add(parse_pattern("/a"), ["HEAD"], "own")
    assert found(router, "/a", "HEAD") == ("own", ())

    router.remove(parse_pattern("/a"), ["HEAD"])
    assert found(router, "/a", "HEAD") == ("/a", ())


def test_options_is_found_only_if_registered():
    router = router_of("POST /a", "OPTIONS,GET /b")

    assert found(router, "/a", "OPTIONS") == ("POST", "OPTIONS")
    assert found(router, "/b", "OPTIONS") == ("OPTIONS,GET /b", ())


def test_methods_match_in_capitals():
    router = router_of("get,Get /a")

    assert found(router, "/a") == ("get,Get /a", ())
    assert found(router, "/a", "get") == ("GET", "HEAD", "OPTIONS")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a", "/a"),
        ("GET,POST /a", "PUT,POST /a"),
        ("/a b", "/a%20b"),
        ("/{x}/b", "/{y}/b"),
        ("/{x:int}", "/{y:int}"),
        ("/{x}", "/{y:str}"),
        ("/{x:path}", "/{y:path}"),
    ],
)
def test_the_same_route_twice(first, second):
    router = router_of(first)
    methods, text = split(second)

    with pytest.raises(DuplicateRoute) as caught:
        router.add(parse_pattern(text), methods, second)

    assert caught.value.existing == first
    assert parse_pattern(text).text in str(caught.value)
    assert len(router) == 1
    assert found(router, "/a", "PUT") != (second, ())


def test_one_shape_with_different_names():
    router = router_of("GET /{id}", "POST /{name}")

    assert found(router, "/x", "POST") == ("POST /{name}", ("x",))


@pytest.mark.parametrize("methods", [[], ["G T"], [""], ["GÉT"], ["GET", "A\n"]])
def test_bad_methods(methods):
    with pytest.raises(ValueError, match=r"method"):
        Router().add(parse_pattern("/"), methods, 1)


def test_iteration_in_order_of_registration():
    router = router_of("/b", "GET,POST /a", "/{x}", "PUT /b")
    router.remove(parse_pattern("/a"), ["GET"])
    router.remove(parse_pattern("/{other}"), ["GET"])

    assert [(p.text, methods, route) for p, methods, route in router] == [
        ("/b", ("GET",), "/b"), ("/a", ("POST",), "GET,POST /a"), ("/b", ("PUT",), "PUT /b"),
    ]  # fmt: skip


def test_removed_routes_are_gone():
    router = router_of(*ROUTES)
    for text in ROUTES:
        router.remove(parse_pattern(text), ["GET"])

    assert list(router) == []
    assert {found(router, path) for path in ("/", "/users", "/users/1", "/files/a")} == {"NotFound"}
    assert not router._root.children
    assert not router.static


def test_removing_leaves_what_hangs_below():
    router = router_of("/a", "/a/b", "/a/{x}/c")
    router.remove(parse_pattern("/a"), ["GET"])
    router.remove(parse_pattern("/a/{x}/c"), ["GET"])

    assert found(router, "/a/b") == ("/a/b", ())
    assert found(router, "/a") == found(router, "/a/x/c") == "NotFound"


@pytest.mark.parametrize("text", ["/a", "/b/c", "/b/{x}", "/x"])
def test_removing_what_is_not_there(text):
    router = router_of("GET,PUT /b", "POST /a")

    with pytest.raises(LookupError, match="no route for GET"):
        router.remove(parse_pattern(text), ["POST", "GET"] if text == "/a" else ["GET"])
    assert found(router, "/a", "POST") == ("POST /a", ())


# ── cost ──────────────────────────────────────────────────────────────────────────────────


def lines_run(function, *arguments) -> int:
    """How many lines a call executes: work without a clock."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


PROBES = ("/r7", "/r7/42", "/r7/x/posts", "/none", "/r7/none/none", "/%72%37/42", "/" + "a/" * 20)


@pytest.mark.parametrize("path", PROBES)
def test_the_cost_does_not_grow_with_the_number_of_routes(path):
    small, large = (
        router_of(
            *(f"/r{n}{rest}" for n in range(count) for rest in ("", "/{id:int}", "/{x}/posts"))
        )
        for count in (8, 800)
    )

    assert lines_run(found, small, path) == lines_run(found, large, path)


def test_every_branch_is_visited_once_at_most():
    # Each level forks into static, int, float and str, and the end is always missing.
    kinds = ("1", "{NAME:int}", "{NAME:float}", "{NAME}")
    paths = [""]
    for level in range(4):
        paths = [f"{path}/{kind.replace('NAME', f'p{level}')}" for path in paths for kind in kinds]
    router = router_of(*(f"{path}/end" for path in paths))
    nodes = sum(4**level for level in range(6))

    assert found(router, "/1/1/1/1/none") == "NotFound"
    assert lines_run(found, router, "/1/1/1/1/none") < 20 * nodes
    # More segments than the tree has levels cost nothing more.
    assert lines_run(found, router, "/1" * 4 + "/none" * 1000) < 20 * nodes


def test_a_long_path_is_walked_as_deep_as_there_are_routes():
    router = router_of("/{a}/{b}", "/{rest:path}")

    assert lines_run(found, router, "/x" * 10_000) < 200


# ── the same answer as a search through a list ────────────────────────────────────────────


class LinearRouter:
    """Asks every route and takes the most specific one: slow and plainly right."""

    def __init__(self) -> None:
        self.routes = []

    def find(self, method: str, path: str):
        fitting = list(self.fitting(path.split("/")[1:]))
        able = [
            # Of two at one place, HEAD of its own precedes the one that GET brings.
            (ranks, method not in methods, route, values)
            for ranks, methods, route, values in fitting
            if method in methods or (method == "HEAD" and "GET" in methods)
        ]
        if able:
            return min(able)[2:]
        methods = {name for _, methods, _, _ in fitting for name in methods}
        head = {"HEAD"} if "GET" in methods else set()
        return methods | head | {"OPTIONS"} if methods else "NotFound"

    def fitting(self, segments):
        for pattern, methods, route in self.routes:
            values = self.values(pattern.segments, segments)
            if values is not None and "" not in segments[:-1]:
                ranks = [s.kind.rank if isinstance(s, Parameter) else 0 for s in pattern.segments]
                yield ranks, methods, route, values

    def values(self, wanted, given):
        values = []
        for number, each in enumerate(wanted):
            if number >= len(given):
                return None
            text = given[number]
            if isinstance(each, str):
                if each != text:
                    return None
            elif not text:
                return None
            elif each.kind is PATH:
                return (*values, "/".join(given[number:]))
            elif each.kind.accepts and not each.kind.accepts(text):
                return None
            else:
                values.append(text)
        return tuple(values) if len(wanted) == len(given) else None


SEGMENTS = st.sampled_from(["a", "b", "1", "2.5", "{:int}", "{:float}", "{:str}", "é"])
ENDS = st.sampled_from(["", "/", "/{:path}"])
METHODS = st.sets(st.sampled_from(["GET", "POST", "HEAD"]), min_size=1)


@st.composite
def pattern_texts(draw):
    pieces = draw(st.lists(SEGMENTS, max_size=4))
    named = "".join(f"/{piece.replace('{', f'{{p{n}')}" for n, piece in enumerate(pieces))
    return (named + draw(ENDS).replace("{", "{rest")) or "/"


@given(
    st.lists(st.tuples(pattern_texts(), METHODS), max_size=25),
    st.lists(st.sampled_from(["a", "b", "1", "2.5", "é", "c", ""]), min_size=1, max_size=5),
    st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    st.booleans(),
)
def test_the_tree_answers_as_a_list_would(routes, segments, method, encode_all):
    router, linear = Router(), LinearRouter()
    for number, (text, methods) in enumerate(routes):
        pattern = parse_pattern(text)
        try:
            router.add(pattern, methods, number)
        except DuplicateRoute:
            continue
        linear.routes.append((pattern, methods, number))
    sent = [
        "".join(f"%{byte:02x}" for byte in each.encode()) if encode_all else quote(each)
        for each in segments
    ]

    answer = found(router, "/" + "/".join(sent), method)

    expected = linear.find(method, "/" + "/".join(segments))
    assert (set(answer) if isinstance(expected, set) else answer) == expected
