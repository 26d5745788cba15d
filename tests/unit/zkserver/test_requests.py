"""Requests as they come over the wire, and those that are none."""

import struct

import pytest

from kafkalite.zkserver import requests
from kafkalite.zkserver.acl import Acl, Identity
from kafkalite.zkserver.errors import MalformedError
from kafkalite.zkserver.jute import Reader, pack_buffer, pack_int, pack_long, pack_string
from kafkalite.zkserver.requests import (
    CheckRequest,
    ConnectRequest,
    CreateRequest,
    DeleteRequest,
    MultiRequest,
    OpCode,
    SetAclRequest,
    SetDataRequest,
    SetWatchesRequest,
    WriteRequest,
)

_ACL = pack_int(1) + pack_int(31) + pack_string("world") + pack_string("anyone")
_ACLS = [Acl(31, Identity("world", "anyone"))]
_PATH = pack_string("/a")
_DATA = pack_buffer(b"data")

_WRITES: list[tuple[OpCode, bytes, WriteRequest]] = [
    (OpCode.CREATE, _PATH + _DATA + _ACL + pack_int(3), CreateRequest("/a", b"data", _ACLS, 3, -1)),
    (
        OpCode.CREATE_TTL,
        _PATH + pack_buffer(None) + _ACL + pack_int(5) + pack_long(60_000),
        CreateRequest("/a", None, _ACLS, 5, 60_000),
    ),
    (OpCode.DELETE, _PATH + pack_int(-1), DeleteRequest("/a", -1)),
    (OpCode.SET_DATA, _PATH + _DATA + pack_int(7), SetDataRequest("/a", b"data", 7)),
    (OpCode.SET_ACL, _PATH + _ACL + pack_int(7), SetAclRequest("/a", _ACLS, 7)),
    (OpCode.CHECK, _PATH + pack_int(7), CheckRequest("/a", 7)),
]


@pytest.mark.parametrize(("op", "body", "request_"), _WRITES)
def test_write_is_read(op: OpCode, body: bytes, request_: WriteRequest) -> None:
    assert requests.WRITE_READERS[op](Reader(body)) == request_


@pytest.mark.parametrize(("op", "body", "_request"), _WRITES)
def test_write_is_refused_wherever_it_is_cut_off(
    op: OpCode, body: bytes, _request: WriteRequest
) -> None:
    for length in range(len(body)):
        with pytest.raises(MalformedError):
            requests.WRITE_READERS[op](Reader(body[:length]))


@pytest.mark.parametrize(("tail", "knows_read_only"), [(b"", False), (b"\0", True)])
def test_first_frame_is_read_with_and_without_its_last_field(
    tail: bytes, *, knows_read_only: bool
) -> None:
    frame = pack_int(0) + pack_long(9) + pack_int(6000) + pack_long(77) + pack_buffer(b"p" * 16)
    assert requests.read_connect(Reader(frame + tail)) == ConnectRequest(
        9, 6000, 77, b"p" * 16, knows_read_only
    )


def test_set_watches_is_read() -> None:
    vectors = pack_int(1) + pack_string("/d") + pack_int(0) + pack_int(-1)
    request = requests.read_set_watches(Reader(pack_long(5) + vectors))
    assert request == SetWatchesRequest(5, ["/d"], [], [])


def test_transaction_is_read_until_its_end() -> None:
    body = b"".join(
        struct.pack("!iBi", op, 0, -1) + body for op, body, _ in _WRITES if op != OpCode.SET_ACL
    )
    request = requests.read_multi(Reader(body + struct.pack("!iBi", -1, 1, -1)))
    expected: list[tuple[OpCode, WriteRequest]] = [
        (op, one) for op, _, one in _WRITES if op != OpCode.SET_ACL
    ]
    assert request == MultiRequest(expected)


@pytest.mark.parametrize("op", [OpCode.GET_DATA, OpCode.SET_ACL, OpCode.MULTI, 0, 999])
def test_transaction_is_refused_when_it_holds_another_operation(op: int) -> None:
    with pytest.raises(MalformedError, match=f"operation {int(op)} in a transaction"):
        requests.read_multi(Reader(struct.pack("!iBi", op, 0, -1) + _PATH))


def test_transaction_is_refused_when_it_has_no_end() -> None:
    with pytest.raises(MalformedError):
        requests.read_multi(Reader(struct.pack("!iBi", OpCode.CHECK, 0, -1) + _PATH + pack_int(0)))
