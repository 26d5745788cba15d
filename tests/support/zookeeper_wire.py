"""A ZooKeeper client that sends exactly what it is told, for what kazoo would never send."""

import socket
import struct
from types import TracebackType
from typing import NamedTuple, Self

_HEADER = struct.Struct("!iqi")
_TIMEOUT_S = 10.0
EVENT_XID = -1
NEW_SESSION_PASSWORD = bytes(16)
WORLD = [(31, "world", "anyone")]


class Reply(NamedTuple):
    """One frame from the server; `xid` is EVENT_XID for a watch event."""

    xid: int
    zxid: int
    error: int
    body: bytes


class Event(NamedTuple):
    type: int
    path: str


class Session(NamedTuple):
    timeout_ms: int
    id: int
    password: bytes


def pack_buffer(data: bytes | None) -> bytes:
    return struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data


def pack_string(text: str) -> bytes:
    return pack_buffer(text.encode())


def pack_strings(texts: list[str]) -> bytes:
    return struct.pack("!i", len(texts)) + b"".join(map(pack_string, texts))


def pack_acl(entries: list[tuple[int, str, str]]) -> bytes:
    packed = [
        struct.pack("!i", permissions) + pack_string(scheme) + pack_string(identity)
        for permissions, scheme, identity in entries
    ]
    return struct.pack("!i", len(entries)) + b"".join(packed)


def pack_create(
    path: str,
    data: bytes | None = b"",
    *,
    flags: int = 0,
    acl: list[tuple[int, str, str]] | None = None,
) -> bytes:
    entries = WORLD if acl is None else acl
    return pack_string(path) + pack_buffer(data) + pack_acl(entries) + struct.pack("!i", flags)


def event_of(reply: Reply) -> Event:
    """Decode a watch event."""
    assert reply.xid == EVENT_XID
    kind, _state, length = struct.unpack_from("!iii", reply.body)
    return Event(kind, reply.body[12 : 12 + length].decode())


class WireClient:
    """One connection, without pings: a session that is not used runs out."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self._socket.settimeout(_TIMEOUT_S)
        self._xid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def connect(
        self,
        *,
        timeout_ms: int = 10_000,
        session_id: int = 0,
        password: bytes = NEW_SESSION_PASSWORD,
        last_zxid: int = 0,
    ) -> Session:
        """Send the first frame and read its answer."""
        head = struct.pack("!iqiq", 0, last_zxid, timeout_ms, session_id)
        self.send_frame(head + pack_buffer(password) + b"\0")
        frame = self.read_frame()
        _version, granted_ms, granted_id = struct.unpack_from("!iiq", frame)
        return Session(granted_ms, granted_id, frame[20:36])

    def send(self, op: int, body: bytes = b"", xid: int | None = None) -> int:
        """Send a request without waiting; gives its xid."""
        if xid is None:
            self._xid += 1
            xid = self._xid
        self.send_frame(struct.pack("!ii", xid, op) + body)
        return xid

    def ask(self, op: int, body: bytes = b"", xid: int | None = None) -> Reply:
        """Send a request and read its reply, which must be the next frame."""
        sent = self.send(op, body, xid)
        reply = self.read()
        assert reply.xid == sent
        return reply

    def read(self) -> Reply:
        frame = self.read_frame()
        xid, zxid, error = _HEADER.unpack_from(frame)
        return Reply(xid, zxid, error, frame[_HEADER.size :])

    def send_frame(self, frame: bytes) -> None:
        self._socket.sendall(pack_buffer(frame))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_frame(self) -> bytes:
        (length,) = struct.unpack("!i", self._read_bytes(4))
        return self._read_bytes(length)

    def is_closed_by_server(self) -> bool:
        """Read until the server closes the connection; False when it sends something instead."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self._socket.close()

    def _read_bytes(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise ConnectionResetError("closed by the server")
            data += chunk
        return data
