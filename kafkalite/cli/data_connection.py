"""One kept connection to a broker's data plane: msgpack out, msgpack back.

The standard library's client, because it moves a MiB several times as fast as httpx does.
"""

import http.client
import select
import socket
from typing import Final
from urllib.parse import urlsplit

from kafkalite.cli.broker_address import reason, shown
from kafkalite.cli.cluster import refusal
from kafkalite.cli.failure import NoBrokerError
from kafkalite.model.errors import NetworkError

_CONNECT_TIMEOUT_S: Final = 5.0
_HEADERS: Final = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}


class DataConnection:
    """Requests to one broker, one at a time; connects when first used and again after a failure.

    Owned by one command, single-threaded: `send`, then `receive`.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        """`timeout_s` bounds the wait for an answer."""
        parts = urlsplit(url)
        self.url = url
        self._timeout_s = timeout_s
        self._http = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=_CONNECT_TIMEOUT_S
        )

    def fileno(self) -> int:
        """The socket, to wait for an answer with others; only between `send` and `receive`."""
        return self._connected().fileno()

    def send(self, path: str, body: bytes) -> None:
        """Post `body`.

        Raises:
            NoBrokerError: the broker cannot be reached, so it got nothing.
            NetworkError: the connection broke on the way.
        """
        if self._http.sock is not None and _is_closed_by_peer(self._http):
            self.close()  # kept for too long; a request must not be lost to that
        if self._http.sock is None:
            try:
                self._http.connect()
            except OSError as error:
                raise NoBrokerError(
                    f"Broker {shown(self.url)} cannot be reached ({reason(error)})."
                ) from None
            self._connected().settimeout(self._timeout_s)
        try:
            self._http.request("POST", path, body, _HEADERS)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._broken(error) from None

    def receive(self) -> bytes:
        """The answer to what was sent.

        Raises:
            NetworkError: the connection broke before the answer was complete.
            LogError: the broker refused the request as a whole.
        """
        try:
            response = self._http.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._broken(error) from None
        if response.status != http.client.OK:
            raise refusal(body, response.status, self.url)
        return body

    def close(self) -> None:
        self._http.close()

    def _connected(self) -> socket.socket:
        connected: socket.socket | None = self._http.sock
        if connected is None:
            raise RuntimeError("not connected")
        return connected

    def _broken(self, error: Exception) -> NetworkError:
        return NetworkError(f"The connection to {shown(self.url)} broke ({reason(error)})")


def _is_closed_by_peer(connection: http.client.HTTPConnection) -> bool:
    """Whether something arrived although nothing was asked: the end of the connection."""
    readable, _, _ = select.select([connection.sock], [], [], 0)
    return bool(readable)
