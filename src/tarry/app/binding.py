"""From a request to the arguments of a function.

`compile_binding` reads a signature once and decides where each argument comes
from: a binder of its type, its marker, its being a body type, or its name,
which is looked for in the path and then in the query.  What is left to do for
each request are short loops over tuples.

They stop at the first bad value.  Only then is everything looked at again, to
name every fault in one answer; good requests pay nothing for that.

A new place with parameters by name is a row in `_PLACES`.
"""

import copy
import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec

from tarry.app.convert import (
    ConversionError,
    Converter,
    NoConversion,
    ValuesConverter,
    converter_for,
    reason_of,
    union_members,
    values_converter_for,
)
from tarry.app.dataclass_defaults import fill_defaults, holds_dataclasses
from tarry.app.errors import BadParameters, HttpError, ParameterFault
from tarry.app.params import MISSING, Argument, Cookies, Signature, read_arguments
from tarry.exchange import Exchange
from tarry.message import mediatypes, target
from tarry.message.cookies import CookiesTooLarge, parse_cookies
from tarry.message.headers import Headers
from tarry.message.heads import check_field

# ── binders ───────────────────────────────────────────────────────────────────────────────


class BinderContext:
    """What a binder may want to know besides the request."""

    __slots__ = ("_path_names", "_path_values", "argument")

    def __init__(
        self, argument: Argument, path_names: tuple[str, ...], path_values: tuple[str, ...]
    ) -> None:
        self.argument = argument
        self._path_names = path_names
        self._path_values = path_values

    @property
    def path(self) -> dict[str, str]:
        """The values of the path parameters by name, as text."""
        return dict(zip(self._path_names, self._path_values, strict=True))


Binder = Callable[[Exchange, BinderContext], Any]
"""Makes an argument from a request; raises `HttpError` if the request does not have it.

It is asked after all other arguments were found to be good.  That of an
`async def` has to be awaited by whoever calls the function: `Binding.awaited`.
"""


def standard_binders() -> dict[Any, Binder]:
    """The binders for `Headers` and `Cookies`."""
    return {
        Headers: lambda exchange, _: Headers.from_fields(exchange.head.headers),
        Cookies: lambda exchange, _: Cookies(_cookies(exchange)),
    }


# ── parameters by name ────────────────────────────────────────────────────────────────────


class _Values(Protocol):
    """Values by name in one place of one request."""

    def get(self, key: Any, /) -> list[str] | None: ...


class _HeaderValues:
    __slots__ = ("_fields",)

    def __init__(self, exchange: Exchange) -> None:
        self._fields = exchange.head.headers

    def get(self, key: bytes, /) -> list[str] | None:
        return [value.decode("latin-1") for value in self._fields.getall(key)] or None


_NO_VALUES: Final[dict[str, list[str]]] = {}


def _query_values(exchange: Exchange) -> dict[str, list[str]]:
    raw = exchange.head.query
    if not raw:
        return _NO_VALUES
    try:
        return target.parse_query(raw)
    except target.InvalidTarget as error:
        raise HttpError(400, f"bad query: {error}") from error


def _cookie_values(exchange: Exchange) -> dict[str, list[str]]:
    return {name: [value] for name, value in _cookies(exchange).items()}


def _cookies(exchange: Exchange) -> dict[str, str]:
    try:
        return parse_cookies(exchange.head.headers.getall(b"cookie"))
    except CookiesTooLarge as error:
        raise HttpError(431, str(error)) from error


def _header_key(name: str) -> bytes:
    key = name.lower().encode("ascii")
    check_field(key, b"")
    return key


class _Place(NamedTuple):
    """How to open a place for one request, and what its names are looked up by."""

    open: Callable[[Exchange], _Values]
    default_name: Callable[[str], str]
    key: Callable[[str], Any]


_PLACES: Final[Mapping[str, _Place]] = {
    "query": _Place(_query_values, str, str),
    "header": _Place(_HeaderValues, lambda name: name.replace("_", "-"), _header_key),
    "cookie": _Place(_cookie_values, str, str),
}


class _Field(NamedTuple):
    argument: str
    name: str
    key: Any
    convert: ValuesConverter
    required: bool


class _PathField(NamedTuple):
    argument: str
    name: str
    position: int
    convert: Converter


