"""What clients are told, encoded: whole frames with their length in front. Pure."""

import struct
from collections.abc import Iterable, Sequence

from kafkalite.zkserver.acl import AclList
from kafkalite.zkserver.errors import ErrorCode
from kafkalite.zkserver.jute import pack_buffer, pack_int, pack_string
from kafkalite.zkserver.watches import EventType

WATCH_XID = -1
PING_XID = -2
AUTH_XID = -4
PASSWORD_BYTES = 16

_HEADER = struct.Struct("!iiqi")
_HEADER_BYTES = _HEADER.size - 4
_CONNECT = struct.Struct("!iiiq")
_EVENT = struct.Struct("!iiqiii")
_MULTI_HEADER = struct.Struct("!iBi")
_SYNC_CONNECTED = 3
_MULTI_ERROR = -1
_MULTI_END = _MULTI_HEADER.pack(-1, 1, -1)


def reply(xid: int, zxid: int, error: ErrorCode = ErrorCode.OK, body: bytes = b"") -> bytes:
    """The answer to request `xid`; `zxid` is the state that it shows."""
    return _HEADER.pack(_HEADER_BYTES + len(body), xid, zxid, error) + body


def connect_reply(
    timeout_ms: int, session_id: int, password: bytes, *, with_read_only: bool
) -> bytes:
    """The answer to the first frame; `with_read_only` for a client that sent that field."""
    tail = pack_buffer(password) + (b"\0" if with_read_only else b"")
    return _CONNECT.pack(_CONNECT.size - 4 + len(tail), 0, timeout_ms, session_id) + tail


def expired_reply(*, with_read_only: bool) -> bytes:
    """The answer to a client whose session is gone or was never its own."""
    return connect_reply(0, 0, bytes(PASSWORD_BYTES), with_read_only=with_read_only)


def watch_event(event: EventType, path: str) -> bytes:
    body = pack_string(path)
    length = _EVENT.size - 4 + len(body)
    return _EVENT.pack(length, WATCH_XID, -1, 0, event, _SYNC_CONNECTED) + body


def names(children: Iterable[str]) -> bytes:
    """A vector of strings."""
    packed = [pack_string(name) for name in children]
    return pack_int(len(packed)) + b"".join(packed)


def acls(acl_list: AclList) -> bytes:
    packed = [
        pack_int(entry.permissions)
        + pack_string(entry.identity.scheme)
        + pack_string(entry.identity.id)
        for entry in acl_list
    ]
    return pack_int(len(packed)) + b"".join(packed)


def multi_results(results: Sequence[tuple[int, bytes]]) -> bytes:
    """The body of a transaction that happened: operation and body of each."""
    parts = [_MULTI_HEADER.pack(op, 0, 0) + body for op, body in results]
    return b"".join(parts) + _MULTI_END


def multi_failure(count: int, failed: int, error: ErrorCode) -> bytes:
    """The body of a transaction of `count` operations that the one at index `failed` stopped.

    Those before it say OK (they would have gone well), those after it RUNTIME_INCONSISTENCY.
    """
    codes = [ErrorCode.OK] * failed + [error]
    codes += [ErrorCode.RUNTIME_INCONSISTENCY] * (count - failed - 1)
    parts = [_MULTI_HEADER.pack(_MULTI_ERROR, 0, code) + pack_int(code) for code in codes]
    return b"".join(parts) + _MULTI_END
