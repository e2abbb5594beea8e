"""Narrowing: what expressions mean, how they combine, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.app.conditions import ConditionError, all_of, any_of, parse_conditions


class Request:
    """The facts about a request with some parameters and headers."""

    def __init__(self, parameters=None, headers=None):
        self.parameters = parameters or {}
        self.headers = headers or {}

    def parameter(self, name):
        return self.parameters.get(name)

    def header(self, name):
        return self.headers.get(name)


EXPRESSIONS = {
    "a": ["", "b", "bc", "c", "x b"],
    "!a": [None],
    "a=b": ["b", "x b"],
    "a!=b": ["", "bc", "c"],
    "a^=b": ["b", "bc", "x b"],
    "a=": [""],
    "a!=": ["b", "bc", "c", "x b"],
}


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("sent", [None, "", "b", "bc", "c", "x b"])
def test_an_expression(text, sent):
    """`sent` has the values of `a` between spaces; `None` is no `a` at all."""
    values = None if sent is None else sent.split(" ")
    holds = sent in EXPRESSIONS[text]

    in_parameters = Request({"a": values} if values else {"A": ["b"]}, {b"a": ["b"]})
    in_headers = Request({"a": ["b"]}, {b"a": values} if values else {})

    assert parse_conditions(params=text).matches(in_parameters) is holds
    assert parse_conditions(headers=text).matches(in_headers) is holds


@pytest.mark.parametrize(
    ("text", "parameters", "holds"),
    [
        ("a=b=c", {"a": ["b=c"]}, True),
        ("a= b", {"a": [" b"]}, True),
        ("a=B", {"a": ["b"]}, False),
        ("a b=c", {"a b": ["c"]}, True),
        ("名=日", {"名": ["日"]}, True),
        ("a^=!", {"a": ["!x"]}, True),
        ("a!", {"a!": ["x"]}, True),
    ],
)
def test_values_are_taken_as_they_stand(text, parameters, holds):
    assert parse_conditions(text).matches(Request(parameters)) is holds


def test_names_of_headers_match_in_any_case_and_values_exactly():
    conditions = parse_conditions(headers="Content-TYPE^=text/")

    assert conditions.matches(Request(headers={b"content-type": ["text/plain"]}))
    assert not conditions.matches(Request(headers={b"content-type": ["Text/Plain"]}))


@pytest.mark.parametrize(
    ("expressions", "names", "holds"),
    [
        (["a", "b"], "ab", True),
        (["a", "b"], "a", False),
        (("a", "b"), "b", False),
        (all_of("a", "b"), "ab", True),
        (all_of("a", "b"), "", False),
        (any_of("a", "b"), "b", True),
        (any_of("a", "b"), "c", False),
        (any_of(["a", "b"], "c"), "c", True),
        (any_of(all_of("a", "b"), "c"), "ab", True),
        (any_of(all_of("a", "b"), "c"), "b", False),
        (["c", any_of("a", "b")], "cb", True),
        (["c", any_of("a", "b")], "c", False),
        (["c", any_of("a", "b")], "ab", False),
    ],
)
def test_combinations(expressions, names, holds):
    values = {name: ["x"] for name in names}

    assert parse_conditions(params=expressions).matches(Request(values)) is holds


def test_parameters_and_headers_have_both_to_hold():
    conditions = parse_conditions(params="a", headers="b")

    assert conditions.matches(Request({"a": ["x"]}, {b"b": ["x"]}))
    assert not conditions.matches(Request({"a": ["x"]}))
    assert not conditions.matches(Request({}, {b"b": ["x"]}))


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_no_expressions_are_no_conditions(nothing):
    assert parse_conditions(nothing, nothing) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["a", "b"], ("b", "a")),
        (["a", "a"], "a"),
        (all_of("a", all_of("b", "c")), ["c", "b", "a"]),
        (any_of("a", any_of("b", "c")), any_of("c", "b", "a")),
        (any_of("a"), "a"),
        (any_of(["a"], any_of("b", "b")), any_of("a", "b")),
        (any_of(any_of("a", "b")), any_of("b", "a")),
        (all_of(any_of("a", "b")), any_of("b", "a")),
        (any_of(all_of(any_of("a", "b")), "c"), any_of("a", "b", "c")),
        (any_of(all_of("a", "b")), ["a", "b"]),
    ],
)
def test_equal_by_meaning(first, second):
    first, second = parse_conditions(first), parse_conditions(second)

    assert first == second
    assert hash(first) == hash(second)
    assert str(first) == str(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "b"),
        ("a", "!a"),
        ("a=b", "a!=b"),
        ("a=b", "a^=b"),
        (["a", "b"], any_of("a", "b")),
        (["a", "b"], "a"),
    ],
)
def test_different_by_meaning(first, second):
    assert parse_conditions(first) != parse_conditions(second)
    assert parse_conditions(params=first) != parse_conditions(headers=first)


def test_headers_are_equal_in_any_case():
    assert parse_conditions(headers="X-A") == parse_conditions(headers="x-a")
    assert parse_conditions(params="X-A") != parse_conditions(params="x-a")


@pytest.mark.parametrize(
    ("params", "headers", "count"),
    [
        ("a", None, 1),
        (["a", "b=c"], "x", 3),
        (["a", "a"], None, 1),
        (any_of("a", "b", "c"), None, 1),
        (any_of(["a", "b"], ["c", "d", "e"]), None, 2),
        (["x", any_of(["a", "b"], ["c", "d"])], None, 3),
    ],
)
def test_the_count_is_what_holds_at_least(params, headers, count):
    assert parse_conditions(params, headers).count == count


@pytest.mark.parametrize(
    ("params", "headers", "needed"),
    [("a", None, True), (None, "a", False), ("a", "b", True), (None, any_of("a", "b"), False),
     (any_of("a", "b"), "c", True)],
)  # fmt: skip
def test_whether_parameters_are_needed(params, headers, needed):
    assert parse_conditions(params, headers).needs_parameters is needed


def test_both_conditions():
    both = parse_conditions("a") & parse_conditions("b", "c")

    assert both == parse_conditions(["b", "a"], "c")
    assert both & both == both


@pytest.mark.parametrize(
    ("params", "headers", "text"),
    [
        ("a=b", None, "params a=b"),
        (["!c", "a^=b", "a!=d"], None, "params !c, a!=d, a^=b"),
        (None, "X-A", "headers x-a"),
        (any_of("a", ["c", "b"]), "accept=x", "params any of (a, all of (b, c)); headers accept=x"),
    ],
)
def test_text(params, headers, text):
    assert str(parse_conditions(params, headers)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "params '': there is no name"),
        ("!", "no name"),
        ("=b", "no name"),
        ("!=b", "no name"),
        ("^=b", "no name"),
        (" a", "a space beside the name"),
        ("a =b", "a space beside the name"),
        ("! a", "a space beside the name"),
        ("!a=b", "a!=b"),
        ("!!a", "'!'"),
        ("a==b", "one '=' compares"),
        ("a^=", "write 'a'"),
        (any_of(), "any_of() without expressions"),
        (all_of(), "all_of() without expressions"),
        ([[]], "without expressions"),
        (any_of("a", ()), "without expressions"),
        (1, "1 is neither"),
        (["a", None], "None is neither"),
        ({"a"}, "{'a'} is neither"),
        (b"a", "b'a' is neither"),
    ],
)
def test_refused(text, words):
    with pytest.raises(ConditionError) as caught:
        parse_conditions(params=text)

    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["a b", "é", "a:", "a=é", "!a(", "\u212a=x"])
def test_refused_as_header(text):
    with pytest.raises(ConditionError, match="headers"):
        parse_conditions(headers=text)


TEXTS = st.text(alphabet="ab=!^ é", max_size=6)
TREES = st.recursive(
    TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(lambda each: any_of(*each))
    ),
    max_leaves=6,
)
VALUES = st.none() | st.lists(st.sampled_from(["", "a", "b", "ab"]), min_size=1, max_size=2)


@given(TREES, st.dictionaries(st.sampled_from("ab"), VALUES))
def test_anything_is_refused_or_has_a_meaning(tree, parameters):
    try:
        conditions = parse_conditions(params=tree)
    except ConditionError:
        return
    if conditions is not None:
        reversed_tree = tree[::-1] if isinstance(tree, list) else tree
        assert conditions == parse_conditions(reversed_tree)
        assert conditions.count >= 1
        assert conditions.matches(Request(parameters)) is naive(tree, parameters)


def naive(tree, parameters) -> bool:
    if isinstance(tree, list):
        return all(naive(each, parameters) for each in tree)
    if not isinstance(tree, str):
        return any(naive(each, parameters) for each in tree.members)
    for operator in ("!=", "^=", "="):
        name, found, wanted = tree.partition("=")
        if found and (operator == "=" or name.endswith(operator[0])):
            values = parameters.get(name.removesuffix(operator[:-1])) or []
            if operator == "^=":
                return any(value.startswith(wanted) for value in values)
            return bool(values) and (wanted in values) is (operator == "=")
    if tree.startswith("!"):
        return not parameters.get(tree[1:])
    return bool(parameters.get(tree))
