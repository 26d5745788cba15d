"""HTTP by hand: requests that no client library would send, and answers as they come."""

import socket
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

_TIMEOUT_S = 30.0


class RawAnswer(NamedTuple):
    """One answer, read as far as its headers say it goes."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawConnection:
    """A TCP connection to a port of this machine; the test that made it closes it."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(_TIMEOUT_S)
        self.socket.connect(("127.0.0.1", port))
        self._pending = b""

    @staticmethod
    def request(
        method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of a request that is as it should be."""
        fields = {"Host": "test", **(headers or {})}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """Close our half: the server reads an end of file, and may still answer."""
        self.socket.shutdown(socket.SHUT_WR)

    def read_answer(self) -> RawAnswer:
        """The next answer.

        Raises:
            ConnectionError: the connection ends before there is a whole one.
        """
        while b"\r\n\r\n" not in self._pending:
            self._receive()
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): text.strip()
            for name, _, text in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        if headers.get("transfer-encoding") == "chunked":
            raise AssertionError("chunked answers are not expected")
        while len(self._pending) < length:
            self._receive()
        body, self._pending = self._pending[:length], self._pending[length:]
        return RawAnswer(int(status_line.split()[1]), headers, body)

    def read_to_end(self) -> bytes:
        """All that comes until the server closes the connection, or resets it."""
        try:
            while True:
                self._receive()
        except ConnectionError:
            pending, self._pending = self._pending, b""
            return pending

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._pending += data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
