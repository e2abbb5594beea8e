"""From what a handler returns to an answer.

A table by type holds a function for each kind of result; a type that it does
not know is looked up once by its bases and remembered.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from http import HTTPStatus
from pathlib import Path
from types import NoneType
from typing import Any, Final

import msgspec

from tarry.app.addresses import ADDRESSES
from tarry.app.deferred import Deferred
from tarry.app.fileobjects import stream_of
from tarry.app.responses import Events, Html, Response, SendFile, Stream
from tarry.app.server_sent_events import event_stream
from tarry.app.stepping import Stepping
from tarry.app.websocket_endpoints import Upgrade
from tarry.message.cookies import SetCookie
from tarry.message.headers import Headers
from tarry.message.heads import Field, ResponseHead

Answer = tuple[ResponseHead, bytes]
"""The head and the whole body of an answer."""

Lasting = Stream | SendFile | Upgrade
"""What goes on when a handler has returned."""

CONTENT_TYPE: Final = b"content-type"
TEXT: Final = ResponseHead(200, [(CONTENT_TYPE, b"text/plain; charset=utf-8")])
HTML: Final = ResponseHead(200, [(CONTENT_TYPE, b"text/html; charset=utf-8")])
JSON: Final = ResponseHead(200, [(CONTENT_TYPE, b"application/json")])
BYTES: Final = ResponseHead(200, [(CONTENT_TYPE, b"application/octet-stream")])
NOTHING: Final = ResponseHead(204)


class ResultError(TypeError):
    """A handler returned something that cannot be sent: a bug of the handler."""


def _text(result: str) -> Answer:
    return TEXT, result.encode()


def _html(result: str) -> Answer:
    return HTML, result.encode()


_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
}
"""Types whose derived types stand in JSON as they do."""


def _encodable(value: Any) -> Any:
    """What stands in JSON for a value that msgspec does not know."""
    if hasattr(type(value), "model_dump"):  # a Pydantic model
        return value.model_dump(mode="json", by_alias=True)
    if type(value) in ADDRESSES:
        return str(value)
    for base, plain in _PLAIN.items():
        if isinstance(value, base):
            return plain(value)
    raise TypeError(f"{type(value).__qualname__} has no form in it")


to_json: Final = msgspec.json.Encoder(enc_hook=_encodable).encode
"""A result → JSON.  Beside what msgspec encodes it knows Pydantic models and IP addresses.

