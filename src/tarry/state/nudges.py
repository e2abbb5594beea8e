"""Nudges: empty datagrams by which processes that share a file tell one another of news.

Each has a socket in a folder beside the file, and whoever has written sends to
all others there.  A nudge says only that it is worth looking; so a lost one
delays, and one too many costs a look.
"""

import hashlib
import os
import secrets
import socket
import stat
import tempfile
from pathlib import Path
from typing import Final

MAX_PATH_BYTES: Final = 103
"""Longest path of a Unix socket: `sun_path` has 104 bytes on BSD and macOS, 108 on Linux, and one
of them ends the text."""

_NAME_BYTES: Final = 26
"""Room for a slash and a name, the same for all, so that all find the same folder."""

ARE_POSSIBLE: Final = hasattr(socket, "AF_UNIX")
"""Whether this system has them."""


class Nudges:
    """The socket of one open store, among those of the others that have the file open.

    Raises:
        OSError: there can be none, as the folder is not ours alone, for example.
    """

    def __init__(self, file: Path) -> None:
        name = f"{os.getpid()}-{secrets.token_hex(4)}.sock"
        self._folder = nudge_folder(file)
        self._path = self._folder / name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            self._bind()
        except OSError:
            self.socket.close()
            raise

    def _bind(self) -> None:
        make_private(self._folder)
        try:
            self.socket.bind(os.fspath(self._path))
        except FileNotFoundError:  # the last of the others has left, and the folder with it
            make_private(self._folder)
            self.socket.bind(os.fspath(self._path))

    def send(self) -> None:
        """Nudge all others; the sockets of those that died are cleared away."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 — because a Path for each costs time
        except OSError:
            return  # somebody has cleared up; the others' polls find what is new
        for name in names:
            if name != self._path.name and name.endswith(".sock"):
                self._send_to(os.path.join(self._folder, name))  # noqa: PTH118 — as above

    def _send_to(self, path: str) -> None:
        try:
            self.socket.sendto(b"", path)
        except ConnectionRefusedError:
            _remove(path)  # its process has died
        except OSError:
            """Full, so that a nudge is waiting there already; or closed just now."""

    def drain(self) -> bool:
        """Take all nudges that have come; whether there was one."""
        came = False
        try:
            while True:
                self.socket.recv(1)
                came = True
        except OSError:
            return came

    def close(self) -> None:
        """Let go of the socket, and of the folder if it was the last one there."""
        self.socket.close()
        _remove(self._path)
        try:
            self._folder.rmdir()
        except OSError:
            """Others are there still."""


def _remove(path: str | Path) -> None:
    try:
        Path(path).unlink()
    except OSError:
        """Somebody else has done it, or nobody can: then each commit tries it again."""


def nudge_folder(file: Path) -> Path:
    """Where the sockets for a file lie: beside it, or if that is too long a path, in a short one.

    All who open the file find the same folder, whatever links lead to it.
    """
    file = file.resolve()
    beside = file.with_name(f"{file.name}-nudges")
    if len(os.fsencode(beside)) + _NAME_BYTES <= MAX_PATH_BYTES:
        return beside
    digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tarry-{digest}"


def make_private(folder: Path) -> None:
    """Make a folder that only we can use, or see to it that it is one.

    Raises:
        OSError: it is somebody else's, or others may use it too.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()  # a link to one would be somebody's trick
        is_ours = status.st_uid == os.getuid() and not status.st_mode & 0o077
        if not (stat.S_ISDIR(status.st_mode) and is_ours):
            raise PermissionError(
                f"{folder} has to be a folder that only its owner, this user, can use"
            ) from None
