"""Log messages on the terminal, for a server that is the program."""

import logging
import sys


def log_to_terminal() -> None:
    """Show Tarry's messages on stderr, unless the program set up logging by itself."""
    logger = logging.getLogger("tarry")
    if logger.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
