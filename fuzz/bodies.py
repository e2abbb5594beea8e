"""Targets, queries and bodies: urlencoded, multipart, content codings, JSON, texts of values."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import urllib.parse
import zlib
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Network
from typing import Any, Literal
from uuid import UUID

import msgspec

from fuzz.application import (
    Colour,
    ItemAttrs,
    ItemData,
    ItemDict,
    ItemModel,
    ItemStruct,
    Level,
    Login,
    Page,
)  # fmt: skip
from fuzz.target import Target, chance, cut, expect
from tarry.app.convert import path_converter_for, values_converter_for
from tarry.app.faults import ConversionError
from tarry.app.json_texts import json_reader
from tarry.app.models import record_reader
from tarry.message.codings import (
    Decoder,
    ExpansionTooLarge,
    MalformedCoding,
    UnknownCoding,
    decoder_for,
    encoder_for,
    installed_encoders,
)  # fmt: skip
from tarry.message.forms import FormError, UrlencodedReader, parse_urlencoded
from tarry.message.multipart import END_OF_PART, MultipartReader, PartHead, decode_text
from tarry.message.target import (
    InvalidTarget,
    decode_path,
    decode_segment,
    parse_query,
    quote_segment,
    split_absolute,
    valid_authority,
)  # fmt: skip

# ---- targets -------------------------------------------------------------------------------


def check_targets(data: bytes) -> None:
    """What decodes is what Python's own decoder says, and comes back when it is quoted."""
    with contextlib.suppress(InvalidTarget):
        segments = decode_path(data)
        plain = [urllib.parse.unquote(each, errors="strict") for each in data.decode().split("/")]
        expect(segments == plain[1:], "another path", segments, plain)
    with contextlib.suppress(InvalidTarget):
        segment = decode_segment(data)
        with contextlib.suppress(InvalidTarget):  # "." and ".."
            expect(decode_segment(quote_segment(segment).encode()) == segment, "changes", segment)
    with contextlib.suppress(InvalidTarget):
        scheme, authority, rest = split_absolute(data)
        expect(scheme in (b"http", b"https") and rest[:1] == b"/", "no URL", scheme, rest)
        expect(valid_authority(authority), "no authority", authority)
    if valid_authority(data):
        expect(not set(data) & set(b"@/?# \r\n\0,"), "an authority that hides something", data)


def check_queries(data: bytes) -> None:
    """Fields are those that Python's own parser finds, and come back when they are encoded."""
    try:
        fields = parse_query(data)
    except InvalidTarget:
        return
    plain = urllib.parse.parse_qs(data.decode("ascii"), keep_blank_values=True, errors="strict")
    expect(fields == plain, "another query", fields, plain)
    again = urllib.parse.urlencode(fields, doseq=True).encode()
    expect(parse_query(again) == fields, "a query changes", fields)


# ---- forms ---------------------------------------------------------------------------------


def _outcome(read: Any, pieces: list[bytes]) -> Any:
    """What a reader gives, or how it refuses; of two faults the pieces tell which is seen first."""
    try:
        return read(pieces)
    except FormError:
        return "refused"
    except (MalformedCoding, ExpansionTooLarge) as error:
        return type(error)


def check_urlencoded(data: bytes) -> None:
    """The same fields or the same refusal, whole or in pieces; they come back when encoded."""
    whole, parts = _outcome(_read_urlencoded, [data]), _outcome(_read_urlencoded, cut(data))
    expect(whole == parts, "a form depends on the pieces", whole, parts)
    if isinstance(whole, dict):
        again = urllib.parse.urlencode(whole, doseq=True).encode()
        expect(parse_urlencoded(again) == whole, "a form changes", whole)


def _read_urlencoded(pieces: list[bytes]) -> dict[str, list[str]]:
    reader = UrlencodedReader(max_fields=50, max_bytes=20_000)
    for piece in pieces:
        reader.receive_data(piece)
    return reader.finish()


BOUNDARY = b"xYzZY"