NaN and the infinities are null, as in JavaScript, since JSON has none (RFC
8259 section 6); bytes within are base64.  Raises `TypeError`, `ValueError` or
`RecursionError` for what has no form in JSON.
"""

_canonical: Final = msgspec.json.Encoder(enc_hook=_encodable, order="deterministic").encode


def to_canonical_json(value: Any) -> bytes:
    """As `to_json`, the same bytes for equal values: names and sets are in order."""
    try:
        return _canonical(value)
    except TypeError:  # names that are no text cannot be put in order before they are
        return _canonical(msgspec.json.decode(to_json(value)))


def _json(result: object) -> Answer:
    try:
        return JSON, to_json(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(f"a handler returned what is no JSON: {error}") from error


def _bytes(result: bytes | bytearray | memoryview) -> Answer:
    return BYTES, bytes(result)


def _nothing(result: None) -> Answer:
    return NOTHING, b""


def _response(response: Response) -> "Answer | Lasting":
    if response.body is None:
        # No body is 204 by default, and no body at all for a status that was asked for.
        status = 204 if response.status == 200 else response.status
        return ResponseHead(status, _fields(response)), b""
    return amend(answer_for_body(response.body), response)


def amend(answer: "Answer | Lasting", response: Response) -> "Answer | Lasting":
    """The answer with the status (if it is not 200), headers and cookies of a response."""
    if isinstance(answer, Deferred):
        raise ResultError("what comes later is returned by itself, not in a tuple or a Response")
    if not isinstance(answer, tuple):
        cookies = [("set-cookie", cookie.encode().decode("ascii")) for cookie in response.cookies]
        return answer.amended(response.status, [*response.headers.items(), *cookies])
    head, body = answer
    status = head.status if response.status == 200 else response.status
    return ResponseHead(status, _merged(head.fields, _fields(response))), body


def _fields(response: Response) -> list[Field]:
    cookies = ((b"set-cookie", cookie.encode()) for cookie in response.cookies)
    return [*response.headers.to_fields(), *cookies]


def _merged(defaults: tuple[Field, ...], given: list[Field]) -> list[Field]:
    names = {name.lower() for name, _ in given}
    return [field for field in defaults if field[0] not in names] + given


def _tuple(parts: tuple[Any, ...]) -> "Answer | Lasting":
    return _response(_from_tuple(parts, 200))


def _cookie(cookie: SetCookie) -> "Answer | Lasting":
    return _tuple((cookie,))


def _from_tuple(parts: tuple[Any, ...], default_status: int) -> Response:
    """Order-free: a status, headers, cookies, and at most one body."""
    response = Response(status=default_status)
    bodies = []
    status_given = False
    for part in parts:
        if type(part) in (int, HTTPStatus) and 200 <= part <= 599 and not status_given:
            response.status, status_given = part, True
        elif isinstance(part, Headers):
            for name, value in part.items():
                response.headers.add(name, value)
        elif isinstance(part, SetCookie):
            response.cookies.append(part)
        else:
            bodies.append(part)
    if len(bodies) > 1:
        raise ResultError(f"a handler returned a tuple with {len(bodies)} bodies; one is possible")
    if bodies and isinstance(bodies[0], Response):
        raise ResultError("a handler returned a tuple with a Response; set its fields instead")
    response.body = bodies[0] if bodies else None
    return response


def _stream(stream: Stream) -> Stream:
    return stream


def _upgrade(upgrade: Upgrade) -> Any:
    return upgrade


def _deferred(result: Deferred) -> Any:
    return result


def _generator(generator: Generator[Any, Any, Any] | AsyncGenerator[Any, Any]) -> Any:
    return Stepping(generator)


def _path(path: Path) -> SendFile:
    return SendFile(path)


def _send_file(file: SendFile) -> SendFile:
    return file


def _file_object(result: Any) -> Answer | Lasting:
    # A wrapper such as that of tempfile has its methods from what it wraps.
    return stream_of(result) if callable(getattr(result, "read", None)) else _json(result)


_BY_BASE: Final[dict[type, Callable[[Any], Answer | Lasting]]] = {
    str: _text,
    Html: _html,
    dict: _json,
    list: _json,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    NoneType: _nothing,
    tuple: _tuple,
    SetCookie: _cookie,
    Response: _response,
    Stream: _stream,
    Events: event_stream,
    Path: _path,
    SendFile: _send_file,
    Upgrade: _upgrade,
    Deferred: _deferred,
    Generator: _generator,
    AsyncGenerator: _generator,
}
"""One row for each kind of result; of other types, what can be read is a file, the rest JSON."""

CONVERTERS: Final = dict(_BY_BASE)
"""As above, with all types that have been met."""


def add_converter(kind: type, convert: Callable[[Any], "Answer | Lasting"]) -> None:
    """Have results of a type, and of those derived from it, answered in another way."""
    _BY_BASE[kind] = convert
    CONVERTERS[kind] = convert


def converter_for(kind: type) -> Callable[[Any], Answer | Lasting]:
    """The function that answers with results of a type; the next look-up finds it at once."""
    for base in kind.__mro__:
        if base in _BY_BASE:
            convert = _BY_BASE[base]
            break
    else:
        generators = [base for base in (Generator, AsyncGenerator) if issubclass(kind, base)]
        convert = _generator if generators else _file_object if _may_be_file(kind) else _json
    CONVERTERS[kind] = convert
    return convert


_RECORDS: Final = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__")
"""What types have that msgspec encodes, whatever else they can do."""


def _may_be_file(kind: type) -> bool:
    if any(hasattr(kind, mark) for mark in _RECORDS):
        return False
    return callable(getattr(kind, "read", None)) or hasattr(kind, "__getattr__")


def answer_for(result: Any) -> Answer | Lasting:
    """The answer with which a result is sent.

    Raises:
        ResultError: the result cannot be sent.
        InvalidField: a header or cookie that would break the message.
    """
    kind = type(result)
    convert = CONVERTERS.get(kind) or converter_for(kind)
    return convert(result)


def answer_for_body(body: Any) -> Answer | Lasting:
    """As `answer_for`, for the body of an answer: with a generator it begins at once."""
    answer: Any = answer_for(body)
    if isinstance(answer, Stepping):
        return Stream(answer.generator)
    return answer  # type: ignore[no-any-return]  # because deferred results are refused elsewhere


def amended(result: Any, status: int, headers: Iterable[Field]) -> Answer | Lasting:
    """The answer for what an error handler returned, under the status of the error.

    Another status is taken from a tuple that names it, or from a `Response`
    or `Stream` that has another than 200.  Headers that it does not have come
    from the error.

    Raises:
        ResultError: the result cannot be sent.
        InvalidField: a header or cookie that would break the message.
    """
    if isinstance(result, tuple):
        response = _from_tuple(result, status)
    elif isinstance(result, Response):
        response = result
        response.status = status if result.status == 200 else result.status
    else:
        response = Response(result, status)
        if isinstance(result, Stream | SendFile) and result.status != 200:
            response.status = result.status
    for name, value in headers:
        response.headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return _response(response)


def lasts(result: object) -> bool:
    """Whether the answer to a result goes on when the handler has returned."""
    if isinstance(result, tuple):
        return any(lasts(part) for part in result)
    if isinstance(result, Response):
        return lasts(result.body)
    return isinstance(result, Stream | Events | Generator | AsyncGenerator)


def as_html(result: Any) -> Any:
    """A text result of a handler that is annotated with `-> Html`."""
    return Html(result) if type(result) is str else result
