"""What clients ask, decoded. Pure."""

import enum
from collections.abc import Callable
from typing import NamedTuple

from kafkalite.zkserver.acl import Acl, Identity
from kafkalite.zkserver.errors import MalformedError
from kafkalite.zkserver.jute import Reader


class OpCode(enum.IntEnum):
    """The request types that this server knows (ZooDefs.OpCode)."""

    CREATE = 1
    DELETE = 2
    EXISTS = 3
    GET_DATA = 4
    SET_DATA = 5
    GET_ACL = 6
    SET_ACL = 7
    GET_CHILDREN = 8
    SYNC = 9
    PING = 11
    GET_CHILDREN2 = 12
    CHECK = 13
    MULTI = 14
    CREATE2 = 15
    RECONFIG = 16
    CREATE_CONTAINER = 19
    CREATE_TTL = 21
    AUTH = 100
    SET_WATCHES = 101
    CLOSE_SESSION = -11


class ConnectRequest(NamedTuple):
    """The first frame of a connection; `session_id` 0 asks for a new session."""

    last_zxid_seen: int
    timeout_ms: int
    session_id: int
    password: bytes
    knows_read_only: bool


class CreateRequest(NamedTuple):
    path: str
    data: bytes | None
    acl: list[Acl]
    flags: int
    ttl_ms: int


class DeleteRequest(NamedTuple):
    path: str
    version: int


class CheckRequest(NamedTuple):
    path: str
    version: int


class SetDataRequest(NamedTuple):
    path: str
    data: bytes | None
    version: int


class SetAclRequest(NamedTuple):
    path: str
    acl: list[Acl]
    version: int


class PathRequest(NamedTuple):
    path: str


class WatchableRequest(NamedTuple):
    """A read that may leave a watch."""

    path: str
    watch: bool


class AuthRequest(NamedTuple):
    scheme: str
    credential: bytes


class SetWatchesRequest(NamedTuple):
    """Watches that a client had on its last connection, and the last zxid it saw there."""

    relative_zxid: int
    data: list[str]
    exists: list[str]
    children: list[str]


WriteRequest = CreateRequest | DeleteRequest | SetDataRequest | SetAclRequest | CheckRequest


class MultiRequest(NamedTuple):
    """Writes that happen together or not at all."""

    operations: list[tuple[OpCode, WriteRequest]]


def read_connect(reader: Reader) -> ConnectRequest:
    reader.read_int()  # the protocol's version, 0 to this day
    last_zxid_seen = reader.read_long()
    timeout_ms = reader.read_int()
    session_id = reader.read_long()
    password = reader.read_buffer() or b""
    knows_read_only = reader.remaining > 0  # clients before 3.4 end here
    return ConnectRequest(last_zxid_seen, timeout_ms, session_id, password, knows_read_only)


def _read_acl(reader: Reader) -> Acl:
    permissions = reader.read_int()
    scheme = reader.read_string()
    return Acl(permissions, Identity(scheme, reader.read_string()))


def _read_acls(reader: Reader) -> list[Acl]:
    return reader.read_vector(_read_acl)


def _read_create(reader: Reader) -> CreateRequest:
    path, data = reader.read_string(), reader.read_buffer()
    return CreateRequest(path, data, _read_acls(reader), reader.read_int(), -1)


def _read_create_ttl(reader: Reader) -> CreateRequest:
    path, data = reader.read_string(), reader.read_buffer()
    return CreateRequest(path, data, _read_acls(reader), reader.read_int(), reader.read_long())


def _read_delete(reader: Reader) -> DeleteRequest:
    return DeleteRequest(reader.read_string(), reader.read_int())


def _read_check(reader: Reader) -> CheckRequest:
    return CheckRequest(reader.read_string(), reader.read_int())


def _read_set_data(reader: Reader) -> SetDataRequest:
    return SetDataRequest(reader.read_string(), reader.read_buffer(), reader.read_int())


def _read_set_acl(reader: Reader) -> SetAclRequest:
    return SetAclRequest(reader.read_string(), _read_acls(reader), reader.read_int())


def read_path(reader: Reader) -> PathRequest:
    return PathRequest(reader.read_string())


def read_watchable(reader: Reader) -> WatchableRequest:
    return WatchableRequest(reader.read_string(), reader.read_bool())


def read_auth(reader: Reader) -> AuthRequest:
    reader.read_int()  # a type that nobody uses
    return AuthRequest(reader.read_string(), reader.read_buffer() or b"")


def read_set_watches(reader: Reader) -> SetWatchesRequest:
    zxid = reader.read_long()
    data, exists, children = (reader.read_vector(Reader.read_string) for _ in range(3))
    return SetWatchesRequest(zxid, data, exists, children)


WRITE_READERS: dict[OpCode, Callable[[Reader], WriteRequest]] = {
    OpCode.CREATE: _read_create,
    OpCode.CREATE2: _read_create,
    OpCode.CREATE_CONTAINER: _read_create,
    OpCode.CREATE_TTL: _read_create_ttl,
    OpCode.DELETE: _read_delete,
    OpCode.SET_DATA: _read_set_data,
    OpCode.SET_ACL: _read_set_acl,
    OpCode.CHECK: _read_check,
}
_MULTI_OPS = WRITE_READERS.keys() - {OpCode.SET_ACL}


def read_multi(reader: Reader) -> MultiRequest:
    operations: list[tuple[OpCode, WriteRequest]] = []
    while True:
        op_number = reader.read_int()
        done = reader.read_bool()
        reader.read_int()  # an error code, -1 in requests
        if done:
            return MultiRequest(operations)
        if op_number not in _MULTI_OPS:
            raise MalformedError(f"operation {op_number} in a transaction")
        op = OpCode(op_number)
        operations.append((op, WRITE_READERS[op](reader)))
