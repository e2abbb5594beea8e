"""`JobWait`: the wait that a job fulfils."""

from pathlib import Path
from typing import Any, Final, TypeVar

from tarry.app.results import JSON
from tarry.waiting.answers import restored
from tarry.waiting.lot import Lot
from tarry.waiting.options import WaitOptions
from tarry.waiting.records import (
    ANSWER,
    DONE,
    KeptAnswer,
    KeptFile,
    Record,
    decode_answer,
    encode,
)
from tarry.waiting.values import ValueType, value_type
from tarry.waiting.waits import Outcome, Wait

T = TypeVar("T")

_TEXT: Final = b"text/"
_JSON: Final = dict(JSON.fields)


class JobWait(Wait[T]):
    """The result of a job, which will exist later: await it, return it, or hand on its ticket.

    Who awaits it gets what the function has returned: JSON as the type that the
    function is annotated with, text, bytes, the path of a file; or, of what is
    none of these, the `Response`.
    """

    __slots__ = ()

    def value_of(self, record: Record) -> T:
        """The value of a job that is done."""
        if record.kind != ANSWER:
            return super().value_of(record)  # type: ignore[no-any-return]  # because it has been checked
        return plain_value(decode_answer(record.value or b""))  # type: ignore[no-any-return]  # because it is what the function returned


class KnownWait(JobWait[T]):
    """The result of a job that was done before, for others."""

    __slots__ = ("_answer",)

    def __init__(
        self, parking: Lot, options: WaitOptions, answer: KeptAnswer | KeptFile, value: T
    ) -> None:
        super().__init__(parking, value_type(Any), options)
        self._answer = answer
        self.outcome = DONE, value

    def fields_of(self, outcome: Outcome) -> dict[str, Any]:
        """What a record of it has."""
        return {"value": encode(self._answer), "kind": ANSWER}


class AnswerWait(JobWait[Any]):
    """The result of a job for the request that began it, which is answered with it."""

    __slots__ = ()

    def value_of(self, record: Record) -> Any:
        """The answer of a job that is done."""
        if record.kind == ANSWER:
            return restored(decode_answer(record.value or b""))
        return super().value_of(record)


def plain_value(answer: KeptAnswer | KeptFile) -> Any:
    if isinstance(answer, KeptFile):
        return Path(answer.path)
    fields = dict(answer.fields)
    if fields == _JSON:
        return value_type(Any).read(answer.body)
    if answer.status != 200 or fields.keys() != {b"content-type"}:
        return restored(answer)
    if not fields[b"content-type"].startswith(_TEXT):
        return answer.body
    try:
        return answer.body.decode()
    except UnicodeDecodeError:  # a response of its own, with another charset
        return restored(answer)


def job_wait(parking: Lot, annotation: Any, options: WaitOptions) -> JobWait[Any]:
    """A wait for what a function returns; what does not come from JSON is not looked at."""
    return JobWait(parking, _type_of(annotation), options)


def _type_of(annotation: Any) -> ValueType:
    try:
        return value_type(Any if annotation is object else annotation)
    except (TypeError, NameError):
        return value_type(Any)
