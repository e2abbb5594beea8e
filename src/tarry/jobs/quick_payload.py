"""The arguments of a job from the payload of one of quick_server's clients.

A payload is JSON, so its members have types, which texts of a query have not.
What else a job takes comes from the request as always: path parameters, which
win over members of the same name, headers, and what binders make.
"""

import functools
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tarry.app.annotations import alternatives, union_members
from tarry.app.binding import Known, compile_binding
from tarry.app.bodies import is_body_type
from tarry.app.dependencies import call_with_async
from tarry.app.errors import BadParameters, ParameterFault
from tarry.app.faults import ConversionError, Faults
from tarry.app.json_texts import JsonReader, json_reader
from tarry.app.params import MISSING, Argument, read_arguments
from tarry.app.patterns import Pattern
from tarry.app.request import Request
from tarry.app.uploads import Upload

_OF_CLIENTS: Final = {"query", "form", "body"}
"""Places whose values a client writes as it calls the job, so that they are in its payload."""

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Member(NamedTuple):
    """An argument, what the payload calls it, and its default, `MISSING` if it is required."""

    argument: str
    name: str
    read: JsonReader
    default: Any


class PayloadBinding:
    """How the arguments of a job at one path come from a payload and its request.

    The only argument that a client writes is the payload itself if it is a
    record, a dict or marked as the body; otherwise they are its members by name.

    Raises:
        SignatureError: what the request is to give cannot be.
        TypeError, NameError: a type that does not come from JSON.
    """

    def __init__(self, function: Callable[..., Any], known: Known, pattern: Pattern) -> None:
        taken = read_arguments(function).arguments
        written = [each for each in taken if _is_written(each, known, pattern.names)]
        self._members = tuple(map(_member, written))
        self._is_whole = len(written) == 1 and _is_whole(written[0])
        self._rest = compile_binding(
            _without(function, {each.name for each in written}),
            pattern.names,
            known,
            pattern.types,
            optional_names=set(pattern.names) - set(pattern.required_names),
        )

    async def call(
        self,
        function: Callable[..., Awaitable[Any]],
        request: Request,
        path_values: tuple[str, ...],
        payload: bytes,
    ) -> Any:
        """What `function` returns for the arguments.

        Raises:
            BadParameters: naming all that is missing or wrong.
            And what binders raise, and the function.
        """
        faults: list[ParameterFault] = []
        arguments: dict[str, Any] = {}
        try:
            arguments = self._rest.arguments(request.exchange, path_values, None)
            prepared = self._rest.prepared(request.exchange, path_values, None)
        except BadParameters as error:
            faults += error.faults
        written = self._read(payload, faults)
        if faults:
            raise BadParameters(faults)
        return await call_with_async(
            prepared,
            self._rest,
            lambda found: function(**found, **written),
            request.keep,
            request.lanes.in_thread,
            arguments,
        )

    def _read(self, payload: bytes, faults: list[ParameterFault]) -> dict[str, Any]:
        """The arguments that a client writes; what is wrong with them goes into `faults`."""
        if self._is_whole:
            members: Mapping[str, Any] = {self._members[0].name: payload}
        else:
            try:
                members = _members(payload)
            except msgspec.ValidationError:
                faults.append(_fault("payload", "is no object"))
                return {}
        found: dict[str, Any] = {}
        for argument, name, read, default in self._members:
            try:
                if name in members:
                    found[argument] = read(bytes(members[name]))
                elif default is MISSING:
                    raise ConversionError("is missing")
                else:
                    found[argument] = default
            except Faults as error:
                within = "" if self._is_whole else f"{name}."
                faults += [
                    _fault(within + part if part else name, reason) for part, reason in error.faults
                ]
            except ConversionError as error:
                faults.append(_fault(name, str(error)))
        return found


def _fault(name: str, reason: str) -> ParameterFault:
    return {"name": name, "in": "payload", "reason": reason}


def _is_written(argument: Argument, known: Known, path_names: tuple[str, ...]) -> bool:
    """Whether a client writes this argument, as it comes from no other part of the request."""
    if argument.marker is not None:
        return argument.marker.place in _OF_CLIENTS
    kinds = alternatives(argument.annotation)
    is_made = any(isinstance(each, Hashable) and each in known for each in kinds)
    is_file = any(each is Upload or each == list[Upload] for each in kinds)
    return argument.name not in path_names and not is_made and not is_file


def _is_whole(argument: Argument) -> bool:
    if argument.marker is not None and argument.marker.place == "body":
        return True
    kinds = [typing.get_origin(each) or each for each in alternatives(argument.annotation)]
    return dict in kinds or is_body_type(argument.annotation)


def _member(argument: Argument) -> _Member:
    annotation, default = argument.annotation, argument.default
    if default is MISSING and types.NoneType in union_members(annotation):
        default = None  # as in a query
    read = (
        bytes if annotation is bytes else json_reader(Any if annotation is MISSING else annotation)
    )
    name = None if argument.marker is None else argument.marker.name
    return _Member(argument.name, name or argument.name, read, default)


def _without(function: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    """The function for whoever reads its signature, without some of its arguments."""

    @functools.wraps(function)
    def rest(**arguments: Any) -> Any:
        return function(**arguments)

    signature = inspect.signature(function)
    kept = [each for name, each in signature.parameters.items() if name not in names]
    rest.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]  # because only `inspect` looks at it
    return rest
