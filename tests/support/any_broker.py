"""A client's kept connection to one of several brokers, and to the next one when that fails."""

import http.client
from collections.abc import Sequence
from typing import NamedTuple

_TIMEOUT_S = 10.0


class BrokerAnswer(NamedTuple):
    """What a broker said."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        return self.status == http.client.OK


class AnyBroker:
    """For one thread, which closes it."""

    def __init__(self, brokers: Sequence[str], first: int = 0) -> None:
        """Begin with the `first` of `brokers`, each `host:port`, counted around."""
        self._brokers = brokers
        self._at = first % len(brokers)
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._brokers[self._at], timeout=_TIMEOUT_S)

    def ask(
        self, method: str, target: str, body: bytes = b"", media: str = ""
    ) -> BrokerAnswer | None:
        """The answer; None when there was none, whatever became of the request."""
        headers = {"Content-Type": media} if media else {}
        try:
            self._connection.request(method, target, body or None, headers)
            response = self._connection.getresponse()
            return BrokerAnswer(response.status, response.read())
        except (OSError, http.client.HTTPException):
            self.turn()
            return None

    def turn(self) -> None:
        """Go on with the next broker."""
        self._connection.close()
        self._at = (self._at + 1) % len(self._brokers)
        self._connection = self._connect()

    def close(self) -> None:
        self._connection.close()
