"""What a wake token is good for: to give the value, as a program or on a page."""

from typing import Any, Final, Protocol

from tarry.app.bodies import check_content_type
from tarry.app.errors import HttpError
from tarry.app.faults import ConversionError
from tarry.app.forms import FormData
from tarry.app.json_texts import json_reader
from tarry.app.request import Request
from tarry.app.responses import Response
from tarry.message.forms import form_type
from tarry.state.store import StoreError
from tarry.waiting import pages
from tarry.waiting.addresses import Addresses
from tarry.waiting.documents import HTML, NEGOTIATED, PRIVATE, preferred_form
from tarry.waiting.lookup import Lookup, store_fails
from tarry.waiting.parking import Parking
from tarry.waiting.questions import MalformedValue, Question
from tarry.waiting.records import Record
from tarry.waiting.values import BadValue
from tarry.waiting.verdicts import Verdict

MAX_VALUE_BYTES: Final = 1024 * 1024
"""A value from outside; it stands in the store, and in memory of all who wait for it."""

DECLINED_STATUS: Final = 403
DECLINED: Final = "the answer was no: somebody declined"

_read_any: Final = json_reader(Any)


class Waker(Protocol):
    """Settles waits by their tokens; see `Waiting`."""

    def wake(self, name: str, value: Any) -> Verdict: ...
    def fail(self, name: str, detail: str, status: int) -> Verdict: ...
    def cancel(self, name: str) -> Verdict: ...


class WakeRoutes:
    """The handlers of the addresses of wake tokens."""

    def __init__(
        self, waker: Waker, parking: Parking, addresses: Addresses, lookup: Lookup
    ) -> None:
        self._waker = waker
        self._parking = parking
        self._addresses = addresses
        self._lookup = lookup

    async def ask(self, token: str) -> Response:
        """The page that asks for the answer.  It wakes nobody: scanners of mail follow links."""
        record = await self._lookup.wake_token(token)
        return self._page(record, self._question(record))

    async def wake(self, request: Request, token: str) -> Response:
        """Take the answer; the first one counts."""
        record = await self._lookup.wake_token(token)
        question = self._question(record)
        try:
            accepted = await (await self._settled(request, token, question))
        except (BadValue, MalformedValue) as error:
            status = 400 if isinstance(error, MalformedValue) else 422
            if preferred_form(request.exchange) != HTML:
                raise HttpError(status, str(error), headers=PRIVATE) from error
            return self._page(record, question, status, str(error))
        except StoreError as error:
            raise store_fails(error) from error
        return await self._told(request, token, accepted=accepted)

    def _question(self, record: Record) -> Question:
        return Question(self._parking.sharing.types.get(record.id))

    def _page(
        self, record: Record, question: Question, status: int = 200, fault: str = ""
    ) -> Response:
        path, wall_s = self._addresses.wake_path(record), self._parking.clock.wall_s()
        source = pages.confirm_page(record, question, path, wall_s, fault)
        return pages.answer(source, status, NEGOTIATED)

    # ---- the answer ----------------------------------------------------------------------

    async def _settled(self, request: Request, token: str, question: Question) -> Verdict:
        """Read the answer, and settle the wait with it.

        Raises:
            MalformedValue, BadValue: see `Question`.
            HttpError: 415 for what is neither JSON nor a form.
        """
        text = await request.body()
        if text and form_type(request.headers.get("content-type", "")) is None:
            check_content_type(request.exchange)
        elif text and not _is_json(text):
            return self._by_form(await request.form(), token, question)
        return self._waker.wake(token, question.read_json(text))

    def _by_form(self, form: FormData, token: str, question: Question) -> Verdict:
        names = {control.name for control in question.controls}
        action = "wake" if "action" in names else form.get("action", "wake")
        if action == "wake":
            return self._waker.wake(token, question.read_form(form))
        if action == "fail":
            return self._waker.fail(token, form.get("detail") or DECLINED, DECLINED_STATUS)
        if action == "cancel":
            return self._waker.cancel(token)
        raise HttpError(400, "action is wake, fail or cancel")

    async def _told(self, request: Request, token: str, *, accepted: bool) -> Response:
        record = await self._lookup.wake_token(token)
        status = 200 if accepted else 409
        if preferred_form(request.exchange) != HTML:
            told = {"accepted": accepted, "state": record.state}
            return Response(told, status, NEGOTIATED)
        source = pages.thanks_page(record) if accepted else pages.settled_page(record)
        return pages.answer(source, status, NEGOTIATED)


def _is_json(text: bytes) -> bool:
    """Whether a form is JSON, as `curl -d '{"ok": true}'` sends it under the name of a form.

    A form of a browser never is: each of its fields has a "=" outside of quotes.
    """
    try:
        _read_any(text)
    except ConversionError:
        return False
    return True
