"""WebSockets: a class, functions, and an expression for the path; always `async def`."""

from __future__ import annotations

import tempfile

from tarry import WebSocket

LONG_TEXT = "binary-message-received, and this is some message for the long size."


def add_websockets(app):
    @app.websocket("/ws/{path_val}")
    class Talk:
        """Says what it hears, with the path before it; sends binary data back as files."""

        async def on_text(self, socket, text):
            if text == "close":
                await socket.close()
            else:
                await socket.send(f"{socket.path['path_val']}-{text}")

        async def on_binary(self, socket, data):
            await socket.send(LONG_TEXT, fragment_bytes=10)
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                await socket.send_file(file.name)
                await socket.send_file(file.name, fragment_bytes=10)

    @app.websocket("/ws-fun/{path_val}")
    async def talk(socket: WebSocket, path_val: str):
        async for text in socket:
            await socket.send(f"{path_val}-{text}")

    @app.websocket(regexp="/ws-reg/([a-zA-Z0-9]+)", singleton=False)
    class Counted:
        """Counts what it hears: each connection has an object of its own."""

        def __init__(self):
            self.count = 0

        async def on_text(self, socket, text):
            self.count += 1
            await socket.send(f"{socket.path['1']}-{text}")
            await socket.send(str(self.count))
