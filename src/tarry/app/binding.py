"""From a request to the arguments of a function.

`compile_binding` reads a signature once and decides where each argument comes
from: what knows its type, its marker, its being a body type, or its name,
which is looked for in the path, then in the query, then in a form.  What is
left to do for each request are short loops over tuples.

They stop at the first bad value.  Only then is everything looked at again, to
name every fault in one answer; good requests pay nothing for that.

Places are in `places`, bodies in `bodies`, binders in `binders`; values that
are made by functions of the author in `dependencies`.
"""

import copy
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from typing import Annotated, Any, Final

from tarry.app.annotations import union_members
from tarry.app.binders import Binder, BinderContext
from tarry.app.bodies import BodyReader, JsonBody, RawBody, is_body_type
from tarry.app.convert import NoConversion, path_converter_for, values_converter_for
from tarry.app.dependencies import Dependency, Prepared, Provider
from tarry.app.errors import BadParameters, ParameterFault
from tarry.app.faults import ConversionError, Faults
from tarry.app.models import record_reader
from tarry.app.params import MISSING, Argument, Signature, read_arguments
from tarry.app.places import PLACES, Field, PathField, Record, fill
from tarry.app.request import Request
from tarry.app.uploads import Upload
from tarry.exchange import Exchange

Known = Mapping[Any, Binder | Provider]
"""What makes the arguments of a type: ours at once, an author's as a dependency."""


