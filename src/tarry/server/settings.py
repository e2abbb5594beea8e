"""Settings of a server: where it listens and how long it waits."""

from dataclasses import dataclass, field, fields
from typing import Final

from tarry.protocol.limits import Limits as Limits

LOG_FIELDS: Final = (
    "client", "method", "target", "version", "status", "bytes", "run_ms", "park_s", "park",
    "referer", "user_agent",
)  # fmt: skip
"""What an access log line can show; the numbers are status, bytes, run_ms and park_s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything that can be set about serving; each has a safe default.

    Raises:
        ValueError: a port or a time that makes no sense, named.
    """

    host: str = "127.0.0.1"
    """Address to listen on; loopback unless told otherwise, so that nothing is public by chance."""

    port: int = 8000
    """TCP port; 0 takes a free one, which the handle's `url` tells."""

    backlog: int = 2048
    """Connections that the kernel holds before they are accepted."""

    head_timeout_s: float = 10.0
    """From the first byte of a request (or the connection) to the end of its head → 408."""

    body_timeout_s: float = 30.0
    """Longest silence within a body → 408."""

    idle_timeout_s: float = 75.0
    """Longest pause between two requests.  More than the 60 s after which load balancers
    give up, so that the server is never the one that closes first."""

    send_timeout_s: float = 60.0
    """Longest time in which a client takes nothing of an answer, then it is cut."""

    stop_timeout_s: float = 10.0
    """From the wish to stop to the end, for answers under way."""

    linger_timeout_s: float = 1.0
    """How long a refused client may go on sending, so that it can read why (RFC 9112
    section 9.6)."""

    loop: str = "auto"
    """`"auto"` takes uvloop where it is installed; `"uvloop"` or `"asyncio"` insist."""

    access_log: bool = True
    """One line for each request on the logger `tarry.access`."""

    access_log_format: str = (
        '%(client)s "%(method)s %(target)s HTTP/%(version)s" %(status)d %(bytes)d'
        " run=%(run_ms).1fms%(park)s"
    )
    """A %-format of the fields in `LOG_FIELDS`."""

    server_header: str = "tarry"
    """Value of the Server field; empty for none."""

    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, not {self.port}")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name.endswith("_timeout_s") and not value > 0:
                raise ValueError(f"{setting.name} must be more than 0 seconds, not {value}")
        if not isinstance(self.limits, Limits):
            raise ValueError(f"limits must be tarry.Limits(...), not {self.limits!r}")  # noqa: TRY004 — as all others here, because a caller catches one kind
        try:
            self.access_log_format % dict.fromkeys(LOG_FIELDS, 0)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"access_log_format does not work ({type(error).__name__}: {error}); "
                f"its fields are {', '.join(LOG_FIELDS)}"
            ) from error
        if self.loop not in ("auto", "uvloop", "asyncio"):
            raise ValueError(f'loop must be "auto", "uvloop" or "asyncio", not "{self.loop}"')
