"""JSON from clients: the same strictness for every kind of type, and a reason for each refusal."""

import dataclasses
import json
import time
from datetime import date, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarry.app.faults import ConversionError, Faults
from tarry.app.json_texts import MAX_JSON_DEPTH, json_reader
from tarry.app.results import to_json


class Struct(msgspec.Struct):
    x: Any
    y: list[int] = []
    z: float = 0


@dataclasses.dataclass
class Dataclass:
    x: Any
    y: list[int] = dataclasses.field(default_factory=list)
    z: float = 0


@attrs.define
class Attrs:
    x: Any
    y: list[int] = attrs.field(factory=list)
    z: float = 0


class Typed(TypedDict, total=False):
    x: Any
    y: list[int]
    z: float


class Model(pydantic.BaseModel):
    x: Any
    y: list[int] = []
    z: float = 0


RECORDS = [Struct, Dataclass, Attrs, Typed, Model]
KINDS = [*RECORDS, dict, dict[str, Any], Any, Model | None, Struct | None]
MALFORMED = "is malformed JSON"
TOO_DEEP = "is nested too deeply"


def refused(kind, text) -> str:
    with pytest.raises(ConversionError) as caught:
        json_reader(kind)(text)
    return str(caught.value)


def deep(opening: bytes, closing: bytes, depth: int) -> bytes:
    return b'{"x":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "ignored"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, f"{MALFORMED} at byte ") for value in
          (b"NaN", b"-Infinity", b"Infinity", b"[NaN]", b"01", b"+1", b"1.", b".1", b"0x1", b"tru",
           b"'a'", b'"\x00"', b'"\x1f"', b'"\n"', b'"\\x41"', b'"\\udc00"  ', b'"\\udc00\\ud800"',
           b'"\\ud800\\u0041"', b'"\\ud800aaaaaaaaaa"', b"[1,]", b'{"a":1,}', b"[1 2]", b"{1:2}",
           b"//\n1", b"1} {", b"1}\x00")),
        *((value, MALFORMED) for value in
          (b'"\\ud800"', b'{"\\ud800":1}', b'"', b'"\\', b"[", b"")),
        *((value, f"{MALFORMED} at byte ") for value in
          (b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'{"\xff":1}')),
        *((value, TOO_DEEP) for value in
          (b"[" * 100_000, b'{"a":' * 100_000, b"[{}," * 100_000, b'["\\"[",' * 100_000,
           b"[" * 100_000 + b"]" * 100_000)),
    ],
)  # fmt: skip
def test_malformed_texts(kind, name, value, reason):
    assert refused(kind, b'{"x":0,"%s":%s}' % (name.encode(), value)).startswith(reason)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", MALFORMED),
        (b" ", MALFORMED),
        (b"{", MALFORMED),
        (b'\xef\xbb\xbf{"x":1}', f"{MALFORMED} at byte 0"),
        (b'\xff\xfe{"x":1}', f"{MALFORMED} at byte 0: not UTF-8"),
        ('{"x":1}'.encode("utf-16-le"), f"{MALFORMED} at byte 1"),
        (b'{"x":1} x', f"{MALFORMED} at byte "),
        (b'{"x":1}{"x":1}', f"{MALFORMED} at byte "),
        (b"[" * 100_000, TOO_DEEP),
    ],
)
def test_malformed_whole_texts(kind, text, reason):
    assert refused(kind, text).startswith(reason)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "number", [b"1e999999", b"-1e400", b"9" * 100_000, b"1" + b"0" * 100_000 + b".5", b"9" * 4301]
)
def test_numbers_without_bound(kind, number):
    assert "out of range" in refused(kind, b'{"x":%s}' % number)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [b"9" * 4300, b"1e-999999", b"0." + b"9" * 100_000, b"1E308"])
def test_numbers_that_are_only_long(kind, number):
    assert to_json(json_reader(kind)(b'{"x":%s}' % number))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}"), (b'["]]",', b"]")])
def test_depth_has_a_limit(kind, brackets):
    assert to_json(json_reader(kind)(deep(*brackets, MAX_JSON_DEPTH)))
    assert refused(kind, deep(*brackets, MAX_JSON_DEPTH + 1)) == TOO_DEEP


@pytest.mark.parametrize(
    "text",
    [
        b'{"x":[' + b'"[[[{{{",' * 1000 + b"0]}",
        b'{"x":[' + b'"\\"[[",' * 1000 + b"0]}",
        b'{"x":[' + b'"\\\\","[[",' * 1000 + b"0]}",
        b'{"x":[' + b"[[]],{}," * 1000 + b"0]}",
        b'{"x":["' + "[é]".encode() * 1000 + b'"]}',
    ],
)
def test_brackets_side_by_side_or_in_strings_are_not_deep(text):
    assert json_reader(dict)(text) == json.loads(text)


def test_time_is_linear_in_the_length():
    text = b'{"x":[' + b'{"a":"\\\\\\"","b":[1]},' * 20_000 + b"0]}"
    read = json_reader(Struct)
    before = time.process_time()
    read(text)

    # It takes some hundredths of a second; quadratic time is minutes.
    assert time.process_time() - before < 2


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_members_with_one_name_the_last_counts(kind):
    value = json_reader(kind)(b'{"x":1,"x":2}')

    assert json.loads(to_json(value))["x"] == 2


@pytest.mark.parametrize("kind", RECORDS)
def test_whatever_else_json_has(kind):
    text = b'\t{"x": {"\\u00e9\\ud83d\\ude00\x7f": [null, true, -1.5e3]}, "new": 1, "z": 2}\r\n '
    value = json_reader(kind)(text)

    known = {"x": {"é😀\x7f": [None, True, -1500]}, "z": 2}
    assert {"y": []} | json.loads(to_json(value)) == known | {"y": []}


