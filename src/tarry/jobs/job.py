"""`Job`: what the function of a job gets to tell how far it is, and to hear that it shall end."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tarry.waiting.records import Progress

MAX_LOG_CHARACTERS: Final = 2000
"""A longer text of `Job.log` is cut: it is read by people, and kept with the job."""

_INT64: Final = 2**63


class JobCancelled(BaseException):
    """The job shall end; raised where it tells its progress.

    No `Exception`, so that code which goes on after errors does not go on after this.
    """


class Told(NamedTuple):
    """What a job has told: how far it is, or a line for its log."""

    progress: Progress | None = None
    line: str | None = None


class Job:
    """The attempt that is running; an argument that is annotated with this type is one.

    `id` names the job, in logs and below its `folder`; `attempt` counts from 1.
    All of it may be used from any thread of the process in which it runs.
    """

    __slots__ = ("_folder", "_is_cancelled", "_tell", "attempt", "id")

    def __init__(
        self,
        id: str,
        attempt: int,
        folder: Path,
        tell: Callable[[Told], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.id = id
        self.attempt = attempt
        self._folder = folder
        self._tell = tell
        self._is_cancelled = is_cancelled

    @property
    def cancelled(self) -> bool:
        """Whether it shall end; for code that wants to put things in order first."""
        return self._is_cancelled()

    @property
    def folder(self) -> Path:
        """A folder of its own, made when first asked for.

        Files in it can be the result.  It goes away with the job, once the
        result has been kept for as long as it is to be kept.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def check(self) -> None:
        """Go on, unless the job shall end.

        Raises:
            JobCancelled: it shall.
        """
        if self._is_cancelled():
            raise JobCancelled

    def progress(self, at: float | None = None, of: float | None = None, text: str = "") -> None:
        """Tell how far it is: step `at` of `of`, and a word on it.

        It costs little, so tell it with each step; who listens gets the newest.

        Raises:
            JobCancelled: the job shall end.
        """
        self.check()
        self._tell(Told(progress=Progress(_number(at), _number(of), sendable(text))))

    def log(self, text: str) -> None:
        """Keep a line for who follows the job; each arrives, in order.

        Only of a flood the oldest ones are left out, and a line says how many.

        Raises:
            JobCancelled: the job shall end.
        """
        self.check()
        self._tell(Told(line=sendable(text[:MAX_LOG_CHARACTERS])))


def _number(value: float | None) -> float | None:
    """A number as it is kept: those of NumPy, for example, look alike but are not."""
    if value is None or type(value) is float or (type(value) is int and -_INT64 <= value < _INT64):
        return value
    return float(value)  # for msgpack has no whole numbers beyond 64 bits, either


def sendable(text: str) -> str:
    """A text that can be encoded: names of files may have half a surrogate pair in them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
