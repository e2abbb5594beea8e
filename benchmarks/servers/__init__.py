"""The tiny applications that are measured, one module per server.

Each is started as `python -m benchmarks.servers.NAME PORT` and answers the
requests of `benchmarks.rows` on 127.0.0.1, in the way its own guide shows,
with access logs off and uvloop where it can.
"""

import sys

IDLE_TIMEOUT_SECONDS = 300
"""Long enough that no server closes the idle connections whose memory is measured."""


def port_argument() -> int:
    """The port to listen on, from the command line."""
    return int(sys.argv[1])
