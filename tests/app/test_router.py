"""The router: precedence, misses, changes, and a cost that does not grow with the routes."""

from __future__ import annotations

import itertools
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.conditions import parse_conditions
from tarry.app.path_values import PathText
from tarry.app.patterns import parse_pattern
from tarry.app.regexps import MAX_REGEXP_PATH_CHARACTERS, Regexp, parse_regexp
from tarry.app.router import DuplicateRoute, MethodNotAllowed, NarrowedOut, NotFound, Router
from tarry.message.target import InvalidTarget


def split(each: str):
    """Methods, pattern and conditions of "GET,POST /x [a=b, c]".

    Without methods it is GET; a path that begins with "^" is an expression.
    """
    methods, _, rest = each.partition(" ") if each[0] not in "/^" else ("GET", "", each)
    text, _, narrowing = rest.partition(" [")
    pattern = parse_regexp(text) if text.startswith("^") else parse_pattern(text)
    expressions = narrowing.removesuffix("]").split(", ") if narrowing else []
    return methods.split(","), pattern, parse_conditions(expressions)


def router_of(*routes: str) -> Router[str]:
    """A router whose routes are called as they are written."""
    router: Router[str] = Router()
    for each in routes:
        add(router, each)
    return router


def add(router, route, **options) -> None:
    methods, pattern, conditions = split(route)
    router.add(pattern, methods, route, conditions, **options)


def remove(router, route) -> None:
    methods, pattern, conditions = split(route)
    router.remove(pattern, methods, conditions)


class Query:
    """The parameters of "a=b&c=d"."""

    def __init__(self, text):
        self.values = {}
        for piece in filter(None, text.split("&")):
            name, _, value = piece.partition("=")
            self.values.setdefault(name, []).append(value)

    def parameter(self, name):
        return self.values.get(name)

    def header(self, name):
        return None

    def meets(self, conditions):
        return conditions.matches(self)


def found(router: Router[str], target: str, method: str = "GET"):
    """What is found for a path with a query, or the name of what is raised."""
    path, _, query = target.partition("?")
    try:
        return router.find(method.encode(), path.encode(), Query(query).meets)
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
        ("/a/*", "/a/*"),
        ("/**/a", "/**/a"),
        ("/{x:path}/a", "/{y:path}/a"),
        ("/{x:path:2}", "/{y:path:2}"),
        ("^/a", "^/a"),
        ("* /a", "* /a"),
        ("/a [x, y=1]", "/a [y=1, x]"),
    ],
)
def test_the_same_route_twice(first, second):
    router = router_of(first)

    with pytest.raises(DuplicateRoute) as caught:
        add(router, second)

    assert caught.value.existing == first
    assert str(split(second)[1]) in str(caught.value)
    assert [(methods, route) for _, methods, route in router] == [(tuple(split(first)[0]), first)]


def test_a_duplicate_names_its_conditions():
    with pytest.raises(DuplicateRoute, match=r"GET /a \[params x, y=1\]"):
        router_of("/a [x, y=1]", "/a [y=1, x]")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/{x}", "/*"),
        ("/*", "/**"),
        ("/{x:path}", "/**"),
        ("/{x:path}", "/{x:path:2}"),
        ("/{x:path:1}", "/{x:path:2}"),
        ("/**", "/**/"),
        ("/a", "^/a"),
        ("/a", "* /a"),
        ("/a", "/a [x]"),
        ("/a [x=1]", "/a [x=2]"),
    ],
)
def test_not_the_same_route(first, second):
    assert [route for _, _, route in router_of(first, second)] == [first, second]


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


# ── wildcards and counts ──────────────────────────────────────────────────────────────────

