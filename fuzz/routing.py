"""Patterns, expressions that narrow, and paths that look for their routes."""

from __future__ import annotations

import contextlib

from fuzz.target import Target, expect
from tarry.app.conditions import ConditionError, parse_conditions
from tarry.app.kinds import Parameter
from tarry.app.path_values import BuildError
from tarry.app.patterns import Pattern, PatternError, parse_pattern
from tarry.app.regexps import parse_regexp
from tarry.app.router import MethodNotAllowed, NotFound, Router
from tarry.message.target import InvalidTarget

# ---- what authors write --------------------------------------------------------------------

VALUES = {"int": "7", "float": "1.5", "uuid": "00000000-0000-4000-8000-000000000000"}


def check_patterns(data: bytes) -> None:
    """A pattern means one thing or is refused; a path built from it leads back to it."""
    text = data.decode("utf-8", "replace")[:2000]  # authors write them, so they are no attack
    with contextlib.suppress(PatternError):
        parse_regexp(text[:200])
    try:
        pattern = parse_pattern(text)
    except PatternError:
        return
    expect(parse_pattern(str(pattern)) == pattern, "a pattern changes", text)
    values = {each.name: _value(each) for each in pattern.parameters}
    try:
        path = pattern.build(values)
    except BuildError:
        return  # a "." or ".." that the author wrote
    router: Router[str] = Router()
    router.add(pattern, "GET", "here")
    route, found = router.find(b"GET", path.encode("ascii"))
    expect((route, tuple(found)) == ("here", tuple(values.values())), "another way", path, found)
    router.remove(pattern, "GET")
    expect(not len(router) and not router.static, "a trace is left", text)


def _value(parameter: Parameter) -> str:
    plain = VALUES.get(parameter.kind.name, "a é%")
    return "/".join([plain] * (parameter.count or 1))


class Facts:
    """A request with one value for each name."""

    def __init__(self, value: str) -> None:
        self.value = value

    def parameter(self, name: str, /) -> list[str] | None:
        """Present if the name is short."""
        return [self.value] if len(name) < 5 else None

    def header(self, name: bytes, /) -> list[str] | None:
        """Present if the name is short."""
        return [self.value] if len(name) < 5 else None


def check_narrowing(data: bytes) -> None:
    """An expression means one thing, also when it is written out, or is refused."""
    text = data.decode("utf-8", "replace")
    given = text.split("\n")
    for place in ("params", "headers"):
        try:
            conditions = parse_conditions(**{place: given})
        except ConditionError:
            continue
        if conditions is None:
            continue
        again = parse_conditions(**{place: [*given, given[0]]})
        expect(again == conditions and hash(again) == hash(conditions), "not equal", text)
        expect(type(conditions.matches(Facts("a"))) is bool, "no answer", text)
        expect(str(conditions).startswith(place), "no description", text)


# ---- what clients send ---------------------------------------------------------------------

ROUTES = ("/", "/a", "/a/", "/{x}", "/{n:int}/b", "/{x:float}", "/{u:uuid}/c", "/a/{rest:path}",
          "/p/{two:path:2}/end", "/w/*/x", "/w/**", "/a%20b", "/é")  # fmt: skip


def _router() -> Router[str]:
    router: Router[str] = Router()
    for text in ROUTES:
        router.add(parse_pattern(text), "GET", text)
    router.add(parse_regexp(r"/r/([0-9]+)-(?P<name>.*)"), "*", "regexp")
    return router


ROUTER = _router()
PATTERNS: dict[str, Pattern] = {text: parse_pattern(text) for text in ROUTES}


def check_routes(data: bytes) -> None:
    """A path finds a route or one of the documented refusals; its values lead there again."""
    try:
        route, values = ROUTER.find(b"GET", data)
    except (NotFound, MethodNotAllowed, InvalidTarget):
        return
    pattern = PATTERNS.get(route)
    if pattern is None:
        return
    expect(len(values) == len(pattern.names), "values are missing", route, values)
    with contextlib.suppress(BuildError):  # dots, which clients resolve
        path = pattern.build(dict(zip(pattern.names, values, strict=True))).encode("ascii")
        expect(ROUTER.find(b"GET", path) == (route, values), "another way", data, path)


# ---- targets -------------------------------------------------------------------------------

TARGETS = (
    Target("patterns", check_patterns,
           (b"/a/{b}", b"/{n:int}/{x:float}/{u:uuid}", b"/{rest:path}", b"/{two:path:2}/x", b"/*/**",
            b"/a%20b/\xc3\xa9", b"/(?P<a>x+)/(b|c)?.*"),
           {b"start": (b"/<segment>", b"/<segment><start>", b"/", b"<regexp>"),
            b"segment": (b"a", b"{a}", b"{<name>:<kind>}", b"{<name>}", b"*", b"**", b"<name>", b"%41"),
            b"name": (b"a", b"b", b"\xef\xac\x81", b"class", b"1", b"a-b", b"\xc3\xa9", b".."),
            b"kind": (b"int", b"float", b"uuid", b"path", b"path:2", b"path:0", b"str", b"x"),
            b"regexp": (b"a", b"(<regexp>)", b"[a-z]<regexp>", b"<regexp>*", b"(?P<a><regexp>)",
                        b"<regexp>|<regexp>", b"<regexp>{2,3}", b"(?i)", b"\\1", b"(?=<regexp>)")}),
    Target("narrowing", check_narrowing, (b"a=b", b"!a", b"a!=b\na^=c", b"content-type^=text/", b"a"),
           {b"start": (b"<expression>", b"<expression>\n<start>"),
            b"expression": (b"<name>", b"!<name>", b"<name>=<value>", b"<name>!=<value>",
                            b"<name>^=<value>"),
            b"name": (b"a", b"b", b"long-name", b"", b"\xc3\xa9", b"a b"),
            b"value": (b"a", b"", b"=", b" ", b"\xc3\xa9")}),
    Target("routes", check_routes,
           (b"/", b"/a", b"/7/b", b"/1.5", b"/a/b/c", b"/p/x/y/end", b"/w/1/x", b"/w/a/b", b"/r/1-x",
            b"/00000000-0000-4000-8000-000000000000/c", b"/a%20b", b"/%C3%A9", b"*"),
           {b"start": (b"/<segment>", b"/<segment><start>", b"/"),
            b"segment": (b"a", b"p", b"w", b"r", b"x", b"end", b"7", b"1.5", b"", b"..", b"%2F", b"%41",
                         b"b", b"c", b"1-", b"%C3%A9", b"%", b"00000000-0000-4000-8000-000000000000")}),
)  # fmt: skip
