"""How an error is told: as a problem document, or as a page to who prefers HTML."""

import logging
from ipaddress import ip_address
from typing import Final

import msgspec

from tarry.app.errors import PROBLEM_TYPE, BadParameters, HttpError
from tarry.app.pages import CONTENT_SECURITY_POLICY, error_page
from tarry.app.request import Request
from tarry.app.results import Answer
from tarry.exchange import Exchange
from tarry.message.heads import ResponseHead
from tarry.message.mediatypes import best_match
from tarry.message.status import phrase

logger: Final = logging.getLogger("tarry")

_OFFERS: Final = ("application/problem+json", "application/json", "text/html")
_PAGE_FIELDS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept"),
)
_to_json: Final = msgspec.json.Encoder().encode


def problem_answer(exchange: Exchange, error: HttpError) -> Answer:
    """The answer for an error in the form that the client prefers."""
    if _prefers_page(exchange):
        return _page(error)
    fields = [(b"content-type", PROBLEM_TYPE), (b"vary", b"accept"), *error.headers]
    return ResponseHead(error.status, fields), _document(error)


def _prefers_page(exchange: Exchange) -> bool:
    accept = b",".join(exchange.head.headers.getall(b"accept"))
    return bool(accept) and best_match(accept.decode("latin-1"), _OFFERS) == "text/html"


def debug_answer(request: Request, error: BaseException) -> Answer:
    """The answer for an unexpected error in debug mode: its traceback, to this machine only."""
    from tarry.app import frames, tracebacks  # here, since most applications never need it

    exchange = request.exchange
    if not _is_local(exchange.client):
        return problem_answer(exchange, HttpError(500))
    if _prefers_page(exchange):
        body = tracebacks.traceback_page(error, tracebacks.request_facts(request))
        return ResponseHead(500, [*_PAGE_FIELDS, (b"cache-control", b"no-store")]), body
    extra = {"traceback": tracebacks.traceback_text(error)}
    told = HttpError(500, frames.shown_text(error), extra=extra)
    return problem_answer(exchange, told)


def _is_local(client: str) -> bool:
    """Whether a client is on this machine; one without an address came by a socket file."""
    try:
        return not client or ip_address(client).is_loopback
    except ValueError:
        return False


def _document(error: HttpError) -> bytes:
    try:
        return _to_json(error.problem())
    except (TypeError, ValueError, RecursionError) as fault:
        # Telling an error must not fail: the client gets what can be said.
        logger.warning("a %s that is no JSON: %s", type(error).__name__, fault)
        return _to_json(HttpError(error.status).problem())


def _page(error: HttpError) -> Answer:
    faults = error.faults if isinstance(error, BadParameters) else []
    rows = [(fault["name"], fault["in"], fault["reason"]) for fault in faults]
    fields = [*_PAGE_FIELDS, *error.headers]
    body = error_page(error.status, phrase(error.status), error.detail, rows)
    return ResponseHead(error.status, fields), body