WILD = [
    "/star/*", "/star/**", "/*/star", "/**/star", "/a/**/b", "/a/*/b", "/a/{x}/b", "/n/{x:path}",
    "/n/**", "/n/{x:path:2}", "/f/{x:path}/raw", "/f/{x:path:2}/raw", "/f/{x:path}/{y}/raw",
    "/t/**/", "/t/**", "^/(star)/.*", "^/([0-9]+)", "^/(?P<all>[0-9]+)",
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        ("/star/c", "/star/*", ("c",)),
        ("/star/c/d", "/star/**", ("c/d",)),
        ("/star/c/", "/star/**", ("c/",)),
        ("/star/star", "/star/*", ("star",)),
        ("/c/star", "/*/star", ("c",)),
        ("/c/d/star", "/**/star", ("c/d",)),
        ("/star/c/star", "/star/**", ("c/star",)),
        ("/a/x/b", "/a/{x}/b", ("x",)),
        ("/a/x/y/b", "/a/**/b", ("x/y",)),
        ("/a/b/b/b", "/a/**/b", ("b/b",)),
        ("/n/x", "/n/{x:path}", ("x",)),
        ("/n/x/y", "/n/{x:path:2}", ("x/y",)),
        ("/n/x/", "/n/{x:path}", ("x/",)),
        ("/n/x/y/z", "/n/{x:path}", ("x/y/z",)),
        ("/f/x/raw", "/f/{x:path}/raw", ("x",)),
        ("/f/x/y/raw", "/f/{x:path}/{y}/raw", ("x", "y")),
        ("/f/x/y/z/raw", "/f/{x:path}/{y}/raw", ("x/y", "z")),
        ("/t/x/", "/t/**/", ("x",)),
        ("/t/x", "/t/**", ("x",)),
        ("/12", "^/([0-9]+)", ("12",)),
        ("/star/", "^/(star)/.*", ("star",)),
    ],
)
def test_wildcards(path, route, values):
    assert found(router_of(*WILD), path) == (route, values)


@pytest.mark.parametrize(
    "path",
    ["/star", "/a/b", "/a//b", "/a/x/b/", "/n", "/n/", "/f/raw", "/t/", "/star//c", "//star"],
)
def test_not_found_by_wildcards(path):
    assert found(router_of(*WILD), path) == "NotFound"


def test_precedence_at_one_segment():
    ladder = ["/a/1", "/a/{x:int}", "/a/{x:float}", "/a/{x}", "/a/*", "/a/{x:path:1}",
              "/a/{x:path}", "/a/**", "^/a/.*", "^/.*"]  # fmt: skip
    router = router_of(*reversed(ladder[:8]), *ladder[8:])

    for route in ladder:
        assert found(router, "/a/1")[0] == route
        remove(router, route)
    assert found(router, "/a/1") == "NotFound"


def test_precedence_of_what_takes_several_segments():
    ladder = ["/a/**/{x}/b", "/{x}/**/{y}/b", "/*/{x:path}/{y}/b", "/*/**/b", "/{x:path}/c/d/b",
              "/{x:path}/*/b", "/**/d/b", "/{x:path:4}", "/{x:path}", "/**"]  # fmt: skip
    router = router_of(*reversed(ladder))

    for route in ladder:
        assert found(router, "/a/c/d/b")[0] == route
        remove(router, route)
    assert found(router, "/a/c/d/b") == "NotFound"


def test_values_of_several_segments_keep_them_apart():
    router = router_of("/f/{x:path}/raw", "/g/**", "/h/{x:path:2}")

    for path in ("/f/a%2Fb/c/raw", "/g/a%2Fb/c", "/h/a%2Fb/c"):
        (value,) = found(router, path)[1]
        assert type(value) is PathText
        assert value == "a/b/c"
        assert value.segments == ("a/b", "c")
    assert found(router, "/g/c/")[1][0].segments == ("c", "")


@pytest.mark.parametrize(
    ("path", "values"),
    [("/f/a/b", ("a/b",)), ("/f/a%2Fb/c", ("a/b/c",)), ("/f/a", None), ("/f/a/", None),
     ("/f/a/b/", None), ("/f/a/b/c", None), ("/f/a%2Fb", None)],
)  # fmt: skip
def test_an_exact_count(path, values):
    router = router_of("/f/{x:path:2}")

    assert found(router, path) == ("NotFound" if values is None else ("/f/{x:path:2}", values))


def test_texts_of_any_language():
    router = router_of("/中文/{名}", "/中文/*/**", "^/ñ/(.*)")

    assert found(router, quote("/中文/日")) == ("/中文/{名}", ("日",))
    assert found(router, quote("/中文/日/本/語")) == ("/中文/*/**", ("日", "本/語"))
    assert found(router, quote("/ñ/日")) == ("^/ñ/(.*)", ("日",))


# ── regular expressions ───────────────────────────────────────────────────────────────────


def test_expressions_come_last_and_in_order_of_registration():
    router = router_of("^/a/.*", "^/a/b", "PUT /**", "GET,POST ^/(.)/(.)")

    assert found(router, "/a/b") == ("^/a/.*", ())
    assert found(router, "/a/b", "PUT") == ("PUT /**", ("a/b",))
    assert found(router, "/a/b", "POST") == ("GET,POST ^/(.)/(.)", ("a", "b"))
    assert found(router, "/a/b", "DELETE") == ("GET", "HEAD", "POST", "PUT", "OPTIONS")

    remove(router, "^/a/.*")
    assert found(router, "/a/b") == ("^/a/b", ())


