"""What the seeds' routes meant, row by row, and what it is here; over a real socket.

The names of cases begin with the rows of the seeds' inventory.  Where the
answer is another one than a seed gave, the comment at the case says why.
"""

from __future__ import annotations

import itertools

import pytest

from tarry import App, RegistrationError, Request, RouteError, any_of, controller, get, post, route
from tests.seeds.lanes import both_lanes, in_lane, reply_to, served

FORM = "content-type: application/x-www-form-urlencoded"


def answering(name):
    """A handler that answers with its name and the values from the path."""

    def handler(**values):
        return " ".join([name, *(f"{key}={value}" for key, value in values.items())])

    return handler


def add(app, lane, name, method, place, **options):
    """Register such a handler; a place that begins with "^" is a regular expression."""
    where = {"regexp": place[1:]} if place.startswith("^") else {}
    paths = () if where else (place,)
    app.route(*paths, methods=method, **where, **options)(in_lane(lane, answering(name)))


def asked(url, request):
    """What is answered to `GET /path`, or only to `/path`: the text, or the status of an error."""
    method, _, path = request.rpartition(" ")
    reply = reply_to(url, path, method=method or "GET")
    return reply.body.decode() if reply.status == 200 else reply.status


CASES = {
    # A dot is a dot, and a value is whatever a segment can hold.
    "P-22 patterns": (
        [
            ("exact", "GET", "/a.b"),
            ("value", "GET", "/v/{x}"),
            ("two", "GET", "v/{x}/{名}"),
            ("one", "GET", "/star/*"),
            ("rest", "GET", "/star/**"),
            ("before", "GET", "/*/end"),
            ("deep", "GET", "/**/end"),
        ],
        {
            "/a.b": "exact",
            "/aXb": 404,
            "/v/-_%.@!()[]|$".replace("%", "%25"): "value x=-_%.@!()[]|$",
            "/v/~+,;:=&'%20": "value x=~+,;:=&' ",
            "/v/a%2Fb": "value x=a/b",
            "/v/1/%E4%B8%AD": "two x=1 名=中",
            "/v/": 404,
            "/star/c": "one wildcard=c",
            "/star/c/d": "rest wildcard=c/d",
            "/star": 404,
            "/star/": 404,
            "/x/end": "before wildcard=x",
            "/x/y/end": "deep wildcard=x/y",
            "/end": 404,
        },
    ),
    # The whole path has to match, slash included: an expression that guards is not slipped by.
    "P-23 regexp": (
        [
            ("numbered", "GET", "^/reg/([a-z]+)/(.+)"),
            ("named", "GET", "^/named/(?P<year>[0-9]{4})"),
            ("optional", "GET", "^/optional(/x)?"),
        ],
        {
            "/reg/abc/a%20b/c": "numbered 1=abc 2=a b/c",
            "/reg/abc": 404,
            "/named/2026": "named year=2026",
            "/named/2026/more": 404,
            "/optional": "optional 1=",
        },
    ),
    # A less specific route answers when a more specific one has another method: 405 only if
    # none has it, and then with Allow.
    "P-24 precedence": (
        [
            ("regexp", "GET", "^/v/.*"),
            ("later regexp", "GET", "^/v/7"),
            ("star", "GET", "/v/*"),
            ("value", "GET", "/v/{a}"),
            ("number", "GET", "/v/{a:int}"),
            ("exact any", "*", "/v/7"),
            ("exact", "PUT", "/v/7"),
            ("post", "POST", "/v/x"),
        ],
        {
            "PUT /v/7": "exact",
            "GET /v/7": "exact any",
            "GET /v/8": "number a=8",
            "GET /v/b": "value a=b",
            "GET /v/x": "value a=x",
            "POST /v/x": "post",
            "PUT /v/x": 405,
            "GET /v/b/c": "regexp",
            "DELETE /v/b": 405,
            "GET /w": 404,
        },
    ),
    # More narrowing comes first, whichever was registered first.
    "P-25 order of narrowed routes": (
        [
            ("two", "GET", "/only", {"params": ["a=1", "b"]}),
            ("any", "GET", "/only"),
            ("one", "GET", "/only", {"params": "a=1"}),
            ("earlier", "GET", "/equal", {"params": "a"}),
            ("later", "GET", "/equal", {"params": "b"}),
        ],
        {
            "/only": "any",
            "/only?a=2": "any",
            "/only?a=1": "one",
            "/only?b&a=1": "two",
            "/equal?b=&a=": "earlier",
            "/equal?b=": "later",
            "/equal": 404,
        },
    ),
    "P-26 params": (
        [
            ("equals", "GET", "/eq", {"params": "a=b"}),
            ("differs", "GET", "/ne", {"params": "a!=b"}),
            ("begins", "GET", "/begins", {"params": "a^=b"}),
            ("there", "GET", "/there", {"params": "a"}),
            ("absent", "GET", "/absent", {"params": "!a"}),
            ("and", "GET", "/and", {"params": ("a=1", "b=1")}),
            ("or", "GET", "/or", {"params": any_of("a=1", "b=1")}),
        ],
        {
            "/eq?a=x&a=b": "equals",
            "/eq?a=bc": 404,
            "/ne?a=c": "differs",
            "/ne?a=c&a=b": 404,
            "/ne": 404,
            "/begins?a=x&a=bc": "begins",
            "/begins?a=ab": 404,
            "/there?a": "there",
            "/there": 404,
            "/absent": "absent",
            "/absent?a=": 404,
            "/and?a=1&b=1": "and",
            "/and?a=1": 404,
            "/or?b=1": "or",
            "/or?a=2&b=2": 404,
        },
    ),
    # A parameter takes any text, also "-" and "_", and expressions the first that matches.
    "V-18 dispatcher": (
        [
            ("test", "GET", "/test/{id}"),
            ("first", "GET", "^/(?P<word>[a-z]+)"),
            ("second", "GET", "^/(?P<all>.*)"),
        ],
        {
            "/test/a-b_c": "test id=a-b_c",
            "/test/": "second all=test/",
            "/word": "first word=word",
            "/Word": "second all=Word",
            "/": "second all=",
        },
    ),
    # A prefix is two paths, and what is left of it never has the query.
    "Q-21 prefixes and counts": (
        [
            ("mask", "GET", "/a/b"),
            ("mask", "GET", "/a/b/**"),
            ("longer", "GET", "/a/b/c/**"),
            ("count", "GET", "/count/{rest:path:2}"),
            ("segment", "GET", "/api/{name}/{last}"),
        ],
        {
            "/a/b": "mask",
            "/a/b?c": "mask",
            "/a/b/x/y": "mask wildcard=x/y",
            "/a/bc": 404,
            "/a/b/c/d": "longer wildcard=d",
            "/count/1/2": "count rest=1/2",
            "/count/1": 404,
            "/count/1/2/3": 404,
            "/api/foo/f%6Fo?include=me": "segment name=foo last=foo",
        },
    ),
    # An empty segment is a segment: "//" and a slash at the end are other addresses.
    "H-6 segments": (
        [("root", "GET", "/"), ("two", "GET", "/a/{b}/c/{d}"), ("slash", "GET", "/slash/")],
        {
            "/": "root",
            "/a/1/c/x%20y": "two b=1 d=x y",
            "/a//c/2": 404,
            "/a/1//c/2": 404,
            "/a/1/c/2/": 404,
            "/slash/": "slash",
            "/slash": 404,
            "//": 404,
            "//slash/": 404,
        },
    ),
    # What would overlap has an order; only the same route twice is refused, see below.
    "H-7 what may stand together": (
        [
            ("one", "GET", "/a/{p1}"),
            ("two", "GET", "/a/{p1}/{p2}"),
            ("static", "GET", "/a/b"),
            ("inner", "GET", "/a/b/{p}"),
        ],
        {
            "/a/x": "one p1=x",
            "/a/x/y": "two p1=x p2=y",
            "/a/b": "static",
            "/a/b/y": "inner p=y",
        },
    ),
}


