"""Where tickets and wake tokens lead: the paths and URLs below the internal prefix."""

from typing import Final

from tarry.app.request import Request
from tarry.exchange import Exchange
from tarry.waiting.records import Record, RequestInfo
from tarry.waiting.tokens import ticket, wake_token

DEFAULT_PREFIX: Final = "/-"


class Addresses:
    """The paths below `prefix`, as in `/-`.

    URLs begin with `base_url`, as in `https://example.org`, if it is given;
    else with what the client of the request called this server, which is its
    word alone.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX, base_url: str = "") -> None:
        self.prefix = prefix
        self._base_url = base_url.rstrip("/")

    def ticket_path(self, record: Record) -> str:
        """The path where a wait is read."""
        return f"{self.prefix}/t/{ticket(record.id, record.secret)}"

    def result_path(self, record: Record) -> str:
        """The path of the value alone."""
        return self.ticket_path(record) + "/result"

    def wake_path(self, record: Record) -> str:
        """The path where a wait is woken."""
        return f"{self.prefix}/w/{wake_token(record.id, record.secret)}"

    def url(self, record: Record, path: str) -> str:
        """A path of a wait as a whole URL, if the server's own is known; else the path."""
        began_at = record.request.base_url if record.request is not None else ""
        return (self._base_url or began_at) + path

    def info(self, exchange: Exchange) -> RequestInfo:
        """What is kept of a request."""
        request = Request(exchange)
        base_url = f"{request.scheme}://{request.host}" if request.host else ""
        return RequestInfo(request.method, request.raw_path, request.query_string, base_url)
