"""Header fields: cookies, media types, conditions, ranges, dates, dispositions, events."""

from __future__ import annotations

from itertools import pairwise

from fuzz.target import Target, chance, cut, expect
from tarry.app.uploads import MAX_FILENAME_BYTES, safe_filename
from tarry.message.codings import choose_coding
from tarry.message.conditional import evaluate, parse_etags, range_applies
from tarry.message.cookies import CookiesTooLarge, SetCookie, parse_cookies
from tarry.message.dates import format_date, parse_date
from tarry.message.disposition import Disposition, parse_form_data
from tarry.message.eventstream import EventStreamDecoder, EventTooLarge, encode_event
from tarry.message.forms import FormError, InvalidForm, form_type
from tarry.message.headers import Headers
from tarry.message.heads import Fields, InvalidField, ResponseHead, check_field
from tarry.message.mediatypes import best_match, is_json, parse_media_type
from tarry.message.ranges import MAX_RANGES, UnsatisfiableRange, parse_range
from tarry.protocol.http1_heads import encode

TOKEN = (b"a", b"gzip", b"text", b"html", b"*", b"q", b"boundary", b"x-y", b"!#$%&'*+-.^_`|~")
QUOTED = (b'"a"', b'""', b'"a\\"b"', b'"a;b,c"', b'"\\\\"', b'"', b'"\xe9"')


# ---- fields as such ------------------------------------------------------------------------


def check_headers(data: bytes) -> None:
    """A head that is taken has as many lines as fields, and comes back as it was."""
    lines = data.split(b"\n")[:100]  # as many as the engines let pass
    fields = [tuple(line.split(b":", 1)) for line in lines if b":" in line]
    headers = Headers.from_fields(Fields(fields))  # type: ignore[arg-type]  # because split gives two
    expect(headers.to_fields() == fields, "fields change", fields)
    for name, value in headers.items():
        expect(
            value in headers.getall(name.upper() if name.isascii() else name),
            "a name has to match in any case",
            name,
        )
    headers["new"] = "value"
    expect(headers.joined("NEW") == "value", "what is set is there")
    try:
        head = ResponseHead(200, fields)  # type: ignore[arg-type]  # because split gives two
    except InvalidField:
        return
    for name, value in head.fields:
        check_field(name, value)
    expect(
        encode(head).count(b"\n") == 1 + len(head.fields), "a field has lines of its own", fields
    )


def check_cookies(data: bytes) -> None:
    """Names and values survive being sent again; what can be set is read back."""
    try:
        cookies = parse_cookies(data.split(b"\n"))
        again = "; ".join(f'{name}="{value}"' for name, value in cookies.items())
        expect(parse_cookies([again.encode()]) == cookies, "cookies change", cookies)
    except CookiesTooLarge:
        return
    for name in cookies:
        expect(name == name.strip(" \t") and ";" not in name and "=" not in name, "bad name", name)
    name, _, value = data.decode("latin-1").partition("=")
    try:
        line = SetCookie(name, value).encode()
    except InvalidField:
        return
    expect(parse_cookies([line.split(b"; ")[0]]) == {name: value}, "set cookie changes", line)


# ---- negotiation ---------------------------------------------------------------------------

OFFERS = ("application/json", "text/html", "text/plain; charset=utf-8", "image/png")


def check_media_types(data: bytes) -> None:
    """A media type is what it says when written out again; an answer is one of the offers."""
    text = data.decode("latin-1")
    media = parse_media_type(text)
    if media is None:
        expect(not is_json(text), "JSON that is no media type", text)
    else:
        quoted = [
            f'{name}="{value}"'
            for name, value in ((n, _escaped(v)) for n, v in media.params.items())
        ]
        again = "; ".join([media.essence, *quoted])
        expect(parse_media_type(again) == media, "a media type changes", text, again)
    for accept in (text, f"{text}, */*;q=0.1"):
        expect(best_match(accept, OFFERS) in (*OFFERS, None), "no offer", accept)
    codings = ("br", "gzip")
    expect(choose_coding(text, codings) in (*codings, None), "no offer", text)
    try:
        kind = form_type(text)
    except FormError:
        return
    if kind is not None and kind.kind == "multipart":
        expect(0 < len(kind.boundary) <= 256 and b"\n" not in kind.boundary, "bad boundary", text)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


# ---- ranges and conditions -----------------------------------------------------------------


