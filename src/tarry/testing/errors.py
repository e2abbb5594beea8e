"""The errors of handlers, caught where the application reports them: in its log."""

import logging


class HandlerErrors(logging.Handler):
    """Collects what is logged on `tarry` with an exception, while it is attached."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record."""
        if record.exc_info and record.exc_info[1] is not None:
            self._errors.append(record.exc_info[1])

    def attach(self) -> None:
        """Begin to collect."""
        logging.getLogger("tarry").addHandler(self)

    def detach(self) -> None:
        """Collect no more."""
        logging.getLogger("tarry").removeHandler(self)

    def forget(self) -> None:
        """Drop what was collected."""
        self._errors.clear()

    def raise_first(self) -> None:
        """Raise the oldest error, if there is one."""
        if self._errors:
            raise self._errors.pop(0)
