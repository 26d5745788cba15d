"""A kept HTTP/1.1 connection that costs next to nothing, so that it is not what is measured."""

import socket
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec

_TIMEOUT_S: Final = 60.0
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
_NO_CONTENT: Final = 204
_FIRST_READ: Final = 1 << 16


class WrongAnswerError(Exception):
    """The server did not do what it was asked to: there is nothing to measure."""


class Answer(NamedTuple):
    """A response; `body` is valid until the connection's next exchange."""

    status: int
    body: memoryview

    def document(self) -> Any:  # noqa: ANN401 - any JSON
        return msgspec.json.decode(self.body)


class Connection:
    """Sends whole requests and reads whole answers, one at a time. For one thread."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_FIRST_READ)

    def exchange(self, request: bytes) -> Answer:
        """Send `request`, made by `make_request`, and wait for the answer.

        Raises:
            OSError: the connection broke.
            WrongAnswerError: what came is no response with a length.
        """
        self._socket.sendall(request)
        filled, head_end = 0, -1
        while head_end < 0:
            filled += self._receive(filled)
            head_end = self._buffer.find(_HEAD_END, 0, filled)
        head = bytes(self._buffer[:head_end]).lower()
        status = int(head.split(b" ", 2)[1])
        begin = head_end + len(_HEAD_END)
        end = begin + _body_length(status, head)
        if end > len(self._buffer):
            self._buffer = self._buffer[:filled] + bytearray(end - filled)
        while filled < end:
            filled += self._receive(filled)
        return Answer(status, memoryview(self._buffer)[begin:end])

    def expect(self, request: bytes, status: int = 200) -> Answer:
        """Like `exchange`; raises WrongAnswerError for another status."""
        answer = self.exchange(request)
        if answer.status != status:
            raise WrongAnswerError(
                f"{request.split(b' HTTP', 1)[0].decode()} was answered {answer.status}: "
                f"{bytes(answer.body[:500]).decode(errors='replace')}"
            )
        return answer

    def _receive(self, filled: int) -> int:
        count = self._socket.recv_into(memoryview(self._buffer)[filled:])
        if count == 0:
            raise ConnectionResetError("the server closed the connection")
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()


def _body_length(status: int, head: bytes) -> int:
    if status == _NO_CONTENT:
        return 0
    _, found, rest = head.partition(_LENGTH)
    if not found:
        raise WrongAnswerError(f"No content-length: {head!r}")
    return int(rest.partition(b"\r\n")[0])


def make_request(method: str, path: str, body: bytes = b"", media: str = "") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    if body:
        head += f"content-type: {media}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def make_json_request(method: str, path: str, document: object) -> bytes:
    """The bytes of a request that carries JSON."""
    return make_request(method, path, msgspec.json.encode(document), "application/json")