def _fill(arguments: dict[str, Any], fields: tuple[_Field, ...], values: _Values) -> None:
    for argument, _, key, convert, required in fields:
        found = values.get(key)
        if found is not None:
            arguments[argument] = convert(found)
        elif required:
            raise ConversionError("is missing")


# ── the body ──────────────────────────────────────────────────────────────────────────────


class _Body(Protocol):
    argument: str

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None: ...


class _RawBody:
    """The bytes as they came; without a body a default if there is one, or none."""

    __slots__ = ("argument",)

    def __init__(self, argument: str) -> None:
        self.argument = argument

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None:
        if body is not None:
            arguments[self.argument] = body
        else:
            arguments.setdefault(self.argument, b"")


class _JsonBody:
    """The body decoded and checked against a type."""

    __slots__ = ("_decode", "_lacks_defaults", "_required", "argument")

    def __init__(self, argument: str, annotation: Any, required: bool) -> None:
        self.argument = argument
        self._decode = msgspec.json.Decoder(annotation).decode
        self._lacks_defaults = holds_dataclasses(annotation)
        self._required = required

    def fill(self, arguments: dict[str, Any], exchange: Exchange, body: bytes | None) -> None:
        if body:
            _check_json(exchange)
            arguments[self.argument] = self._decoded(body)
        elif self._required:
            raise ConversionError("is missing")

    def _decoded(self, body: bytes) -> Any:
        try:
            # msgspec skips members that the type does not have, and their bytes with them.
            if not body.isascii():
                body.decode()
            value = self._decode(body)
        except msgspec.ValidationError as error:
            raise ConversionError(reason_of(error)) from None
        except msgspec.DecodeError as error:
            raise ConversionError(f"is malformed JSON{_position(error)}") from None
        except UnicodeDecodeError as error:
            reason = f"is malformed JSON at byte {error.start}: not UTF-8"
            raise ConversionError(reason) from None
        except RecursionError:
            raise ConversionError("is nested too deeply") from None
        if self._lacks_defaults:
            fill_defaults(value)
        return value


def _check_json(exchange: Exchange) -> None:
    # Else a form on a foreign page could send JSON as text/plain without a preflight request.
    content_type = exchange.head.headers.get(b"content-type")
    if content_type == b"application/json":  # so say most; it saves them a closer look
        return
    if content_type is None or not mediatypes.is_json(content_type.decode("latin-1")):
        # RFC 9110 section 15.5.16: Accept says what would have been taken.
        raise HttpError(
            415,
            "the body has to be application/json",
            headers=[(b"accept", b"application/json")],
        )


_POSITION: Final = re.compile(r"\(byte ([0-9]{1,19})\)\Z")


def _position(error: msgspec.DecodeError) -> str:
    match = _POSITION.search(str(error))
    return f" at byte {match[1]}" if match else ""


def _is_body_type(annotation: Any) -> bool:
    """Whether a type is a record: Struct, dataclass, TypedDict or attrs, or a union with one."""
    if typing.get_origin(annotation) is Annotated:
        return _is_body_type(typing.get_args(annotation)[0])
    return any(_is_record(typing.get_origin(each) or each) for each in union_members(annotation))


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__attrs_attrs__")
    )


# ── defaults ──────────────────────────────────────────────────────────────────────────────


def _maker(default: Any) -> Callable[[], Any] | None:
    """How to copy a default that a function could change; `None` if it can be shared."""
    if isinstance(default, list | dict | set | bytearray):
        return functools.partial(copy.deepcopy, default) if default else type(default)
    return None


def _type_of(default: Any) -> Any:
    """The type that the default of an argument without annotation stands for."""
    if default is MISSING or default is None:
        return str
    members = {type(each) for each in default} if isinstance(default, list | tuple | set) else ()
    member = next(iter(members)) if len(members) == 1 else str
    if isinstance(default, tuple):
        return tuple[member, ...]  # type: ignore[valid-type]  # because it is known at run time
    if isinstance(default, list | set):
        return types.GenericAlias(type(default), (member,))
    return type(default)


# ── the binding ───────────────────────────────────────────────────────────────────────────