@pytest.mark.parametrize("kind", RECORDS)
def test_the_place_is_the_name_of_the_fault(kind):
    with pytest.raises(Faults) as caught:
        json_reader(list[kind])(b'[{"x":1},{"x":1,"y":[1,"a"]}]')

    ((name, reason),) = caught.value.faults
    assert name == "1.y.1"
    assert reason.startswith("is refused: ")


class Special(msgspec.Struct):
    address: IPv4Address | None = None
    price: Decimal = Decimal(0)
    day: date | None = None
    length: timedelta | None = None
    blob: bytes = b""
    numbers: set[int] = set()


SPECIAL = {
    "address": "192.0.2.1",
    "price": "1.50",
    "day": "2026-01-31",
    "length": "PT5S",
    "blob": "AP8=",
    "numbers": [1],
}


def test_types_that_are_text_in_json_come_back():
    value = json_reader(Special)(json.dumps(SPECIAL).encode())

    assert value.address == IPv4Address("192.0.2.1")
    assert json.loads(to_json(value)) == SPECIAL


@pytest.mark.parametrize("value", ["1", "fe80::1%a", "", 5])
def test_an_address_is_checked(value):
    with pytest.raises(Faults) as caught:
        json_reader(Special)(json.dumps({"address": value}).encode())

    assert caught.value.faults[0][0] == "address"


def test_a_class_that_json_does_not_have_is_told():
    class Odd:
        pass

    assert refused(Odd, b"{}") == "is refused: is no Odd, which JSON does not have"


@pytest.mark.parametrize("annotation", [Struct | Special, dict[int, Any] | Struct])
def test_types_that_json_cannot_tell_apart(annotation):
    with pytest.raises(TypeError):
        json_reader(annotation)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
TEXTS = (
    st.binary()
    | st.text('{}[]",:\\udcNaInfty019eE+-. x').map(str.encode)
    | JSON_VALUES.map(lambda value: json.dumps({"x": value}).encode())
    | JSON_VALUES.map(lambda value: json.dumps({"x": value, "y": value, "z": value}).encode())
)


@settings(max_examples=200)
@given(st.sampled_from([*KINDS, Special, list[Model], int, str]), TEXTS)
def test_any_bytes_are_a_value_that_can_be_written_or_refused(kind, text):
    try:
        value = json_reader(kind)(text)
    except ConversionError:
        return
    json.loads(to_json(value))


@settings(max_examples=200)
@given(JSON_VALUES)
def test_what_python_takes_as_json_is_read_alike(value):
    try:
        text = json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return
    try:
        assert json_reader(Any)(text) == value
    except ConversionError:
        assert b"\\ud" in text


def depth_of(value) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


@given(
    st.recursive(
        st.text('[]{}"\\, '),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\'), inner),
        max_leaves=10,
    )
)
def test_depth_is_counted_outside_of_strings(value):
    within = value
    for _ in range(MAX_JSON_DEPTH - depth_of(value)):
        within = [within]
    # Side by side with many others, so that it is counted at all.
    text = json.dumps([[]] * MAX_JSON_DEPTH)[:-1].encode() + b",%s]"

    assert json_reader(Any)(text % json.dumps(within[0]).encode())
    assert refused(Any, text % json.dumps(within).encode()) == TOO_DEEP


class Price(msgspec.Struct):
    amount: Decimal
    limit: Decimal = Decimal("Infinity")


@pytest.mark.parametrize(
    "text",
    [b'"sNaN"', b'"NaN"', b'"-Infinity"', b'"inf"', b"1e999999999", b'"1E-999999999"',
     b'"\\u0073NaN"', b'"1e\xef\xbc\x99\xef\xbc\x99\xef\xbc\x99"', b'"1e9_9_9"', b"1" * 400],
)  # fmt: skip
@pytest.mark.parametrize("wrap", ["[%s]", '{"amount":%s}'])
def test_decimals_that_no_float_could_hold_are_refused(text, wrap):
    kind = Price if "amount" in wrap else list[Decimal]
    with pytest.raises(ConversionError, match="decimal"):
        json_reader(kind)(wrap.encode() % text)


@pytest.mark.parametrize("text", ["1.20", "-0.5", "1e30", "1e-30", "0"])
def test_ordinary_decimals(text):
    assert json_reader(Decimal)(text.encode()) == Decimal(text)
    assert json_reader(Price)(f'{{"amount":"{text}"}}'.encode()).limit == Decimal("Infinity")


# ── numbers that collide ──────────────────────────────────────────────────────────────────


def colliding(count):
    """Whole numbers of 20 digits and more whose hashes are equal."""
    return [number * (2**61 - 1) for number in range(5, 5 + count)]


@pytest.mark.parametrize("annotation", [set[int], frozenset[int], list[set[int]], dict[int, int]])
def test_numbers_that_collide_are_taken_up_to_a_limit(annotation):
    def text(count):
        numbers = colliding(count)
        if annotation == dict[int, int]:
            return json.dumps(dict.fromkeys(numbers, 1)).encode()
        return json.dumps([numbers] if annotation == list[set[int]] else numbers).encode()

    read = json_reader(annotation)
    assert read(text(1000))
    with pytest.raises(ConversionError, match="more than 1000 numbers of 20 digits"):
        read(text(1001))


def test_long_numbers_in_a_list_are_none_too_many():
    assert len(json_reader(list[int])(json.dumps(colliding(5000)).encode())) == 5000
