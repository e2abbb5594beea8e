"""quick_server's worker protocol, for its browser client `worker.js` and `worker_request`.

A client sends messages by POST to the URL of the job: `start` with a payload,
then `get` until the job is done, or `stop`; a long result comes in pieces, by
`cargo`.  The protocol is that of quick_server's protocol.md; its replies have
status 200 and the members `token`, `done`, `result` (JSON as a text) and
`continue`.  Any other request to that URL is for the job's own route.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from tarry.app.binding import Known
from tarry.app.deferred import Instead
from tarry.app.errors import HttpError
from tarry.app.patterns import parse_pattern
from tarry.app.request import Request
from tarry.app.responses import Response, SendFile
from tarry.app.results import to_json
from tarry.app.route_options import ANY_METHOD, Methods, RegistrationError, parse_methods
from tarry.app.router import Router
from tarry.exchange import ClientGone
from tarry.jobs.quick_messages import maybe_message, reply
from tarry.jobs.quick_payload import PayloadBinding
from tarry.jobs.quick_tokens import QuickTokens
from tarry.jobs.specs import JobSpec
from tarry.message.mediatypes import is_json
from tarry.waiting.answers import restored
from tarry.waiting.documents import PRIVATE, document, without_value
from tarry.waiting.errors import TooManyParked
from tarry.waiting.following import wait_until
from tarry.waiting.records import (
    ANSWER,
    CANCELLED,
    DONE,
    KeptAnswer,
    KeptFile,
    Record,
    decode_answer,
)
from tarry.waiting.waiting import Waiting

logger: Final = logging.getLogger("tarry")

START_S: Final = 0.1
"""How long `start` waits, so that a fast job is answered at once; quick_server does the same."""

DEFAULT_MAX_CHUNK_CHARACTERS: Final = 10 * 1024 * 1024
"""The longest result in one reply, that of quick_server; longer ones come in pieces."""

_POST: Final = b"POST"
_PIECE: Final = re.compile(r"([0-9]{1,16})-([0-9]{1,12})-([0-9]{1,12})")
"""The key of a piece: the token of its job, and which characters of the result it has."""


class QuickWorker:
    """Answers the messages of quick_server's clients to one job; a filter of its routes.

    `begin` is the handler of those routes, and `known` are the application's binders.

    Raises:
        RegistrationError: `max_chunk_characters` below 1, or a route that these clients
            cannot call.
        TypeError, ValueError: a path or signature that cannot be.
    """

    def __init__(
        self,
        waiting: Waiting,
        spec: JobSpec,
        begin: Callable[..., Awaitable[Any]],
        known: Known,
        paths: Iterable[str],
        methods: Methods = "POST",
        max_chunk_characters: int = DEFAULT_MAX_CHUNK_CHARACTERS,
    ) -> None:
        _check_methods(methods)
        if max_chunk_characters < 1:
            raise RegistrationError(
                f"max_chunk_characters is 1 or more, not {max_chunk_characters}"
            )
        self._parking = waiting.parking
        self._addresses = waiting.addresses
        self._tokens = QuickTokens(waiting, spec.name)
        self._begin = begin
        self._max_characters = max_chunk_characters
        self._bindings: Router[PayloadBinding] = Router()
        for path in paths:
            pattern = parse_pattern(path)
            self._bindings.add(pattern, "POST", PayloadBinding(begin, known, pattern))

    async def answer(self, request: Request) -> Any:
        """The reply to a message, `None` for a request that is none."""
        content_type = request.exchange.head.headers.get(b"content-type") or b""
        if request.exchange.head.method != _POST or not is_json(content_type.decode("latin-1")):
            return None
        message = maybe_message(await request.body())
        if message is None:
            return None
        if message.action == "start":
            return await self._start(request, bytes(message.payload))
        if message.action == "stop":
            await self._tokens.stop(request, message.token)
            return reply(message.token, is_done=True)
        if message.action == "cargo":
            return await self._cargo(request, str(message.token))
        record = await self._tokens.find(request, message.token)
        return reply(message.token) if record is None else self._told(message.token, record)

    async def _start(self, request: Request, payload: bytes) -> Any:
        binding, values = self._bindings.find(_POST, request.exchange.head.path)
        try:
            wait = await binding.call(self._begin, request, values, payload)
        except Instead as instead:  # it came with an Idempotency-Key, and not for the first time
            wait = instead.result
        record: Record = (await wait.shared()).share()
        try:
            record = await wait_until(
                self._parking, request.exchange, record, lambda newer: newer.is_settled, START_S
            )
        except TooManyParked:
            logger.debug("job %s is answered without waiting, as too many wait", record.id)
        except ClientGone:
            self._parking.abandoned(wait)
            raise
        return self._told(await self._tokens.give(record), record)

    def _told(self, token: int | str, record: Record) -> Any:
        """How it stands with a job; a failure has its own status, as quick_server's have."""
        if not record.is_settled:
            return reply(token, goes_on=True)
        if record.state == CANCELLED:
            return reply(token)
        if record.state != DONE:
            raise without_value(record, self._addresses)
        text = self._text(record)
        if not isinstance(text, str):
            return text
        if len(text) <= self._max_characters:
            return reply(token, is_done=True, result=text)
        starts = range(0, len(text), self._max_characters)
        keys = [f"{token}-{start}-{start + self._max_characters}" for start in starts]
        return reply(token, is_done=True, result=keys, goes_on=True)

    async def _cargo(self, request: Request, key: str) -> Response:
        match = _PIECE.fullmatch(key)
        record = None if match is None else await self._tokens.find(request, match[1])
        text = None if record is None or record.state != DONE else self._text(record)
        piece = text[int(match[2]) : int(match[3])] if match and isinstance(text, str) else ""
        if not piece:
            detail = "there is no such piece of a result, or not any more"
            raise HttpError(404, detail, headers=PRIVATE)
        return reply(key, is_done=True, result=piece)

    def _text(self, record: Record) -> str | Response | SendFile:
        """The result as a JSON text; an error that the job has returned as it is.

        Raises:
            HttpError: 500, the job has made something else of which JSON knows nothing.
        """
        value = record.value or b"null"
        if record.kind != ANSWER:
            return value.decode()
        answer = decode_answer(value)
        if answer.status >= 400:
            return restored(answer)
        text = _text_of(answer)
        if text is None:
            detail = (
                "the result of this job is neither JSON nor text, and quick_server's clients take"
                " nothing else; it can be fetched from links.result"
            )
            told = document(record, self._addresses)
            raise HttpError(500, detail, headers=PRIVATE, extra=told)
        return text


def _check_methods(methods: Methods) -> None:
    there = parse_methods(methods)
    if "POST" not in there and ANY_METHOD not in there:
        raise RegistrationError("quick_worker=True needs POST among the methods")


def _text_of(answer: KeptAnswer | KeptFile) -> str | None:
    if isinstance(answer, KeptFile) or answer.status >= 300:
        return None
    content_type = dict(answer.fields).get(b"content-type", b"").decode("latin-1")
    if is_json(content_type):
        return answer.body.decode()
    if content_type.startswith("text/"):
        return to_json(answer.body.decode()).decode()
    return None