@both_lanes
@pytest.mark.parametrize("routes", ["in order", "in reverse"])
@pytest.mark.parametrize("case", CASES)
def test_the_route_that_answers(case, routes, lane):
    """What is not decided by the order of registration does not depend on it."""
    rows, expected = CASES[case]
    app = App()
    for name, method, place, *options in reversed(rows) if routes == "in reverse" else rows:
        add(app, lane, name, method, place, **dict(*options))
    if routes == "in reverse":
        expected = {**expected, **BY_ORDER.get(case, {})}

    with served(app) as url:
        assert {request: asked(url, request) for request in expected} == expected


BY_ORDER = {
    "P-25 order of narrowed routes": {"/equal?b=&a=": "later"},
    "V-18 dispatcher": {"/word": "second all=word"},
}
"""What is answered otherwise if all is registered in reverse."""


@both_lanes
def test_p_24_other_methods_by_themselves(lane):
    """Wrong methods were 404, and HEAD and OPTIONS had to be written."""
    app = App()
    add(app, lane, "get", "GET", "/x")
    add(app, lane, "put", "PUT", "/{name}")

    with served(app) as url:
        head = reply_to(url, "/x", method="HEAD")
        options = reply_to(url, "/x", method="OPTIONS")
        wrong = reply_to(url, "/x", method="DELETE")
    assert (head.status, head.get("content-length"), head.body) == (200, "3", b"")
    assert options.status == 204
    assert wrong.status == 405
    assert {each.get("allow") for each in (options, wrong)} == {"GET, HEAD, PUT, OPTIONS"}


