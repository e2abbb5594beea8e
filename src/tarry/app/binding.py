"""From a request to the arguments of a function.

`compile_binding` reads a signature once and decides where each argument comes
from: a binder of its type, its marker, its being a body type, or its name,
which is looked for in the path and then in the query.  What is left to do for
each request are short loops over tuples.

They stop at the first bad value.  Only then is everything looked at again, to
name every fault in one answer; good requests pay nothing for that.

Places are in `places`, bodies in `bodies`, binders in `binders`.
"""

import copy
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Annotated, Any

from tarry.app.binders import Binder, BinderContext
from tarry.app.bodies import BodyReader, JsonBody, RawBody, is_body_type
from tarry.app.convert import (
    ConversionError,
    NoConversion,
    converter_for,
    union_members,
    values_converter_for,
)
from tarry.app.errors import BadParameters, ParameterFault
from tarry.app.params import MISSING, Argument, Signature, read_arguments
from tarry.app.places import PLACES, Field, PathField, fill
from tarry.exchange import Exchange


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
            (place, PLACES[place].open, tuple(fields)) for place, fields in plan.fields.items()
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
                fill(arguments, fields, open_place(exchange))
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
                yield from _fault(place, field.name, functools.partial(fill, {}, (field,), values))
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
        self.path: list[PathField] = []
        self.fields: dict[str, list[Field]] = {}
        self.body: BodyReader | None = None
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
        return "body" if is_body_type(argument.annotation) else "query"

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
        self.path.append(PathField(argument.name, name, self.path_names.index(name), convert))

    def _add_field(self, argument: Argument, place: str) -> None:
        kind = PLACES[place]
        named = argument.marker is not None and argument.marker.name is not None
        name = self._name(argument) if named else kind.default_name(argument.name)
        try:
            key = kind.key(name)
        except ValueError as error:
            reason = f"has {name!r}, which is no name of a {place}"
            raise self.signature.error(argument.name, reason) from error
        convert = values_converter_for(argument.annotation)
        required = argument.default is MISSING
        self.fields.setdefault(place, []).append(Field(argument.name, name, key, convert, required))

    def _add_body(self, argument: Argument, place: str) -> None:
        if self.body is not None:
            reason = f"is a second body beside {self.body.argument!r}; a request has one"
            raise self.signature.error(argument.name, reason)
        if argument.annotation is bytes:
            self.body = RawBody(argument.name)
            return
        try:
            required = argument.default is MISSING
            self.body = JsonBody(argument.name, argument.annotation, required)
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
                self.path.append(PathField(name, name, index, convert))
            elif not self.binders:
                raise self.signature.error(
                    name, "is in the pattern, but the function does not take it"
                )


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