def check_multipart(data: bytes) -> None:
    """The same parts or a refusal, whole or in pieces; parts of any content are read back."""
    whole, parts = _outcome(_read_multipart, [data]), _outcome(_read_multipart, cut(data))
    expect(whole == parts, "a form depends on the pieces", whole, parts)
    if b"\r\n--" + BOUNDARY not in b"\r\n" + data:
        field = b'Content-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
        body = b"--%b\r\n%b%b\r\n--%b--\r\n" % (BOUNDARY, field, data, BOUNDARY)
        read = _read_multipart(cut(body))
        expect(read == [("a", "b", None, data)], "a part changes", read)


def _read_multipart(pieces: list[bytes]) -> list[Any]:
    reader = MultipartReader(BOUNDARY, max_parts=20, max_part_head_bytes=1000)
    parts: list[tuple[PartHead, bytearray]] = []
    ended = True
    for piece in pieces:
        for event in reader.receive_data(piece):
            if isinstance(event, PartHead):
                expect(ended, "a part begins within another")
                parts.append((event, bytearray()))
            elif isinstance(event, bytes):
                expect(not ended or parts, "content outside of a part")
                parts[-1][1].extend(event)
            ended = event is END_OF_PART
    reader.finish()
    for head, content in parts:
        if head.filename is None:
            with contextlib.suppress(FormError):
                decode_text(head, content)
    return [(head.name, head.filename, head.content_type, bytes(body)) for head, body in parts]


# ---- content codings -----------------------------------------------------------------------


def check_codings(data: bytes) -> None:
    """The first line names the coding of the rest: decoded alike whole or in pieces."""
    name, _, body = data.partition(b"\n")
    try:
        decoder = decoder_for(name.decode("latin-1"))
    except UnknownCoding:
        decoder = None
    if decoder is not None:
        whole = _outcome(lambda pieces: _decoded(name, pieces), [body])
        parts = _outcome(lambda pieces: _decoded(name, pieces), cut(body))
        # How far a body expands is judged by what has come of it.
        expect(whole == parts or ExpansionTooLarge in (whole, parts), "pieces", name, whole, parts)
    coding = chance(data).choice(installed_encoders())
    encoder = encoder_for(coding)
    encoded = b"".join([*map(encoder.encode, cut(body)), encoder.flush(), encoder.finish()])
    expect(_decoded(coding.encode(), [encoded]) == body, "a body changes", coding)


def _decoded(name: bytes, pieces: list[bytes]) -> bytes:
    decoder = decoder_for(name.decode("latin-1"))
    expect(isinstance(decoder, Decoder), "no decoder", name)
    decoded: list[bytes] = []
    if decoder is not None:
        for piece in pieces:
            for part in decoder.feed(piece):
                expect(0 < len(part) <= 65_536, "a piece too large", len(part))
                decoded.append(part)
        decoder.finish()
    return b"".join(decoded)


# ---- JSON ----------------------------------------------------------------------------------

KINDS = (ItemStruct, ItemData, ItemDict, ItemAttrs, ItemModel, list[ItemStruct], list[ItemModel],
         dict[str, Level], int | list[str] | None, list[datetime], list[UUID], dict[str, Decimal],
         list[IPv4Address], set[Colour], tuple[int, str], list[timedelta], bytes, Page)  # fmt: skip
READ_ANY = json_reader(Any)
READERS = [(kind, json_reader(kind)) for kind in KINDS]


def check_json(data: bytes) -> None:
    """What is taken is what Python's own parser says, and can be written and read again."""
    for kind, read in READERS:
        with contextlib.suppress(ConversionError):
            value = read(data)
            expect(kind is not list[ItemStruct] or isinstance(value, list), "no list", value)
    try:
        value = READ_ANY(data)
    except ConversionError as error:
        expect(len(str(error)) < 400, "a reason that repeats much", len(str(error)))
        return
    expect(_alike(value, json.loads(data)), "another value", data)
    expect(_alike(READ_ANY(msgspec.json.encode(value)), value), "a value changes", value)


def _alike(value: Any, other: Any) -> bool:
    """Whether two values are one, but for numbers that are written with an exponent."""
    if isinstance(value, float) or isinstance(other, float):
        return math.isclose(value, other, rel_tol=1e-12)
    if isinstance(value, list):
        return len(value) == len(other) and all(map(_alike, value, other))
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(_alike(value[key], other[key]) for key in value)
    return bool(value == other)


# ---- texts of values -----------------------------------------------------------------------