@both_lanes
def test_p_26_params_are_those_of_query_and_form(lane):
    app = App()
    add(app, lane, "both", "POST", "/", params=["a=1", "b=2"])

    with served(app) as url:
        for path, body, status in [("/?a=1", b"b=2", 200), ("/?a=1", b"b=3", 404)]:
            assert reply_to(url, path, FORM, method="POST", body=body).status == status


@both_lanes
def test_p_27_names_of_headers_in_any_case(lane):
    app = App()
    add(app, lane, "text", "POST", "/", headers="Content-Type^=text/")
    add(app, lane, "other", "POST", "/")

    with served(app) as url:
        for field, text in [
            ("Content-Type: text/plain", b"text"),
            ("CONTENT-TYPE: text/html", b"text"),
            ("content-type: image/png", b"other"),
        ]:
            assert reply_to(url, "/", field, method="POST", body=b"x").body == text


@pytest.mark.parametrize("expression", ["=a", "!", "a==b", "a ^= b", "", ["a", ""]])
def test_p_26_an_expression_that_means_nothing_is_told_at_once(expression):
    """It was logged, and the route never found."""
    with pytest.raises(RouteError, match="params"):
        App().get("/x", params=expression)(answering("never"))


@pytest.mark.parametrize("places", [{}, {"path": "/x", "regexp": "/x"}])
def test_p_23_a_route_has_a_path_or_a_regexp(places):
    """Both were logged, and the route ignored."""
    path = [places["path"]] if "path" in places else []
    with pytest.raises(RegistrationError, match="either paths or regexp="):
        App().get(*path, regexp=places.get("regexp"))


# ── classes ───────────────────────────────────────────────────────────────────────────────


def counting_class(lane):
    numbers = itertools.count(1)

    class Counting:
        def __init__(self, word="made"):
            self.text = f"{word} {next(numbers)}"

        show = get("/show")(in_lane(lane, lambda self: self.text))

    return Counting


@both_lanes
@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({}, [b"made 1", b"made 2"]),
        ({"args": ["object"]}, [b"object 1", b"object 2"]),
        ({"singleton": True, "kwargs": {"word": "one"}}, [b"one 1", b"one 1"]),
    ],
)
def test_p_28_objects_of_a_class(lane, options, texts):
    """An object for each request unless `singleton` says so, also below `@controller`."""
    app = App()
    app.add_controller(counting_class(lane), "/c", **options)

    with served(app) as url:
        assert [reply_to(url, "/c/show").body for _ in texts] == texts


@both_lanes
def test_p_29_what_methods_take_over_from_their_class(lane):
    def method(name):
        return in_lane(lane, lambda self: name)

    @controller("/obj", methods="POST", params="a", headers="x-h")
    class Obj:
        home = route(method("home"))
        below = route("below", params="b")(method("below"))
        own_method = get("/own")(method("own"))
        expressed = route(regexp="/elsewhere/.*")(method("expressed"))

    app = App()
    app.add_controller(Obj)
    with served(app) as url:

        def status(method, path, *fields):
            reply = reply_to(url, path, *fields, method=method)
            return reply.body.decode() if reply.status == 200 else reply.status

        assert status("POST", "/obj?a", "x-h: 1") == "home"
        assert status("GET", "/obj?a", "x-h: 1") == 405
        assert status("POST", "/obj/below?a&b", "x-h: 1") == "below"
        assert status("POST", "/obj/below?a", "x-h: 1") == 404
        assert status("POST", "/obj/below?a&b") == 404
        assert status("GET", "/obj/own?a", "x-h: 1") == "own"
        assert status("POST", "/elsewhere/x?a", "x-h: 1") == "expressed"
        assert status("POST", "/elsewhere/x", "x-h: 1") == 404