def test_expressions_have_bounds():
    router = router_of("^/(.*)")
    longest = "x" * (MAX_REGEXP_PATH_CHARACTERS - 1)

    assert found(router, f"/{longest}") == ("^/(.*)", (longest,))
    assert found(router, f"/{longest}x") == "NotFound"
    assert found(router, "/x//y") == found(router, "//x") == "NotFound"
    assert found(router, "*") == "NotFound"
    assert found(router, "/%00") == "InvalidTarget"


# ── narrowing ─────────────────────────────────────────────────────────────────────────────


NARROWED = ["/p", "/p [a=b]", "/p [a]", "/p [a, c]", "/p [!a, c]", "POST /p [a]", "/{x} [z]"]


@pytest.mark.parametrize("routes", [NARROWED, NARROWED[::-1]])
@pytest.mark.parametrize(
    ("query", "route"),
    [
        ("", "/p"),
        ("z=1", "/p"),
        ("a=b&c", "/p [a, c]"),
        ("c", "/p [!a, c]"),
        ("a=x", "/p [a]"),
    ],
)
def test_the_most_narrowed_route_is_found(routes, query, route):
    assert found(router_of(*routes), f"/p?{query}") == (route, ())


def test_equally_narrowed_routes_in_order_of_registration():
    assert found(router_of("/p [a]", "/p [b]"), "/p?a&b")[0] == "/p [a]"
    assert found(router_of("/p [b]", "/p [a]"), "/p?a&b")[0] == "/p [b]"


def test_a_more_specific_route_whose_conditions_fail_hides_nothing():
    router = router_of(
        "/p/1 [a]", "/p/{x:int} [b]", "/p/{x} [c]", "/p/* [d]", "/p/** [e]", "^/p/. [f]"
    )

    for name, route in zip("abcdef", list(router), strict=True):
        assert found(router, f"/p/1?{name}")[0] == route[2]
    assert found(router, "/p/1?g") == "NarrowedOut"
    assert found(router, "/p/12?f") == "NarrowedOut"
    assert found(router, "/q?f") == "NotFound"


def test_only_narrowing_failed_is_a_kind_of_not_found():
    router = router_of("GET /p [a]", "POST /p", "PUT /p [a]")

    with pytest.raises(NarrowedOut) as caught:
        router.find(b"GET", b"/p", lambda conditions: False)
    assert isinstance(caught.value, NotFound)
    # HEAD is there with GET, narrowed as it is.
    assert found(router, "/p", "HEAD") == "NarrowedOut"
    assert found(router, "/p?a", "HEAD") == ("GET /p [a]", ())
    assert found(router, "/p", "PATCH") == ("GET", "HEAD", "POST", "PUT", "OPTIONS")


def test_without_facts_no_conditions_are_met():
    router = router_of("/p [!a]", "/q [!a]", "/q")

    assert router.find(b"GET", b"/q") == ("/q", ())
    with pytest.raises(NarrowedOut):
        router.find(b"GET", b"/p")


def test_errors_of_who_is_asked_come_through():
    def accepts(conditions):
        raise KeyError(str(conditions))

    with pytest.raises(KeyError, match="params a"):
        router_of("/p [a]").find(b"GET", b"/p", accepts)


def test_only_who_has_conditions_is_asked_about():
    asked = []
    router = router_of("/p", "POST /p [a]", "/{x} [b]")

    assert router.find(b"GET", b"/p", asked.append) == ("/p", ())
    assert asked == []