class Binding:
    """How the arguments of one function come from a request.

    `needs_body` says that the whole body has to be read before, `takes_form`
    that a form has to be, if there is one, and `needs_form` that there must
    be one.  `empty` says that there are no arguments at all, so that nothing
    needs to be called.  `dependencies` are all that the function depends on,
    in the order in which they can be made.
    """

    __slots__ = ("_binders", "_body", "_defaults", "_fields", "_injected", "_makers", "_path",
                 "_path_names", "_records", "dependencies", "empty", "needs_body", "needs_form",
                 "takes_form")  # fmt: skip

    def __init__(self, plan: "_Plan") -> None:
        self._path_names = plan.path_names
        self._defaults = plan.defaults
        self._makers = tuple(plan.makers.items())
        self._path = tuple(plan.path)
        self._fields = tuple(
            (place, PLACES[place].open, tuple(fields)) for place, fields in plan.fields.items()
        )
        self._records = tuple((place, PLACES[place].open, record) for place, record in plan.records)
        self._body = plan.body
        self._binders = tuple(plan.binders)
        self._injected = tuple(plan.injected.items())
        self.dependencies = _in_order(plan.dependencies)
        parts = [self, *(each.binding for each in self.dependencies)]
        places = {place for part in parts for place in part._places()}
        self.needs_body = any(part._body is not None for part in parts)
        self.takes_form = any(PLACES[place].needs_form for place in places)
        self.needs_form = bool(places & {"form", "file"})
        self.empty = not plan.signature.arguments and not plan.path

    def _places(self) -> Iterator[str]:
        yield from (place for place, _, _ in self._fields)
        yield from (place for place, _, _ in self._records)

    def arguments(
        self, exchange: Exchange, path_values: tuple[str, ...], body: bytes | None
    ) -> dict[str, Any]:
        """The arguments for one call of the function, but for those that it depends on.

        `path_values` are in the order of the names in the pattern; `body` is
        the whole body if it was read.

        Raises:
            BadParameters: naming every parameter that is missing or wrong,
                those of dependencies too.
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
            for _, open_place, record in self._records:
                record.fill(arguments, open_place(exchange))
            if self._body is not None:
                self._body.fill(arguments, exchange, body)
        except ConversionError:
            raise BadParameters(self._all_faults(exchange, path_values, body)) from None
        for argument, binder in self._binders:
            context = BinderContext(argument, self._path_names, path_values)
            arguments[argument.name] = binder(exchange, context)
        return arguments

    def prepared(
        self, exchange: Exchange, path_values: tuple[str, ...], body: bytes | None
    ) -> list[Prepared]:
        """The dependencies, each with its own arguments; raises what `arguments` does."""
        try:
            return [
                (each, each.binding.arguments(exchange, path_values, body))
                for each in self.dependencies
            ]
        except BadParameters:
            raise BadParameters(self._all_faults(exchange, path_values, body)) from None

    def inject(self, arguments: dict[str, Any], values: dict[Any, Any]) -> None:
        """Add what other functions have made."""
        for name, key in self._injected:
            arguments[name] = values[key]

    def _all_faults(
        self, exchange: Exchange, path_values: tuple[str, ...], body: bytes | None
    ) -> list[ParameterFault]:
        bindings = [self, *(each.binding for each in self.dependencies)]
        found = (fault for each in bindings for fault in each._faults(exchange, path_values, body))
        return list({(fault["in"], fault["name"]): fault for fault in found}.values())

    def _faults(
        self, exchange: Exchange, path_values: tuple[str, ...], body: bytes | None
    ) -> Iterator[ParameterFault]:
        for path_field in self._path:
            attempt = functools.partial(path_field.convert, path_values[path_field.position])
            yield from _fault("path", path_field.name, attempt)
        for place, open_place, fields in self._fields:
            values = open_place(exchange)
            for field in fields:
                attempt = functools.partial(field.fill, {}, values)
                yield from _fault(PLACES[place].label, field.name, attempt)
        for place, open_place, record in self._records:
            attempt = functools.partial(record.fill, {}, open_place(exchange))
            yield from _fault(PLACES[place].label, record.name, attempt)
        if self._body is not None:
            attempt = functools.partial(self._body.fill, {}, exchange, body)
            yield from _fault("body", self._body.argument, attempt)


def _fault(place: str, name: str, attempt: Callable[[], object]) -> Iterator[ParameterFault]:
    try:
        attempt()
    except Faults as faults:
        for part, reason in faults.faults:
            yield {"name": part or name, "in": place, "reason": reason}
    except ConversionError as error:
        yield {"name": name, "in": place, "reason": str(error)}


def _in_order(direct: list[Dependency]) -> tuple[Dependency, ...]:
    """Dependencies of dependencies come first, and each only once."""
    found: dict[Any, Dependency] = {}
    for dependency in direct:
        for each in (*dependency.binding.dependencies, dependency):
            found.setdefault(each.key, each)
    return tuple(found.values())


def compile_binding(
    function: Callable[..., Any],
    path_names: tuple[str, ...],
    known: Known,
    path_types: Mapping[str, Any] | None = None,
    *,
    optional_names: Collection[str] = (),
    takes_form: bool = False,
) -> Binding:
    """Decide where each argument of a function comes from.

    `path_types` has the types of path parameters whose argument has none; the
    others are text.  Each name of the pattern needs an argument, but for the
    `optional_names`, unless the function has `**kwargs`, which gets the others,
    or takes something from a binder, which can read the path by itself.  With
    `takes_form` a name that is not in the query is looked for in a form.

    Call it while the decorated function is being defined: then annotations may
    be strings with names that are local there.

    Raises:
        SignatureError: naming function, file, line and argument, and the reason.
    """
    route = _Route(path_names, path_types or {}, known, optional_names, takes_form)
    plan = _Plan(read_arguments(function), route)
    for argument in plan.signature.arguments:
        plan.add(argument)
    plan.add_rest_of_path()
    return Binding(plan)


class _Route(typing.NamedTuple):
    """What is the same for a handler and for all that it depends on."""

    path_names: tuple[str, ...]
    path_types: Mapping[str, Any]
    known: Known
    optional_names: Collection[str]
    takes_form: bool


class _Plan:
    """A binding in the making.

    `needed_for` are the arguments that lead from the handler to this function,
    if that is a provider.
    """

    def __init__(
        self, signature: Signature, route: _Route, needed_for: tuple[Argument, ...] = ()
    ) -> None:
        self.signature = signature
        self.path_names = route.path_names
        self.defaults: dict[str, Any] = {}
        self.makers: dict[str, Callable[[], Any]] = {}
        self.path: list[PathField] = []
        self.fields: dict[str, list[Field]] = {}
        self.records: list[tuple[str, Record]] = []
        self.body: BodyReader | None = None
        self.binders: list[tuple[Argument, Binder]] = []
        self.injected: dict[str, Any] = {}
        self.dependencies: list[Dependency] = []
        self.knows_its_argument = False
        self._route = route
        self._needed_for = needed_for

    def add(self, argument: Argument) -> None:
        if _is_bare_request(argument) and argument.name not in self.path_names:
            argument = dataclasses.replace(argument, annotation=Request)
        maker = self._maker_of_type(argument.annotation)
        if isinstance(maker, Provider):
            self._add_dependency(argument, maker)
            return
        if maker is not None:
            self._add_binder(argument, maker)
            return
        place = self._place(argument)
        argument = self._completed(argument, place)
        add = {"path": self._add_path, "body": self._add_body, "file": self._add_file}.get(
            place, self._add_field
        )
        try:
            add(argument, place)
        except NoConversion as error:
            raise self.signature.error(
                argument.name, f"{error}; mark it with Body(), or register a binder for the type"
            ) from error
        if argument.default is not MISSING:
            self._add_default(argument)

    # ---- by type -----------------------------------------------------------------------

    def _maker_of_type(self, annotation: Any) -> Binder | Provider | None:
        if typing.get_origin(annotation) is Annotated:
            return self._maker_of_type(typing.get_args(annotation)[0])
        if annotation is BinderContext and self._needed_for:
            return self._context
        members = [each for each in union_members(annotation) if each is not types.NoneType]
        if len(members) != 1:
            return None
        for key in (members[0], typing.get_origin(members[0])):
            if isinstance(key, Hashable) and key in self._route.known:
                return self._route.known[key]
        return None

    def _context(self, exchange: Exchange, context: BinderContext) -> BinderContext:
        """For a provider: the argument that its value will be, not its own."""
        return BinderContext(self._needed_for[-1], self.path_names, context.path_values)

    def _add_binder(self, argument: Argument, binder: Binder) -> None:
        self.knows_its_argument |= argument.annotation is BinderContext
        self.binders.append((argument, binder))

    def _add_dependency(self, argument: Argument, provider: Provider) -> None:
        if len(self._needed_for) > _MAX_DEPTH:
            chain = " → ".join(each.name for each in self._needed_for[:4])
            raise self.signature.error(argument.name, f"depends on itself: {chain} → …")
        plan = _Plan(read_arguments(provider.function), self._route, (*self._needed_for, argument))
        for each in plan.signature.arguments:
            plan.add(each)
        # One that looks at its argument makes another value for each.
        key = (provider, argument) if plan.knows_its_argument else provider
        self.dependencies.append(Dependency(key, provider, Binding(plan)))
        self.injected[argument.name] = key

    # ---- by marker, type or name ---------------------------------------------------------

    def _place(self, argument: Argument) -> str:
        if argument.marker is not None:
            return argument.marker.place
        if argument.name in self.path_names:
            return "path"
        if _is_upload(argument.annotation):
            return "file"
        if is_body_type(argument.annotation):
            return "body"
        return "query or form" if self._route.takes_form else "query"

    def _completed(self, argument: Argument, place: str) -> Argument:
        """The argument with the type and the default that it does not write down."""
        annotation, default = argument.annotation, argument.default
        if annotation is MISSING:
            annotation = Any if place == "body" else _type_of(default)
            if place == "file":
                annotation = Upload
            if place == "path":
                annotation = self._route.path_types.get(self._name(argument), annotation)
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
            if argument.default is not MISSING:
                return  # a function at several paths, of which this one lacks it
            there = ", ".join(self.path_names) or "none"
            reason = f"is a path parameter {name!r}, but the pattern has {there}"
            raise self.signature.error(argument.name, reason)
        convert = path_converter_for(argument.annotation)
        self.path.append(PathField(argument.name, name, self.path_names.index(name), convert))

    def _add_field(self, argument: Argument, place: str) -> None:
        if is_body_type(argument.annotation) and place != "header":
            # With a default it may be absent as a whole, as one that may be None.
            optional = argument.default is not MISSING
            annotation = argument.annotation | None if optional else argument.annotation
            read = record_reader(annotation).read
            self.records.append((place, Record(argument.name, argument.name, read)))
            return
        kind = PLACES[place]
        named = argument.marker is not None and argument.marker.name is not None
        name = self._name(argument) if named else kind.default_name(argument.name)
        try:
            key = kind.key(name)
        except ValueError as error:
            reason = f"has {name!r}, which is no name of a {place}"
            raise self.signature.error(argument.name, reason) from error
        self._put_field(place, argument, name, key, values_converter_for(argument.annotation))

    def _add_file(self, argument: Argument, place: str) -> None:
        if not _is_upload(argument.annotation):
            reason = "is a file, so its type is Upload or list[Upload], perhaps | None"
            raise self.signature.error(argument.name, reason)
        members = union_members(argument.annotation)
        several = any(typing.get_origin(each) is list for each in members)
        convert: Callable[[list[Any]], Any] = list if several else _first
        name = self._name(argument)
        self._put_field(place, argument, name, name, convert)

    def _put_field(
        self,
        place: str,
        argument: Argument,
        name: str,
        key: Any,
        convert: Callable[[list[Any]], Any],
    ) -> None:
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
        optional = self._route.optional_names
        for index, name in enumerate(self.path_names):
            if name in taken:
                continue
            if self.signature.takes_rest:
                convert = path_converter_for(self._route.path_types.get(name, str))
                self.path.append(PathField(name, name, index, convert))
            elif not self.binders and not self.dependencies and name not in optional:
                raise self.signature.error(
                    name, "is in the pattern, but the function does not take it"
                )


_MAX_DEPTH: Final = 20
"""Dependencies of dependencies of …; more is a circle."""


def _is_upload(annotation: Any) -> bool:
    """Whether a type is `Upload` or `list[Upload]`, or one of them or `None`."""
    return any(each is Upload or each == list[Upload] for each in union_members(annotation))


def _is_bare_request(argument: Argument) -> bool:
    """Whether an argument is only called `request`, as in filters and handlers of events."""
    return argument == Argument("request", MISSING, MISSING, None)


def _first(values: list[Any]) -> Any:
    return values[0]


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