class Binding:
    """How the arguments of one function come from a request.

    `needs_body` says that the whole body has to be read before.  `empty` says
    that there are no arguments at all, so that nothing needs to be called.
    `awaited` names the arguments whose values are to be awaited, since their
    binders are `async def`.
    """

    __slots__ = ("_binders", "_body", "_defaults", "_fields", "_makers", "_path", "_path_names",
                 "awaited", "empty", "needs_body")  # fmt: skip

    def __init__(self, plan: "_Plan") -> None:
        self._path_names = plan.path_names
        self._defaults = plan.defaults
        self._makers = tuple(plan.makers.items())
        self._path = tuple(plan.path)
        self._fields = tuple(
            (place, _PLACES[place].open, tuple(fields)) for place, fields in plan.fields.items()
        )
        self._body = plan.body
        self._binders = tuple(plan.binders)
        self.needs_body = plan.body is not None
        self.empty = not plan.signature.arguments and not plan.path
        self.awaited = tuple(
            argument.name
            for argument, binder in plan.binders
            if inspect.iscoroutinefunction(binder)
        )

    def arguments(
        self, exchange: Exchange, path_values: tuple[str, ...], body: bytes | None
    ) -> dict[str, Any]:
        """The arguments for one call of the function.

        `path_values` are in the order of the names in the pattern; `body` is
        the whole body if it was read.

        Raises:
            BadParameters: naming every parameter that is missing or wrong.
            HttpError: 415 for a body that does not say it is JSON, 400 for a
                query that does not decode, 431 for too many cookies, and what
                a binder raises.
        """
        arguments = self._defaults.copy()
        for name, make in self._makers:
            arguments[name] = make()
        try:
            for name, _, index, convert in self._path:
                arguments[name] = convert(path_values[index])
            for _, open_place, fields in self._fields:
                _fill(arguments, fields, open_place(exchange))
            if self._body is not None:
                self._body.fill(arguments, exchange, body)
        except ConversionError:
            raise BadParameters(list(self._faults(exchange, path_values, body))) from None
        for argument, binder in self._binders:
            context = BinderContext(argument, self._path_names, path_values)
            arguments[argument.name] = binder(exchange, context)
        return arguments

    def _faults(
        self, exchange: Exchange, path_values: tuple[str, ...], body: bytes | None
    ) -> Iterator[ParameterFault]:
        for path_field in self._path:
            attempt = functools.partial(path_field.convert, path_values[path_field.position])
            yield from _fault("path", path_field.name, attempt)
        for place, open_place, fields in self._fields:
            values = open_place(exchange)
            for field in fields:
                yield from _fault(place, field.name, functools.partial(_fill, {}, (field,), values))
        if self._body is not None:
            attempt = functools.partial(self._body.fill, {}, exchange, body)
            yield from _fault("body", self._body.argument, attempt)


def _fault(place: str, name: str, attempt: Callable[[], object]) -> Iterator[ParameterFault]:
    try:
        attempt()
    except ConversionError as error:
        yield {"name": name, "in": place, "reason": str(error)}


def compile_binding(
    function: Callable[..., Any],
    path_names: tuple[str, ...],
    binders: Mapping[Any, Binder],
    path_types: Mapping[str, Any] | None = None,
) -> Binding:
    """Decide where each argument of a function comes from.

    `path_types` has the types of path parameters whose argument has none; the
    others are text.  Each name of the pattern needs an argument, unless the
    function has `**kwargs`, which gets the others, or takes something from a
    binder, which can read the path by itself.

    Call it while the decorated function is being defined: then annotations may
    be strings with names that are local there.

    Raises:
        SignatureError: naming function, file, line and argument, and the reason.
    """
    plan = _Plan(read_arguments(function), path_names, path_types or {}, binders)
    for argument in plan.signature.arguments:
        plan.add(argument)
    plan.add_rest_of_path()
    return Binding(plan)


