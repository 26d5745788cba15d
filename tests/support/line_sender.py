"""A client that sends lines for as long as it likes, and reads what is reported meanwhile."""

import contextlib
import http.client
import json
import socket
import threading
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class LineSender(threading.Thread):
    """One request whose body goes on. The thread reads the answer; life: `with`, then `end`."""

    def __init__(
        self,
        url: str,
        path: str,
        headers: str = "",
        *,
        keeps: bool = True,
        media: str = "application/x-ndjson",
    ) -> None:
        """Assign only; `keeps` says whether each report is kept, or only the last."""
        super().__init__(daemon=True)
        address = urlsplit(url)
        self._head = (
            f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: {media}\r\n"
            f"transfer-encoding: chunked\r\n{headers}\r\n"
        )
        self._place = address.hostname, address.port
        self._socket: socket.socket | None = None
        self._keeps = keeps
        self.status = 0
        self.reports: list[Any] = []
        self.count = 0
        """Of all reports so far."""

    @property
    def connection(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def __enter__(self) -> Self:
        self._socket = socket.create_connection(self._place, timeout=60)
        self._socket.sendall(self._head.encode())
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.join()
        self.connection.close()

    def send(self, data: bytes) -> None:
        """One chunk; waits while the server takes nothing."""
        self.connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """The body is whole; waits for the end of the answer."""
        self.connection.sendall(b"0\r\n\r\n")
        self.join()

    def run(self) -> None:
        response = http.client.HTTPResponse(self.connection, method="POST")
        with contextlib.suppress(OSError, http.client.HTTPException):
            response.begin()
            self.status = response.status
            begun = b""
            while part := response.read1():  # its lines take it long where chunks are small
                *lines, begun = (begun + part).split(b"\n")
                for line in lines:
                    self.count += 1
                    if not self._keeps:
                        self.reports.clear()
                    self.reports.append(json.loads(line))
