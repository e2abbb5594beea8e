"""Whose fault, and which status answers it."""


class PeerError(Exception):
    """The peer broke the protocol: answer `status` on `stream_id`.

    On HTTP/1.1 the connection then closes; on HTTP/2 only the stream ends.
    `detail` is one sentence for the peer; it repeats nothing of the input.
    """

    def __init__(self, status: int, detail: str, stream_id: int = 0) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.stream_id = stream_id