def check_ranges(data: bytes) -> None:
    """Ranges are few, apart from one another, and within the file; a whole one is never 416."""
    text = data.decode("latin-1")
    size_bytes = chance(data).choice((0, 1, 2, 10, 1000, 10**15))
    try:
        ranges = parse_range(text, size_bytes)
    except UnsatisfiableRange:
        expect(size_bytes and "=" in text, "416 for what is no range", text)
        return
    if ranges is None:
        return
    expect(0 < len(ranges) <= MAX_RANGES, "too many ranges", text)
    for first, last in ranges:
        expect(0 <= first <= last < size_bytes, "a range outside of the file", text, ranges)
    ordered = sorted(ranges)
    for (_, end), (start, _) in pairwise(ordered):
        expect(start > end + 1, "ranges that touch", text, ranges)
    written = "bytes=" + ", ".join(f"{first}-{last}" for first, last in ranges)
    expect(parse_range(written, size_bytes) == ranges, "ranges change", text, ranges)


def check_conditions(data: bytes) -> None:
    """The conditions of a request end in one of three ways, and each tag matches itself."""
    lines = [line for line in data.split(b"\n") if b":" in line]
    fields = Fields((name, value) for name, _, value in (line.partition(b":") for line in lines))
    for method in (b"GET", b"POST"):
        for etag, modified_s in (('"a"', 784111777.5), ('W/"a"', None), (None, None)):
            outcome = evaluate(method, fields, etag, modified_s)
            expect(outcome in ("send", 304, 412), "no outcome", outcome)
            expect(outcome != 304 or method == b"GET", "304 for POST")
            expect(type(range_applies(fields, etag, modified_s)) is bool, "no answer")
    for etag in parse_etags(data.decode("latin-1")):
        expect(parse_etags(etag) == [etag], "a tag changes", etag)


def check_dates(data: bytes) -> None:
    """A date that is read is the same when written in the one form that is written."""
    for line in data.decode("latin-1").split("\n"):
        seconds = parse_date(line)
        if seconds is not None:
            expect(parse_date(format_date(seconds)) == seconds, "a date changes", line)


# ---- names of files ------------------------------------------------------------------------


def check_dispositions(data: bytes) -> None:
    """Names are read back as browsers write them; a safe name has nothing that is unsafe."""
    text = data.decode("utf-8", "replace")
    try:
        parse_form_data(text)
    except InvalidForm:
        pass
    written = text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    read = parse_form_data(f'form-data; name="n"; filename="{written}"')
    if "%22" not in text and "%0D" not in text and "%0A" not in text and '\\"' not in text:
        expect(read == Disposition("n", text), "a name changes", text, read)
    name = safe_filename(text)
    expect(name and len(name.encode()) <= MAX_FILENAME_BYTES, "a name that no system takes", name)
    expect(not set(name) & set('/\\\0\r\n"') and name not in (".", ".."), "unsafe", name)
    expect(safe_filename(name) == name, "a safe name is not safe", name, safe_filename(name))


# ---- events --------------------------------------------------------------------------------


def check_event_streams(data: bytes) -> None:
    """The same events, whole or in pieces; what is written is read."""
    whole, parts = _events([data]), _events(cut(data))
    expect(whole == parts, "events depend on the pieces", whole, parts)
    text = data.decode("utf-8", "replace")
    decoder = EventStreamDecoder()
    (event,) = decoder.feed(encode_event(text, event="e", id="1", comment=text))
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    expect((event.data, event.event, event.id) == (lines, "e", "1"), "an event changes", event)


def _events(pieces: list[bytes]) -> object:
    decoder = EventStreamDecoder(max_event_bytes=5000)
    events = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.feed(b"")
    except EventTooLarge:
        return events, "too large"
    return events, decoder.last_event_id, decoder.retry_ms


# ---- targets -------------------------------------------------------------------------------

DATE_TEXTS = (
    b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
)  # fmt: skip