VALUE_KINDS: tuple[Any, ...] = (
    str, int, float, bool, Decimal, UUID, date, datetime, time, timedelta, Colour, Level,
    Literal["a", 1], int | None, int | UUID | str, list[int], set[Colour], tuple[int, ...],
    list[Decimal | None], IPv4Address, IPv6Network, Enum("Odd", {"A": 1.5, "B": "x"}),
)  # fmt: skip
CONVERTERS = [(kind, values_converter_for(kind)) for kind in VALUE_KINDS]
PATH_CONVERTERS = [path_converter_for(kind) for kind in (int, list[int], UUID, str)]
RECORD_READERS = [record_reader(kind).read for kind in (Page, Login, ItemModel, ItemStruct | None)]
PLAIN_KINDS = frozenset({int, Decimal, UUID, date, time})


def check_values(data: bytes) -> None:
    """Texts become a value of the type or a refusal; the text of a value is read as that value."""
    texts = data.decode("utf-8", "replace").split("\n")
    for kind, convert in CONVERTERS:
        try:
            value = convert(texts)
        except ConversionError as error:
            expect(len(str(error)) < 400, "a reason that repeats much", len(str(error)))
            continue
        if kind in PLAIN_KINDS:
            expect(isinstance(value, kind), "another type", kind, value)
            expect(convert([str(value)]) == value, "a value changes", kind, value)
    for convert_path in PATH_CONVERTERS:
        with contextlib.suppress(ConversionError):
            convert_path(texts[0])
    fields = {name: [text] for name, text in zip(("number", "name", "user", "price"), texts)}  # noqa: B905 — as many as there are
    for read in RECORD_READERS:
        with contextlib.suppress(ConversionError):
            read({**fields, "size": texts, "tags": texts, "order": ["up"], "password": [""]})


# ---- targets -------------------------------------------------------------------------------

PERCENT = (b"%41", b"%2F", b"%C3%A9", b"%00", b"%zz", b"%", b"%ff", b"%2e%2e", b"%ED%A0%80", b"+")
PART = b'--xYzZY\r\nContent-Disposition: form-data; name="a"'
CLOSED = b"--xYzZY--\r\n"
PLAIN = b"hello hello hello " * 20

