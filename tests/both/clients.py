"""Two independent clients that ask the same: HTTP/1.1 as bytes, HTTP/2 by the `h2` library."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from tests.wire import TIMEOUT_S, Wire


@dataclass
class Answer:
    """What a client got; `complete` is false for an answer that was broken off."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False
    reset_code: int | None = None
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name):
        return next((value for key, value in self.headers if key == name), None)


class H2Client:
    """An HTTP/2 connection with prior knowledge; answers are collected by stream."""

    def __init__(self, url, window=None, host="a"):
        address, _, port = url.removeprefix("http://").rpartition(":")
        self.host = host
        self.socket = socket.create_connection((address, int(port)), timeout=TIMEOUT_S)
        # What must be refused must first be sent.
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )  # fmt: skip
        self.h2 = h2.connection.H2Connection(config)
        self.answers = {}
        self.goaway = None
        self.closed = False
        self.keep_window = window is None
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def flush(self):
        try:
            self.socket.sendall(self.h2.data_to_send())
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def head(self, method="GET", path="/", *fields):
        return [(":method", method), (":scheme", "http"), (":path", path),
                (":authority", self.host), *fields]  # fmt: skip

    def open(self, fields, end=True):
        """Send a head; the number of its stream."""
        stream_id = self.h2.get_next_available_stream_id()
        self.answers[stream_id] = Answer()
        self.h2.send_headers(stream_id, fields, end_stream=end)
        self.flush()
        return stream_id

    def send(self, stream_id, data, end=False):
        """Send a body as fast as the server's windows allow."""
        while True:
            room = min(
                self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size
            )
            piece, data = data[:room], data[room:]
            self.h2.send_data(stream_id, piece, end_stream=end and not data)
            self.flush()
            if not data or self.answers[stream_id].complete or self.closed:
                return
            while not self.h2.local_flow_control_window(stream_id) and not self.closed:
                self.take()

    def take(self):
        """Wait for bytes and note what they bring."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self.note(event)
        self.flush()

    def note(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            fields = dict(event.headers)
            answer.status = int(fields[":status"])
            answer.headers = [field for field in event.headers if field[0] != ":status"]
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.keep_window:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.complete = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset_code = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def answer(self, stream_id):
        """The answer on a stream, once it has ended in any way."""
        answer = self.answers[stream_id]
        while not answer.complete and answer.reset_code is None and not self.closed:
            self.take()
        return answer

    def wait_for_end(self):
        """The code of the GOAWAY with which the server ends the connection."""
        while not self.closed:
            self.take()
        return self.goaway


def ask_http1(url, method="GET", path="/", fields=(), body=None):
    with Wire(url) as wire:
        lines = [f"{method} {path} HTTP/1.1", "host: a", *(f"{k}: {v}" for k, v in fields)]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        wire.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        try:
            reply = wire.read(method)
        except EOFError:
            return Answer()
    headers = [(name.lower(), value) for name, value in reply.headers]
    return Answer(reply.status, headers, reply.body, complete=True)


def ask_http2(url, method="GET", path="/", fields=(), body=None):
    with H2Client(url) as client:
        stream_id = client.open(client.head(method, path, *fields), end=body is None)
        if body is not None:
            client.send(stream_id, body, end=True)
        return client.answer(stream_id)
