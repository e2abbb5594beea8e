"""How many requests may wait at once: in all, and of one client."""

from tarry.waiting.errors import TooManyParked


class ParkingLimits:
    """Counts what waits.

    At most `max_parked` may wait in all, and `max_per_client` of one address,
    if that is given; clients without an address, as on a Unix socket, and
    coroutines of no request count in all alone.
    """

    def __init__(self, max_parked: int, max_per_client: int | None = None) -> None:
        self._max_parked = max_parked
        self._max_per_client = max_per_client
        self._count = 0
        self._clients: dict[object, str] = {}
        self._counts: dict[str, int] = {}

    def check(self) -> None:
        """Look whether one more may wait.

        Raises:
            TooManyParked: no.
        """
        if self._count >= self._max_parked:
            raise TooManyParked("as many requests wait here as can; ask again later")

    def take(self, hold: object, client: str) -> None:
        """Count one more of a client.

        Raises:
            TooManyParked: it may not wait; nothing was counted.
        """
        self.check()
        if client and self._max_per_client is not None:
            count = self._counts.get(client, 0)
            if count >= self._max_per_client:
                raise TooManyParked("as many requests of yours wait here as may; end one first")
            self._counts[client] = count + 1
            self._clients[hold] = client
        self._count += 1

    def give_back(self, hold: object) -> None:
        """Count one less."""
        self._count -= 1
        client = self._clients.pop(hold, None)
        if client is not None:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]
