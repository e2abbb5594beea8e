"""The start and stop of an application, told to who listens; see `events`."""

from typing import Any

from tarry.app.events import Emitter


async def start(emitter: Emitter, app: Any) -> None:
    """Tell that an application starts; the first handler that raises ends the start.

    Those of `stop` are then called, all of them, since which of them belong to
    handlers of `start` that have done their work nobody can tell.

    Raises:
        Exception: what that handler raised.
    """
    try:
        await emitter.emit_strictly("start", app, app=app)
    except BaseException:
        await stop(emitter, app)
        raise


async def stop(emitter: Emitter, app: Any) -> None:
    """Tell that it stops: what was set up last is taken down first, and errors end nothing."""
    await emitter.emit_backwards("stop", app, app=app)
