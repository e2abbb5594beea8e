"""`JobFunction`: the function of a job as runners know it, and which functions can be one."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, get_args

import msgspec

from tarry.app.addresses import ADDRESSES
from tarry.app.annotations import types_within
from tarry.app.params import MISSING, Signature, describe_function, read_arguments
from tarry.app.pydantic_models import is_model
from tarry.app.route_options import RegistrationError
from tarry.app.uploads import Upload
from tarry.jobs import orders
from tarry.jobs.job import Job
from tarry.jobs.orders import Order
from tarry.waiting.values import value_type

_HOOKED = (*ADDRESSES, msgspec.UnsetType, UnionType, Annotated)
"""Types that msgspec takes for unknown ones by themselves."""


class JobFunction(NamedTuple):
    """The function of a job, and what its arguments are.

    `name` is `module:qualname`, by which another process finds it.
    `annotations` has the types of the arguments that an order has, `Any` where
    there is none; `job_argument` names the one that gets the `Job`.
    """

    name: str
    function: Callable[..., Any]
    annotations: Mapping[str, Any]
    job_argument: str | None

    @property
    def is_async(self) -> bool:
        """Whether it runs on the loop."""
        return inspect.iscoroutinefunction(self.function)

    def check_found(self) -> None:
        """See to it that the name leads here; ask when all modules are complete.

        Raises:
            RegistrationError: another process would find something else.
        """
        module, _, name = self.name.partition(":")
        if getattr(sys.modules.get(module), name, None) is not self.function:
            raise RegistrationError(
                f"{self.name} is something else there; a decorator above @app.job replaced it, or"
                f" the name was used again; the job is {describe_function(self.function)}"
            )

    def read(self, order: Order) -> dict[str, Any]:
        """The arguments of an order; its uploads are for `close_uploads`.  Blocks.

        Raises:
            BadValue: the function has changed since, and takes something else.
            OSError: an upload is no longer there.
        """
        return orders.read_arguments(order, self.annotations)

    def call(self, arguments: Mapping[str, Any], job: Job) -> Any:
        """What the function returns, for an `async def` the coroutine."""
        if self.job_argument is None:
            return self.function(**arguments)
        return self.function(**arguments, **{self.job_argument: job})

    def perform(self, order: Order, job: Job) -> Any:
        """What the function returns for an order; blocks, and raises what reading it does."""
        arguments = self.read(order)
        try:
            return self.call(arguments, job)
        finally:
            close_uploads(arguments)


def close_uploads(arguments: Mapping[str, Any]) -> None:
    """Let go of the files that were opened for a call."""
    for value in arguments.values():
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, Upload):
                each.close()


def job_function(function: Callable[..., Any], *, is_found: bool = False) -> JobFunction:
    """The description of a function; with `is_found` of one that others find by its name.

    Raises:
        RegistrationError: it cannot be a job; the text says what to do.
        SignatureError: an argument that cannot be given by name, or an
            annotation that does not work.
    """
    reason = _unsuitable(function) or (_hidden(function) if is_found else None)
    if reason is not None:
        raise _refusal(function, reason)
    signature = read_arguments(function)
    jobs = [each.name for each in signature.arguments if each.annotation is Job]
    if len(jobs) > 1:
        raise _refusal(function, f"has two arguments that get the Job: {' and '.join(jobs)}")
    name = f"{function.__module__}:{function.__qualname__}"
    return JobFunction(name, function, _annotations(signature), jobs[0] if jobs else None)


def _unsuitable(function: Callable[..., Any]) -> str | None:
    """Why it could not be run as a job."""
    if not inspect.isfunction(function):
        return "is no plain function; write a def or async def in a module"
    if function.__name__ == "<lambda>":
        return "is a lambda, which has no name to be known by; write a def"
    if "." in function.__qualname__.rpartition("<locals>.")[2]:
        return "is defined within a class; move it to the top of its module, to be found there"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return "yields; tell how far it is by job.progress, and return the result at the end"
    return None


def _hidden(function: Callable[..., Any]) -> str | None:
    """Why another process could not find it."""
    if "<locals>" in function.__qualname__:
        return "is defined within a function; move it to the top of its module, to be found there"
    return None


def _annotations(signature: Signature) -> dict[str, Any]:
    """The types of all arguments but that for the `Job`, which can be kept."""
    annotations: dict[str, Any] = {}
    for argument in signature.arguments:
        annotation = Any if argument.annotation is MISSING else argument.annotation
        if annotation is Job:
            continue
        if _but_none(annotation) in orders.NOT_JSON:
            annotation = _but_none(annotation)
        else:
            try:
                _check_json(annotation)
            except TypeError as error:
                reason = f"has a type that is not kept as JSON, as arguments of jobs are: {error}"
                raise _refusal(signature.function, f"argument {argument.name!r} {reason}") from None
        annotations[argument.name] = annotation
    return annotations


def _but_none(annotation: Any) -> Any:
    """The type within one that may be `None` as well."""
    kinds = [each for each in get_args(annotation) if each is not NoneType]
    return kinds[0] if NoneType in get_args(annotation) and len(kinds) == 1 else annotation


def _check_json(annotation: Any) -> None:
    value_type(annotation)
    for kind in types_within(annotation):
        if not isinstance(kind, type) or kind in _HOOKED or is_model(kind):
            continue
        # Its values would be refused one by one, when they come.
        if isinstance(msgspec.inspect.type_info(kind), msgspec.inspect.CustomType):
            raise TypeError(f"{kind.__qualname__} has no form in it")


def _refusal(function: Callable[..., Any], reason: str) -> RegistrationError:
    return RegistrationError(f"the job {describe_function(function)} {reason}")


def found_function(module: str, file: str | None, name: str) -> JobFunction:
    """The description of a function that another process knows by these.

    `file` is where its module comes from if it cannot be imported by its name.

    Raises:
        ImportError: it is not there.
        RegistrationError: what is there cannot be a job.
    """
    found = getattr(_module(module, file), name, None)
    if found is None:
        raise ImportError(f"there is no function {name} in {module} ({file or 'without a file'})")
    return job_function(found, is_found=True)


def _module(name: str, file: str | None) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name or file is None:
            raise
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"the module {name} cannot be loaded from {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