TARGETS = (
    Target("headers", check_headers,
           (b"Accept:*/*\nX-A:b\nx-a:c", b"content-length:5", b"set-cookie:a=b\nset-cookie:c"),
           {b"start": (b"<field>", b"<field>\n<start>"), b"field": (b"<token>:<value>",),
            b"token": TOKEN, b"value": (b"", b"a", b"a b", b"<token>, <token>", *QUOTED)}),
    Target("cookies", check_cookies, (b"a=b; c=d", b'a="b"; a=c;=d;e', b"__Host-a=b\nc=\xc3\xa9"),
           {b"start": (b"<pair>", b"<pair>; <start>", b"<pair>\n<start>", b"<pair>;<start>"),
            b"pair": (b"<token>=<value>", b"=<value>", b"<token>", b" <token> = <value> "),
            b"token": (*TOKEN, b"\xff", b"__Secure-a"), b"value": (b"", b"v", b"a=b", *QUOTED)}),
    Target("media-types", check_media_types,
           (b"text/html, application/json;q=0.9, */*;q=0.1", b"application/problem+json",
            b'multipart/form-data; boundary="a b"', b"gzip;q=0.5, br, *;q=0"),
           {b"start": (b"<range>", b"<range>, <start>", b"<token>;q=<weight>, <start>"),
            b"range": (b"<type>", b"<type>;<params>", b"multipart/form-data; boundary=<value>"),
            b"type": (b"*/*", b"text/*", b"text/html", b"application/json", b"<token>/<token>"),
            b"params": (b"<token>=<value>", b" <token>=<value>;<params>", b"q=<weight>", b""),
            b"weight": (b"1", b"0", b"0.5", b"0.1234", b"1.000", b"nan"),
            b"value": (b"utf-8", b"<token>", *QUOTED), b"token": TOKEN}),
    Target("ranges", check_ranges, (b"bytes=0-4", b"bytes=-5", b"bytes=0-1, 5-9,900-", b"cows=1"),
           {b"start": (b"bytes=<specs>", b"bytes=<specs>", b"<specs>"),
            b"specs": (b"<spec>", b"<spec>,<specs>", b"<spec> ,<specs>", b",<specs>"),
            b"spec": (b"<number>-<number>", b"<number>-", b"-<number>", b"", b"-"),
            b"number": (b"0", b"1", b"5", b"9", b"10", b"999", b"9" * 18, b"9" * 19, b"007")}),
    Target("conditions", check_conditions,
           (b'if-match:"a"\nif-none-match:W/"b", *', b"if-modified-since:" + DATE_TEXTS[0],
            b'if-range:"a"', b'"a", W/"b" ,"c"'),
           {b"start": (b"<field>", b"<field>\n<start>", b"<tags>"),
            b"field": (b"if-match:<tags>", b"if-none-match:<tags>", b"if-range:<tag>",
                       b"if-modified-since:<date>", b"if-unmodified-since:<date>"),
            b"tags": (b"<tag>", b"<tag>, <tags>", b"*", b",<tags>"),
            b"tag": (b'"a"', b'W/"a"', b'""', b'w/"a"', b'"', b'"\xe9"'), b"date": DATE_TEXTS}),
    Target("dates", check_dates, DATE_TEXTS,
           {b"start": (b"<wkday>, <day> <month> <year> <time> GMT",
                       b"<wkday>, <day>-<month>-<day> <time> GMT", b"<wkday> <month> <day> <time> <year>"),
            b"wkday": (b"Sun", b"Monday", b"sun"), b"day": (b"06", b"31", b" 6", b"00", b"29"),
            b"month": (b"Nov", b"Feb", b"feb"), b"year": (b"1994", b"0000", b"9999", b"0001"),
            b"time": (b"08:49:37", b"23:59:60", b"24:00:00", b"00:00:00")}),
    Target("dispositions", check_dispositions,
           (b'form-data; name="a"; filename="b.txt"', b"form-data; name=a; filename*=UTF-8''%e2%82%ac",
            b'C:\\dir\\na"me.txt', b"../../.bashrc", b"a\\", b"x" * 300 + b".txt", b"nul .txt. "),
           {b"start": (b"form-data<params>", b"<filename>"), b"params": (b"", b"; <param><params>"),
            b"param": (b'name="<filename>"', b"filename*=UTF-8''<filename>", b'filename="<filename>"',
                       b"name=a", b'filename*0="a"'),
            b"filename": (b"a.txt", b"../a", b"a\\b", b'a\\"b', b"%22", b"%e2%82%ac", b"\xe2\x80\xae")}),
    Target("event-streams", check_event_streams,
           (b"data: a\ndata: b\nid: 1\n\n", b"\xef\xbb\xbfretry: 10\r\n:c\r\ndata\r\r", b"event: e\rid\0:\n\n"),
           {b"start": (b"<line>", b"<line><start>", b"<line><line><start>"),
            b"line": (b"<name>: <value><end>", b"<name>:<value><end>", b"<name><end>", b"<end>"),
            b"name": (b"data", b"id", b"event", b"retry", b"", b"x"),
            b"value": (b"a", b"", b"12", b"a:b", b"\0", b"\xff"), b"end": (b"\n", b"\r", b"\r\n")}),
)  # fmt: skip
