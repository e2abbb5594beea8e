"""What the narrowing of routes asks about a request."""

from tarry.app.places import PLACES, Values
from tarry.exchange import Exchange
from tarry.message.forms import form_type


class FormNeeded(Exception):
    """Whether a route is meant depends on a form, which has to be read first."""


class RequestFacts:
    """Parameters of query and form, and header fields, looked up when asked for."""

    __slots__ = ("_exchange", "_parameters")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._parameters: Values | None = None

    def parameter(self, name: str, /) -> list[str] | None:
        """All values of a parameter.

        Raises:
            FormNeeded: there is a form that nobody has read.
            FormError: a Content-Type that is malformed or of a form that cannot be read.
            HttpError: 400 for a query that does not decode.
        """
        if self._parameters is None:
            self._parameters = self._open()
        return self._parameters.get(name)

    def _open(self) -> Values:
        exchange = self._exchange
        if exchange.body is not None and (
            exchange.context is None or exchange.context.form_read is None
        ):
            content_type = exchange.head.headers.get(b"content-type") or b""
            if form_type(content_type.decode("latin-1")) is not None:
                raise FormNeeded
        return PLACES["query or form"].open(exchange)

    def header(self, name: bytes, /) -> list[str] | None:
        """All values of a header field."""
        values = self._exchange.head.headers.getall(name)
        return [value.decode("latin-1") for value in values] or None
