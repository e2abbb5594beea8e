"""A proxy that cuts connections: each after so many bytes of the answer."""

from __future__ import annotations

import select
import socket
import threading


class CuttingProxy:
    """Stands before a port of this machine; each answer has as many bytes as its cut says.

    Those after the last of the cuts come whole.
    """

    def __init__(self, port, cuts):
        self._target = ("127.0.0.1", port)
        self._cuts = list(cuts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self):
        """One connection after the other, as the client has one at a time."""
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:  # the end of the test
                    return
                left = self._cuts.pop(0) if self._cuts else None
                with client, socket.create_connection(self._target) as server:
                    self._forward(client, server, left)

    def _forward(self, client, server, left):
        while left is None or left > 0:
            for source in select.select([client, server], [], [])[0]:
                try:
                    data = source.recv(65536 if left is None or source is client else left)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)
                except OSError:  # either has gone
                    return
                if source is server and left is not None:
                    left -= len(data)