# ── what handlers get and give ────────────────────────────────────────────────────────────


def test_v_18_a_route_is_looked_up_by_name():
    """By URL nothing is looked up but the handler of a request."""
    app = App()
    app.get("/test/{id}", name="test")(answering("test"))

    assert app.url_for("test", id="a b", query={"x": 1}) == "/test/a%20b?x=1"
    with pytest.raises(LookupError, match="'other'"):
        app.url_for("other")


@both_lanes
def test_q_20_answers_are_by_the_type_of_the_result(lane):
    """`json_get` and `text_get` are the types of results here, and `None` is 204, not 404."""
    app = App()
    for number, result in enumerate([{"a": 1}, "text", None]):
        app.add_route(f"/{number}", in_lane(lane, lambda result=result: result))

    with served(app) as url:
        replies = [reply_to(url, f"/{number}") for number in range(3)]
    assert [(reply.status, reply.get("content-type"), reply.body) for reply in replies] == [
        (200, "application/json", b'{"a":1}'),
        (200, "text/plain; charset=utf-8", b"text"),
        (204, None, b""),
    ]


@both_lanes
def test_q_22_remaining_segments_and_the_query(lane):
    """`%2F` does not part segments, `..` is not followed, and "+" is a space, as in forms."""
    app = App()

    def show(paths: list[str], request: Request):
        return {"paths": paths, "query": request.query}

    app.get("/x/{paths:path}")(in_lane(lane, show))
    with served(app) as url:
        reply = reply_to(url, "/x/a%2Fb/../c%20d?flag&a=1&a=2&b=x+y%2B")
        empty = reply_to(url, "/x/a//b")

    assert reply.body == (
        b'{"paths":["a/b","..","c d"],"query":{"flag":[""],"a":["1","2"],"b":["x y+"]}}'
    )
    assert empty.status == 404


# ── registering ───────────────────────────────────────────────────────────────────────────


@both_lanes
def test_h_5_keywords_count_and_the_name_stays_usable(lane):
    """Homor ignored `methods`, and left `None` of what it decorated."""
    app = App()
    function = in_lane(lane, lambda name="you": f"hello {name}")
    registered = app.route("/one", methods=["POST"])(app.get("/two")(function))

    assert registered is function
    with served(app) as url:
        assert reply_to(url, "/one", method="POST").body == b"hello you"
        assert reply_to(url, "/one").status == 405
        assert reply_to(url, "/two?name=me").body == b"hello me"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("GET", "/a/{p}"), ("GET", "/a/{q}")),
        (("GET, POST", "/a"), ("POST", "/a")),
        (("*", "^/a.*"), ("*", "^/a.*")),
        (("GET", "/a", {"params": ["x", "y=1"]}), ("GET", "/a", {"params": ["y=1", "x"]})),
    ],
)
def test_h_7_the_same_route_twice_is_refused_unless_it_replaces(first, second):
    app = App()
    for name, (method, place, *options) in [("first", first), ("second", second)]:
        registered = {**dict(*options), "replace": False}
        if name == "second":
            with pytest.raises(RouteError, match="there is a route already"):
                add(app, "def", name, method, place, **registered)
            registered["replace"] = True
        add(app, "def", name, method, place, **registered)

    assert len(app.routes()) == (2 if first[0] == "GET, POST" else 1)


def test_q_21_methods_of_a_class_with_post_and_get_are_apart():
    """The count of segments belongs to a route, not to a path whatever its methods."""
    app = App()

    class Api:
        two = get("/api/{rest:path:2}")(lambda self, rest: rest)
        one = post("/api/{rest:path:1}")(lambda self, rest: rest)

    app.add_controller(Api)
    with served(app) as url:
        statuses = {
            (method, path): reply_to(url, path, method=method).status
            for method, path in itertools.product(["GET", "POST"], ["/api/a", "/api/a/b"])
        }
    assert statuses == {
        ("GET", "/api/a"): 405, ("GET", "/api/a/b"): 200,
        ("POST", "/api/a"): 200, ("POST", "/api/a/b"): 405,
    }  # fmt: skip