def test_the_static_table_has_only_what_needs_no_further_look():
    router = router_of("/p", "POST /p", "POST /p [a]", "PUT /p [a]", "* /q", "HEAD /q [a]",
                       "/r [a]", "/a b", "/*", "^/s")  # fmt: skip

    assert router.static[b"/p"] == {b"GET": "/p", b"HEAD": "/p"}
    assert set(router.static[b"/q"]) == {b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"}
    assert router.static[b"/r"] == {}
    assert set(router.static) == {b"/p", b"/q", b"/r", b"/a%20b"}

    table = router.static[b"/p"]
    remove(router, "POST /p [a]")
    assert table[b"POST"] == "POST /p"
    add(router, "GET /p [z]")
    assert b"GET" not in table
    assert b"HEAD" not in table


# ── any method ────────────────────────────────────────────────────────────────────────────


def test_any_method():
    router = router_of("* /a", "PUT /a", "* /a [x]", "GET /b", "* /b")

    assert found(router, "/a", "PUT") == ("PUT /a", ())
    for method in ("GET", "HEAD", "OPTIONS", "BREW"):
        assert found(router, "/a", method) == ("* /a", ())
        assert found(router, "/a?x", method) == ("* /a [x]", ())
    assert found(router, "/a?x", "PUT") == ("PUT /a", ())
    assert found(router, "/b", "HEAD") == ("GET /b", ())
    assert found(router, "/b", "BREW") == found(router, "/b", "*") == ("* /b", ())


def test_any_method_can_be_given_as_text():
    router = Router()
    router.add(parse_pattern("/a"), "*", "any")
    router.add(parse_pattern("/a"), "put", "put")

    assert found(router, "/a", "DELETE") == ("any", ())
    assert found(router, "/a", "PUT") == ("put", ())


def test_a_more_specific_place_with_any_method_comes_before_a_less_specific_one_with_the_method():
    assert found(router_of("GET /{x}", "* /a"), "/a") == ("* /a", ())


def test_the_methods_of_all_routes():
    assert Router().methods() == ("OPTIONS",)
    assert router_of("POST /a", "GET,BREW ^/b").methods() == (
        "GET", "HEAD", "POST", "OPTIONS", "BREW",
    )  # fmt: skip
    assert router_of("* /a", "BREW /b").methods() == (
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW",
    )  # fmt: skip


# ── replacing and removing ────────────────────────────────────────────────────────────────


def test_a_route_that_replaces_others():
    router = router_of("GET,POST /a", "/b", "PUT /a", "/a [x]")
    router.add(parse_pattern("/a"), ["POST", "PUT"], "new", replace=True)

    assert found(router, "/a") == ("GET,POST /a", ())
    assert found(router, "/a", "POST") == found(router, "/a", "PUT") == ("new", ())
    assert found(router, "/a?x") == ("/a [x]", ())
    assert [(methods, route) for _, methods, route in router] == [
        (("GET",), "GET,POST /a"), (("GET",), "/b"), (("GET",), "/a [x]"), (("POST", "PUT"), "new"),
    ]  # fmt: skip


def test_what_replaces_counts_as_registered_now():
    router = router_of("/a [x]", "/a [y]")
    add(router, "/a [x]", replace=True)

    assert found(router, "/a?x&y")[0] == "/a [y]"


def test_replacing_nothing_adds():
    router = Router()
    add(router, "/a", replace=True)

    assert found(router, "/a") == ("/a", ())


@pytest.mark.parametrize("gone", ["/a [x]", "* /a", "/{x}", "/**/b", "^/.*", "/*/c"])
def test_removal_restores_what_was(gone):
    others = ["/a", "/{y:int}", "/**", "/*/d", "^/a"]
    targets = ["/a", "/a?x", "/b", "/1", "/x/b", "/x/c", "/x/d"]
    router, untouched = router_of(*others), router_of(*others)
    add(router, gone)
    remove(router, gone)

    for target, method in itertools.product(targets, ["GET", "HEAD", "PUT"]):
        assert found(router, target, method) == found(untouched, target, method)
    assert router.static == untouched.static
    with pytest.raises(LookupError, match="no route for"):
        remove(router, gone)


def test_removal_needs_equal_conditions():
    router = router_of("/a [x, y]")

    for other in ("/a", "/a [x]"):
        with pytest.raises(LookupError):
            remove(router, other)
    remove(router, "/a [y, x]")
    assert found(router, "/a?x&y") == "NotFound"
    assert not router.static


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


@pytest.mark.parametrize(
    "routes",
    [
        ["/**/a/a/a/b"],
        ["/a/**/a/b", "/*/**/a/b", "/**/a/b"],
        ["/a/{x:path}/*/b", "/*/{x:path}/*/{y}/b", "/{a}/{b}/{c}/{x:path}/c"],
    ],
)
def test_no_path_makes_wildcards_backtrack(routes):
    router = router_of(*routes)

    short, long = ("/" + "/".join("a" * count) for count in (40, 4000))
    assert found(router, long) == "NotFound"
    assert lines_run(found, router, long) == lines_run(found, router, short)


def test_a_route_that_fits_takes_a_path_of_4000_segments():
    path = "/".join("a" * 4000)

    assert found(router_of("/**/b"), f"/{path}/b") == ("/**/b", (path,))


# ── the same answer as a search through a list ────────────────────────────────────────────


class LinearRouter:
    """Asks every route in order of precedence: slow and plainly right."""

    def __init__(self) -> None:
        self.routes = []

    def find(self, method, segments, query):
        fitting = [
            (self.precedence(each, method), each, values)
            for each in self.routes
            if (values := self.values(each[1], segments)) is not None
        ]
        able = [row for row in fitting if row[0] is not None]
        for _, (_, _, _, conditions, route), values in sorted(able, key=lambda row: row[0]):
            if conditions is None or conditions.matches(query):
                return route, values
        if able:
            return "NarrowedOut"
        methods = {name for _, (_, _, methods, _, _), _ in fitting for name in methods}
        head = {"HEAD"} if "GET" in methods else set()
        return methods | head | {"OPTIONS"} if methods else "NotFound"

    def precedence(self, each, method):
        number, pattern, methods, conditions, _ = each
        sources = [method, "GET", "*"] if method == "HEAD" else [method, "*"]
        source = next((n for n, name in enumerate(sources) if name in methods), None)
        if source is None:
            return None
        narrowing = conditions.count if conditions else 0
        return (*self.place(pattern), source, -narrowing, number)

    def place(self, pattern):
        if isinstance(pattern, Regexp):
            return True, next(n for n, other, *_ in self.routes if other == pattern)
        return False, [self.rank(pattern.segments, n) for n in range(len(pattern.segments))]

    def rank(self, parts, index):
        part = parts[index]
        if isinstance(part, str):
            return (0,)
        if not part.kind.many:
            return (part.kind.rank,)
        return 6, index - len(parts), part.count is None, part.kind.rank

    def values(self, pattern, segments):
        if "" in segments[:-1]:
            return None
        if isinstance(pattern, Regexp):
            match = pattern.expression.fullmatch("/" + "/".join(segments))
            return match and match.groups("")
        return self.taken(pattern.segments, segments)

    def taken(self, parts, segments):
        """Try every number of segments for every part."""
        if not parts or not segments:
            return None if parts or segments else ()
        first, rest = parts[0], parts[1:]
        longest = len(segments) if not isinstance(first, str) and first.kind.many else 1
        for count in range(1, longest + 1):
            tail = self.taken(rest, segments[count:])
            if tail is None or not self.takes(first, segments[:count]):
                continue
            return tail if isinstance(first, str) else ("/".join(segments[:count]), *tail)
        return None

    def takes(self, part, texts):
        if isinstance(part, str):
            return part == texts[0]
        if not texts[0] or (part.count is not None and (part.count != len(texts) or "" in texts)):
            return False
        return not part.kind.accepts or bool(part.kind.accepts(texts[0]))


PARTS = st.sampled_from(["a", "b", "1", "2.5", "{:int}", "{:float}", "{:str}", "é", "*"])
SPANS = st.sampled_from(["", "", "/**", "/{:path}", "/{:path:2}"])
METHODS = st.sets(st.sampled_from(["GET", "POST", "HEAD", "*"]), min_size=1)
NARROWING = st.sampled_from([None, None, "a", "!a", "a=1", ["a", "b"]])
REGEXPS = st.sampled_from(["^/(a|b)/.*", "^/(?:.*/)?(b)(1)?$", "^/([^/]*)$", ".*/a/?"])


@st.composite
def pattern_texts(draw):
    before = draw(st.lists(PARTS, max_size=3))
    after = draw(st.lists(PARTS, max_size=2))
    pieces = [*before, draw(SPANS).removeprefix("/"), *after]
    named = "/".join(
        piece.replace("{", f"{{p{number}") for number, piece in enumerate(pieces) if piece
    )
    return f"/{named}{draw(st.sampled_from(['', '', '/'])) if named else ''}"


PATTERNS = pattern_texts().map(parse_pattern)
ROUTE = st.tuples(PATTERNS | PATTERNS | PATTERNS | REGEXPS.map(parse_regexp), METHODS, NARROWING)


@given(
    st.lists(ROUTE, max_size=25),
    st.lists(st.sampled_from(["a", "b", "1", "2.5", "é", "c", ""]), min_size=1, max_size=6),
    st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    st.sampled_from(["", "a", "a=1", "a=2&b", "b"]),
    st.booleans(),
)
def test_the_tree_answers_as_a_list_would(routes, segments, method, query, encode_all):
    router, linear = Router(), LinearRouter()
    for number, (pattern, methods, narrowing) in enumerate(routes):
        conditions = parse_conditions(narrowing)
        try:
            router.add(pattern, methods, number, conditions)
        except DuplicateRoute:
            continue
        linear.routes.append((number, pattern, methods, conditions, number))
    sent = [
        "".join(f"%{byte:02x}" for byte in each.encode()) if encode_all else quote(each)
        for each in segments
    ]

    answer = found(router, f"/{'/'.join(sent)}?{query}", method)

    expected = linear.find(method, segments, Query(query))
    assert (set(answer) if isinstance(expected, set) else answer) == expected
