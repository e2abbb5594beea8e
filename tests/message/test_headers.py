"""Header fields for authors: names in any case, repeats kept, text in and bytes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarry.message.headers import Headers
from tarry.message.heads import Fields, InvalidField, ResponseHead

PAIRS = [("Set-Cookie", "a=1"), ("X-A", "1"), ("set-cookie", "b=2")]
NAMES = st.sampled_from(["a", "A", "b", "Content-Type", "content-type", "CONTENT-TYPE", "x"])
LATIN = st.text(st.characters(max_codepoint=255), max_size=8)
FIELDS = st.lists(st.tuples(NAMES, LATIN), max_size=8)


@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie", "SET-COOKIE"])
def test_a_name_matches_in_any_case(name):
    headers = Headers(PAIRS)

    assert headers[name] == headers.get(name) == "a=1"
    assert headers.getall(name) == ["a=1", "b=2"]
    assert name in headers


def test_an_absent_name():
    headers = Headers(PAIRS)

    assert headers.get("x-b") is None
    assert headers.get("x-b", "no") == "no"
    assert headers.getall("x-b") == []
    assert headers.joined("x-b") is None
    assert "x-b" not in headers
    assert 5 not in headers
    with pytest.raises(KeyError, match="x-b"):
        headers["x-b"]
    with pytest.raises(KeyError, match="x-b"):
        del headers["x-b"]


def test_items_and_values_have_repeats_and_keys_do_not():
    headers = Headers(PAIRS)

    assert list(headers.items()) == PAIRS
    assert list(headers.values()) == ["a=1", "1", "b=2"]
    assert list(headers) == list(headers.keys()) == ["Set-Cookie", "X-A"]
    assert [len(headers), len(headers.keys())] == [2, 2]
    assert [len(headers.items()), len(headers.values())] == [3, 3]
    assert ("set-cookie", "b=2") in headers.items()
    assert ("set-cookie", "c=3") not in headers.items()
    assert "b=2" in headers.values()
    assert "c=3" not in headers.values()


def test_views_follow_changes():
    headers = Headers(PAIRS)
    items, values, keys = headers.items(), headers.values(), headers.keys()
    del headers["set-cookie"]

    assert [list(items), list(values), list(keys)] == [[("X-A", "1")], ["1"], ["X-A"]]


@pytest.mark.parametrize("source", [PAIRS, iter(PAIRS), Headers(PAIRS)])
def test_made_from_pairs_or_other_headers(source):
    assert list(Headers(source).items()) == PAIRS


def test_made_from_a_mapping():
    assert list(Headers({"X-A": "1", "ETag": '"x"'}).items()) == [("X-A", "1"), ("ETag", '"x"')]


def test_a_copy_is_independent():
    first = Headers(PAIRS)
    second = Headers(first)
    second.add("X-B", "2")

    assert "X-B" not in first


def test_add_appends_and_assignment_replaces_in_place():
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3"), ("c", "4")])
    headers.add("B", "5")
    headers["A"] = "6"
    headers["d"] = "7"

    assert list(headers.items()) == [("A", "6"), ("b", "2"), ("c", "4"), ("B", "5"), ("d", "7")]


def test_deletion_takes_every_field_of_a_name():
    headers = Headers(PAIRS)
    del headers["SET-cookie"]

    assert list(headers.items()) == [("X-A", "1")]


def test_update_replaces_names_and_keeps_their_repeats():
    headers = Headers([("vary", "a"), ("x-a", "0"), ("Vary", "b")])
    headers.update(Headers([("Vary", "c"), ("vary", "d")]), etag='"x"')
    headers.update({"X-A": "1"})
    headers.update()

    assert headers.getall("vary") == ["c", "d"]
    assert headers.getall("x-a") == ["1"]
    assert headers.getall("etag") == ['"x"']


def test_what_a_mutable_mapping_does_beside():
    headers = Headers(PAIRS)

    assert headers.setdefault("X-B", "2") == "2"
    assert headers.setdefault("x-a", "2") == "1"
    assert headers.pop("X-B") == "2"
    assert headers.pop("X-B", "none") == "none"
    headers.clear()
    assert not headers
    assert list(headers.items()) == []


def test_joined_makes_one_list_field():
    assert Headers([("Accept", "a, b"), ("x", "1"), ("accept", "c")]).joined("ACCEPT") == "a, b, c"


def test_equality_ignores_spelling_and_the_order_of_different_names():
    headers = Headers(PAIRS)

    assert headers == Headers([("x-a", "1"), ("SET-COOKIE", "a=1"), ("Set-Cookie", "b=2")])
    assert headers != Headers([("x-a", "1"), ("set-cookie", "b=2"), ("set-cookie", "a=1")])
    assert headers != Headers(PAIRS[:2])
    assert Headers({"A": "1"}) == {"a": "1"}
    assert Headers({"1": "1"}) != {1: "1"}
    assert Headers() != []


def test_repr_can_be_read_back():
    headers = Headers(PAIRS)

    assert repr(headers) == f"Headers({PAIRS!r})"
    assert eval(repr(headers)) == headers


def test_rfc9110_5_5_bytes_are_latin_1():
    headers = Headers.from_fields(Fields([(b"X-Name", b"J\xfcrgen"), (b"x-a", b"")]))

    assert list(headers.items()) == [("X-Name", "Jürgen"), ("x-a", "")]
    assert headers.to_fields() == [(b"X-Name", b"J\xfcrgen"), (b"x-a", b"")]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("x-city", "Łódź", r"header 'x-city' has a character outside latin-1"),
        ("x-Ł", "a", r"header 'x-\\u0141' has a character outside latin-1"),
        ("x-count", 5, "header 'x-count' needs a str, not int"),
        ("x-raw", b"a", "header 'x-raw' needs a str, not bytes"),
        (b"x-raw", "a", "header b'x-raw' needs a str, not bytes"),
    ],
)
def test_to_fields_refuses_what_has_no_bytes(name, value, reason):
    with pytest.raises(InvalidField, match=reason):
        Headers([(name, value)]).to_fields()


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b"])
def test_what_breaks_a_line_stops_at_the_response_head(value):
    fields = Headers([("X-A", value)]).to_fields()

    with pytest.raises(InvalidField, match="x-a"):
        ResponseHead(200, fields)


@given(FIELDS)
def test_fields_come_back_as_they_went(pairs):
    headers = Headers(pairs)

    assert Headers.from_fields(Fields(headers.to_fields())).items() == headers.items()
    assert list(Headers.from_fields(Fields(headers.to_fields())).items()) == pairs


@given(FIELDS, NAMES, LATIN)
def test_each_operation_keeps_the_others_fields(pairs, name, value):
    others = [pair for pair in pairs if pair[0].lower() != name.lower()]
    headers = Headers(pairs)
    headers[name] = value

    assert headers.getall(name) == [value]
    assert [pair for pair in headers.items() if pair[0].lower() != name.lower()] == others
    del headers[name]
    assert list(headers.items()) == others
