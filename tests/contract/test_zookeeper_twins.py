"""Random requests to the embedded ZooKeeper and to Apache's: all answers and events agree."""

import random
import struct
import uuid
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.zookeeper import EmbeddedZooKeeper, RealZooKeeper
from tests.support.zookeeper_wire import (
    EVENT_XID,
    Reply,
    WireClient,
    event_of,
    pack_buffer,
    pack_create,
    pack_string,
)

_CREATE, _DELETE, _EXISTS, _GET_DATA, _SET_DATA, _GET_ACL, _SET_ACL = range(1, 8)
_GET_CHILDREN2, _CHECK, _MULTI, _CREATE2 = 12, 13, 14, 15
_STAT = struct.Struct("!qqqqiiiqiiq")
_REQUESTS = 400
_MULTI_END = struct.pack("!iBi", -1, 1, -1)


class _Request(NamedTuple):
    op: int
    make_body: Callable[[str], bytes]
    """The body, given the znode below which all happens."""
    read: Callable[[bytes], object]
    """What of the answer's body both servers must agree on."""


def _comparable_stat(packed: bytes) -> tuple[object, ...]:
    """A stat without the figures that are each server's own (zxids, times, session ids)."""
    czxid, mzxid, _, _, *versions, owner, length, children, pzxid = _STAT.unpack(packed)
    return *versions, owner != 0, length, children, czxid == mzxid, czxid == pzxid


def _without_root(text: bytes) -> bytes:
    """Paths begin with a random znode: drop its name."""
    return text[4 + 33 :]


def _read_nothing(body: bytes) -> object:
    return body


def _read_path(body: bytes) -> object:
    return _without_root(body)


def _read_path_and_stat(body: bytes) -> object:
    return _without_root(body[: -_STAT.size]), _comparable_stat(body[-_STAT.size :])


def _read_body_and_stat(body: bytes) -> object:
    return body[: -_STAT.size], _comparable_stat(body[-_STAT.size :])


def _read_children_and_stat(body: bytes) -> object:
    (count,) = struct.unpack_from("!i", body)
    names, offset = [], 4
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, offset)
        names.append(body[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return sorted(names), _comparable_stat(body[offset:])


def _read_multi(body: bytes) -> object:
    """Of a transaction: which operations failed how, and how long the whole answer is."""
    types, offset = [], 0
    while body[offset : offset + 9] != _MULTI_END:
        op, _done, error = struct.unpack_from("!iBi", body, offset)
        offset += 9
        types.append((op, error))
        if op == _CREATE:
            offset += 4 + struct.unpack_from("!i", body, offset)[0]
        offset += {_SET_DATA: _STAT.size, -1: 4}.get(op, 0)
    return types


def _random_path(rng: random.Random) -> str:
    depth = rng.choice([0, 1, 1, 1, 2, 2, 3])
    return "".join(f"/{rng.choice('abc')}" for _ in range(depth))


def _random_write(rng: random.Random) -> _Request:
    path, version = _random_path(rng), rng.choice([-1, -1, -1, 0, 1, 2])
    data = rng.choice([None, b"", b"x", b"some data"])
    tail = struct.pack("!i", version)
    kind = rng.choice([_CREATE, _CREATE, _CREATE, _DELETE, _DELETE, _SET_DATA, _SET_DATA])
    if kind == _CREATE:
        flags = rng.choice([0, 0, 0, 1, 2, 3])
        return _Request(kind, lambda root: pack_create(root + path, data, flags=flags), _read_path)
    if kind == _DELETE:
        # Never the root of it all.
        return _Request(
            kind, lambda root: pack_string(f"{root}{path or '/a'}") + tail, _read_nothing
        )
    return _Request(
        kind, lambda root: pack_string(root + path) + pack_buffer(data) + tail, _read_body_and_stat
    )


def _random_multi(rng: random.Random) -> _Request:
    writes = [_random_write(rng) for _ in range(rng.randrange(1, 5))]
    check_path, check_version = _random_path(rng), rng.choice([-1, 0, 1])

    def make_body(root: str) -> bytes:
        parts = [struct.pack("!iBi", each.op, 0, -1) + each.make_body(root) for each in writes]
        check = pack_string(root + check_path) + struct.pack("!i", check_version)
        parts.append(struct.pack("!iBi", _CHECK, 0, -1) + check)
        return b"".join(parts) + _MULTI_END

    return _Request(_MULTI, make_body, _read_multi)


def _random_request(rng: random.Random) -> _Request:
    chance = rng.random()
    if chance < 0.5:
        return _random_write(rng)
    if chance < 0.6:
        return _random_multi(rng)
    path, watch = _random_path(rng), rng.choice([b"\0", b"\1"])
    op, read = rng.choice(
        [
            (_EXISTS, _read_body_and_stat),
            (_GET_DATA, _read_body_and_stat),
            (_GET_CHILDREN2, _read_children_and_stat),
            (_GET_ACL, _read_body_and_stat),
        ]
    )
    tail = b"" if op == _GET_ACL else watch
    return _Request(op, lambda root: pack_string(root + path) + tail, read)


def _run(client: WireClient, root: str, request: _Request) -> list[object]:
    """Send the request; gives the events that came before its answer, and the answer."""
    xid = client.send(request.op, request.make_body(root))
    seen: list[object] = []
    while (reply := client.read()).xid == EVENT_XID:
        kind, path = event_of(reply)
        seen.append((kind, path.removeprefix(root)))
    assert reply.xid == xid
    seen.append(_comparable(request, reply))
    return seen


def _comparable(request: _Request, reply: Reply) -> object:
    return reply.error, request.read(reply.body) if reply.error == 0 else reply.body


@pytest.mark.slow
@pytest.mark.zookeeper
@pytest.mark.parametrize("seed", range(4))
def test_answers_and_events_agree_when_requests_are_random(
    embedded_zookeeper: EmbeddedZooKeeper, real_zookeeper: RealZooKeeper, seed: int
) -> None:
    rng = random.Random(seed)
    parent = f"/{uuid.uuid4().hex[:30]}"
    root = f"{parent}/r"  # sequence numbers come from the parent: nobody else's
    with WireClient(embedded_zookeeper.port) as embedded, WireClient(real_zookeeper.port) as real:
        for client in (embedded, real):
            client.connect(timeout_ms=60_000)
            client.ask(_CREATE, pack_create(parent))
            client.ask(_CREATE, pack_create(root))
        for number in range(_REQUESTS):
            request = _random_request(rng)
            ours, theirs = _run(embedded, root, request), _run(real, root, request)
            assert ours == theirs, f"seed {seed}, request {number}: {request.make_body(root)!r}"
