"""What the server and its worker processes tell one another, as msgpack; nothing is pickled."""

from collections.abc import Callable
from typing import Final

import msgspec

from tarry.jobs.attempts import Ended
from tarry.jobs.job import Told
from tarry.jobs.orders import Order


class Task(msgspec.Struct, frozen=True, array_like=True):
    """An attempt for a worker process, and where it finds the function.

    `file` is where the module comes from if it is not found by its name.
    """

    id: str
    number: int
    folder: str
    order: Order
    module: str
    file: str | None
    function: str


class Begins(msgspec.Struct, frozen=True, array_like=True, tag="begins"):
    """The process has started, if it had not, and taken the attempt."""


class Tells(msgspec.Struct, frozen=True, array_like=True, tag="tells"):
    """The job tells something."""

    told: Told


class Ends(msgspec.Struct, frozen=True, array_like=True, tag="ends"):
    """The attempt has ended; the process takes the next one."""

    ended: Ended


Message = Begins | Tells | Ends

encode: Final = msgspec.msgpack.Encoder().encode
decode_task: Final = msgspec.msgpack.Decoder(Task).decode
decode_message: Final[Callable[[bytes], Message]] = msgspec.msgpack.Decoder(Message).decode