class _Plan:
    """A binding in the making."""

    def __init__(
        self,
        signature: Signature,
        path_names: tuple[str, ...],
        path_types: Mapping[str, Any],
        known_binders: Mapping[Any, Binder],
    ) -> None:
        self.signature = signature
        self.path_names = path_names
        self.defaults: dict[str, Any] = {}
        self.makers: dict[str, Callable[[], Any]] = {}
        self.path: list[_PathField] = []
        self.fields: dict[str, list[_Field]] = {}
        self.body: _Body | None = None
        self.binders: list[tuple[Argument, Binder]] = []
        self._path_types = path_types
        self._known_binders = known_binders

    def add(self, argument: Argument) -> None:
        binder = self._binder(argument.annotation)
        if binder is not None:
            self.binders.append((argument, binder))
            return
        place = self._place(argument)
        argument = self._completed(argument, place)
        add = {"path": self._add_path, "body": self._add_body}.get(place, self._add_field)
        try:
            add(argument, place)
        except NoConversion as error:
            raise self.signature.error(
                argument.name, f"{error}; mark it with Body(), or register a binder for the type"
            ) from error
        if argument.default is not MISSING:
            self._add_default(argument)

    def _binder(self, annotation: Any) -> Binder | None:
        if typing.get_origin(annotation) is Annotated:
            return self._binder(typing.get_args(annotation)[0])
        members = [each for each in union_members(annotation) if each is not types.NoneType]
        if len(members) != 1:
            return None
        for key in (members[0], typing.get_origin(members[0])):
            if isinstance(key, Hashable) and key in self._known_binders:
                return self._known_binders[key]
        return None

    def _place(self, argument: Argument) -> str:
        if argument.marker is not None:
            return argument.marker.place
        if argument.name in self.path_names:
            return "path"
        return "body" if _is_body_type(argument.annotation) else "query"

    def _completed(self, argument: Argument, place: str) -> Argument:
        """The argument with the type and the default that it does not write down."""
        annotation, default = argument.annotation, argument.default
        if annotation is MISSING:
            annotation = Any if place == "body" else _type_of(default)
            if place == "path":
                annotation = self._path_types.get(self._name(argument), annotation)
        # What may be None is None if it is not there.
        if default is MISSING and types.NoneType in union_members(annotation):
            default = None
        return dataclasses.replace(argument, annotation=annotation, default=default)

    def _name(self, argument: Argument) -> str:
        given = argument.marker.name if argument.marker is not None else None
        return argument.name if given is None else given

    def _add_path(self, argument: Argument, place: str) -> None:
        name = self._name(argument)
        if name not in self.path_names:
            there = ", ".join(self.path_names) or "none"
            reason = f"is a path parameter {name!r}, but the pattern has {there}"
            raise self.signature.error(argument.name, reason)
        convert = converter_for(argument.annotation)
        self.path.append(_PathField(argument.name, name, self.path_names.index(name), convert))

    def _add_field(self, argument: Argument, place: str) -> None:
        kind = _PLACES[place]
        named = argument.marker is not None and argument.marker.name is not None
        name = self._name(argument) if named else kind.default_name(argument.name)
        try:
            key = kind.key(name)
        except ValueError as error:
            reason = f"has {name!r}, which is no name of a {place}"
            raise self.signature.error(argument.name, reason) from error
        convert = values_converter_for(argument.annotation)
        required = argument.default is MISSING
        self.fields.setdefault(place, []).append(
            _Field(argument.name, name, key, convert, required)
        )

    def _add_body(self, argument: Argument, place: str) -> None:
        if self.body is not None:
            reason = f"is a second body beside {self.body.argument!r}; a request has one"
            raise self.signature.error(argument.name, reason)
        if argument.annotation is bytes:
            self.body = _RawBody(argument.name)
            return
        try:
            required = argument.default is MISSING
            self.body = _JsonBody(argument.name, argument.annotation, required)
        except (TypeError, NameError) as error:
            raise self.signature.error(argument.name, f"cannot be the body: {error}") from error

    def _add_default(self, argument: Argument) -> None:
        maker = _maker(argument.default)
        if maker is None:
            self.defaults[argument.name] = argument.default
        else:
            self.makers[argument.name] = maker

    def add_rest_of_path(self) -> None:
        """Give path parameters without an argument to `**kwargs`.

        Raises:
            SignatureError: nothing takes such a parameter.
        """
        taken = {field.name for field in self.path}
        for index, name in enumerate(self.path_names):
            if name in taken:
                continue
            if self.signature.takes_rest:
                convert = converter_for(self._path_types.get(name, str))
                self.path.append(_PathField(name, name, index, convert))
            elif not self.binders:
                raise self.signature.error(
                    name, "is in the pattern, but the function does not take it"
                )