TARGETS = (
    Target("targets", check_targets,
           (b"/a/b%2Fc", b"http://a:80/x?y", b"[::1]:80", b"*", b"//a", b"https://user@a/"),
           {b"start": (b"<path>", b"http://<host><path>", b"<host>", b"HTTPS://<host>"),
            b"host": (b"a.example", b"1.2.3.4:80", b"[::1]", b"[1::2:", b"a:99999", b"u@a", b""),
            b"path": (b"/", b"/<segment><path>", b"/<segment>"),
            b"segment": (b"a", b"", b"..", b"\xe9", b"?", *PERCENT)}),
    Target("queries", check_queries, (b"a=b&c=d&a=e", b"a&&=b&c==", b"a+b=%C3%A9", b"a;b=c"),
           {b"start": (b"<pair>", b"<pair>&<start>", b"&<start>"),
            b"pair": (b"<text>=<text>", b"<text>", b"=<text>", b""),
            b"text": (b"a", b"a<text>", b"=", b";", *PERCENT)}),
    Target("urlencoded", check_urlencoded, (b"a=b&c=d", b"a=\xc3\xa9&b=+%2B", b"&".join([b"a"] * 51)),
           {b"start": (b"<pair>", b"<pair>&<start>", b"&<start>"),
            b"pair": (b"<text>=<text>", b"<text>", b""),
            b"text": (b"a", b"a<text>", b"\xc3\xa9", b"\xff", *PERCENT)}),
    Target("multipart", check_multipart,
           (PART + b"\r\n\r\nb\r\n" + CLOSED,
            PART + b'; filename="x"\r\nContent-Type: text/plain\r\n\r\n\r\nb--\r\n' + CLOSED, CLOSED),
           {b"start": (b"<part><start>", b"--xYzZY--", b"--xYzZY--\r\n", b"<part><part>"),
            b"part": (b"--xYzZY\r\n<disposition><headers>\r\n<content>\r\n",
                      b"--xYzZY\r\n<headers>\r\n<content>\r\n"),
            b"disposition": (b'Content-Disposition: form-data; name="<name>"\r\n',
                             b'content-disposition:form-data; name=a; filename="<name>"\r\n'),
            b"headers": (b"", b"<header>\r\n<headers>"),
            b"header": (b"Content-Type: text/plain; charset=latin-1", b"X: y", b" folded",
                        b"Content-Transfer-Encoding: base64", b"Content-Type: multipart/mixed", b"x"),
            b"name": (b"a", b"%22", b"\\\"", b"\xe9", b""),
            b"content": (b"", b"b", b"\r\n", b"--", b"\r\n--xYz", b"\r\n--xYzZY-", b"\0", b"\xff")},
           (b"--xYzZY", b"\r\n--xYzZY", b"--xYzZY--")),
    Target("codings", check_codings,
           (b"gzip\n" + gzip.compress(PLAIN), b"deflate\n" + zlib.compress(PLAIN),
            b"gzip\n" + gzip.compress(bytes(2_000_000)), b"x-gzip, identity\n" + gzip.compress(b""),
            b"deflate, gzip\n" + gzip.compress(zlib.compress(PLAIN)), b"cow\n",
            *(name.encode() + b"\n" + encoder_for(name).encode(PLAIN) for name in ("br", "zstd")),
            *(name.encode() + b"\n" + (lambda e: e.encode(PLAIN) + e.finish())(encoder_for(name))
              for name in ("br", "zstd"))),
           pieces=(gzip.compress(b"a"), zlib.compress(b"a"), b"gzip", b"br\n", b"zstd\n")),
    Target("json", check_json,
           (b'{"name": "a", "price": 1.5, "tags": ["b"], "inner": {"name": "c"}}', b"[1, -2e3, null]",
            b'"\\ud83d\\ude00 \\u00e9"', b'{"a": 1, "b": 2}', b"[" * 200 + b"]" * 200, b"1e400",
            b'["2026-11-21T10:00:00Z", "00000000-0000-4000-8000-000000000000", "1.2.3.4"]'),
           {b"start": (b"<value>",), b"value": (b"1", b"<object>", b"<object>", b"<array>", b"<scalar>"),
            b"object": (b"{}", b"{<members>}"), b"members": (b"<member>", b"<member>, <members>"),
            b"member": (b"<key>: <value>",), b"array": (b"[]", b"[<items>]"),
            b"items": (b"<value>", b"<value>,<items>"),
            b"key": (b'"name"', b'"name"', b'"price"', b'"tags"', b'"count"', b'"inner"', b'"id"',
                     b'"made"', b'"levels"', b'"a"', b'"size"', b"<string>"),
            b"string": (b'"a"', b'""', b'"\\n"', b'"\\ud800"', b'"\\u0000"', b'"\xc3\xa9"', b'"red"',
                        b'"' + b"x" * 500 + b'"', b'"P1D"', b'"aGk="', b'"\xff"'),
            b"scalar": (b"<string>", b"0", b"-0", b"1.5", b"1e5", b"1E+400", b"01", b"true", b"null",
                        b"NaN", b"1" * 400, b"-", b"9007199254740993", b"1e-400")}),
    Target("values", check_values,
           (b"1", b"-5.5", b"2026-11-21", b"2026-11-21T10:00:00Z", b"10:00", b"P1D", b"true", b"red",
            b"00000000-0000-4000-8000-000000000000", b"1.2.3.4", b"::/0", b"a\nb", b"1e5"),
           {b"start": (b"<value>", b"<value>\n<start>"),
            b"value": (b"<number>", b"<date>", b"<date>T<time><zone>", b"<time>", b"P<number>DT<number>S",
                       b"nan", b"inf", b"red", b"off", b"", b"1_0", b" 1", b"\xd9\xa1", b"+1"),
            b"number": (b"0", b"-1", b"1.5", b"1e9", b"1e999999999", b"9" * 30, b"9" * 5000, b".5", b"1."),
            b"date": (b"2026-11-21", b"2026-02-30", b"0000-01-01", b"9999-12-31", b"2026-W01-1"),
            b"time": (b"10:00", b"24:00:00", b"10:00:00.123456789"),
            b"zone": (b"", b"Z", b"+99:99", b"-00:00", b"+14:00")}),
)  # fmt: skip
