"""A TCP proxy that cuts connections at the worst moment."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65_536


class CuttingProxy:
    """Forwards a port of 127.0.0.1; a context manager.

    `cut_after(marker)`: the next time that a client sends `marker`, it still reaches the server,
    and then the connection is cut before the answer comes back. `cut_before` cuts it instead.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._marker: bytes | None = None
        self._forwards = True
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut_after(self, marker: bytes) -> None:
        self._marker, self._forwards = marker, True

    def cut_before(self, marker: bytes) -> None:
        self._marker, self._forwards = marker, False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still_open = tuple(self._open)
        for connection in still_open:
            _close(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                return
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._upwards, args=(client, server), daemon=True).start()
            threading.Thread(target=self._downwards, args=(client, server), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                marker = self._marker
                if marker is None or marker not in data:
                    server.sendall(data)
                    continue
                self._marker = None
                self.cuts += 1
                # The client first, so that no answer can slip through; the server reads all that
                # was sent before it sees the end.
                _close(client)
                if self._forwards:
                    server.sendall(data)
                    server.shutdown(socket.SHUT_WR)
                    while server.recv(_CHUNK):
                        pass
                break
        self._end(client, server)

    def _downwards(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                client.sendall(data)
            self._end(client, server)

    def _end(self, *connections: socket.socket) -> None:
        for connection in connections:
            _close(connection)
            with self._lock:
                self._open.discard(connection)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
