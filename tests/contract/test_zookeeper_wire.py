"""The same contract below kazoo: frames, sessions and orders that its client never shows."""

import struct
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.support.zookeeper import ZooKeeperProcess
from tests.support.zookeeper_wire import (
    EVENT_XID,
    Event,
    Session,
    WireClient,
    event_of,
    pack_buffer,
    pack_create,
    pack_string,
    pack_strings,
)

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = 1, 2, 3, 4, 5
GET_CHILDREN, PING, CREATE2, MULTI, CREATE_CONTAINER, CREATE_TTL = 8, 11, 15, 14, 19, 21
AUTH, SET_WATCHES, CLOSE = 100, 101, -11
OK, BAD_ARGUMENTS, NO_NODE, INVALID_ACL, AUTH_FAILED = 0, -8, -101, -114, -115
CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4
NO_WATCH, WATCH = b"\0", b"\1"


@pytest.fixture
def root(zookeeper: ZooKeeperProcess) -> str:
    path = f"/{uuid.uuid4().hex}"
    with WireClient(zookeeper.port) as client:
        client.connect()
        assert client.ask(CREATE, pack_create(path)).error == OK
    return path


@pytest.fixture
def client(zookeeper: ZooKeeperProcess) -> Iterator[WireClient]:
    with WireClient(zookeeper.port) as made:
        made.connect()
        yield made


def set_data(path: str, data: bytes = b"", version: int = -1) -> bytes:
    return pack_string(path) + pack_buffer(data) + struct.pack("!i", version)


def delete(path: str, version: int = -1) -> bytes:
    return pack_string(path) + struct.pack("!i", version)


def reconnect(zookeeper: ZooKeeperProcess, session: Session) -> tuple[WireClient, Session]:
    client = WireClient(zookeeper.port)
    return client, client.connect(session_id=session.id, password=session.password)


# -- sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked_ms", "granted_ms"), [(1, 400), (400, 400), (5000, 5000), (10**9, 60_000)]
)
def test_session_timeout_is_kept_within_the_servers_bounds(
    zookeeper: ZooKeeperProcess, asked_ms: int, granted_ms: int
) -> None:
    with WireClient(zookeeper.port) as client:
        session = client.connect(timeout_ms=asked_ms)
    assert session.timeout_ms == granted_ms
    assert session.id > 0
    assert len(session.password) == 16


def test_session_moves_to_the_connection_that_resumes_it(
    zookeeper: ZooKeeperProcess, root: str
) -> None:
    with WireClient(zookeeper.port) as first:
        session = first.connect()
        first.ask(CREATE, pack_create(f"{root}/e", flags=1))
        second, resumed = reconnect(zookeeper, session)
        with second:
            assert (resumed.id, resumed.password) == (session.id, session.password)
            assert first.is_closed_by_server()
            assert second.ask(EXISTS, pack_string(f"{root}/e") + b"\0").error == OK


def test_session_survives_when_its_connection_breaks(
    zookeeper: ZooKeeperProcess, root: str
) -> None:
    with WireClient(zookeeper.port) as first:
        session = first.connect()
        first.ask(CREATE, pack_create(f"{root}/e", flags=1))
    second, resumed = reconnect(zookeeper, session)
    with second:
        assert resumed.id == session.id
        assert second.ask(EXISTS, pack_string(f"{root}/e") + b"\0").error == OK


def test_session_is_refused_and_lives_on_when_the_password_is_wrong(
    zookeeper: ZooKeeperProcess,
) -> None:
    with WireClient(zookeeper.port) as first:
        session = first.connect()
    thief, refused = reconnect(zookeeper, session._replace(password=b"x" * 16))
    with thief:
        assert (refused.timeout_ms, refused.id) == (0, 0)
        assert thief.is_closed_by_server()
    second, resumed = reconnect(zookeeper, session)
    with second:
        assert resumed.id == session.id


def test_session_is_refused_when_it_was_closed(zookeeper: ZooKeeperProcess) -> None:
    with WireClient(zookeeper.port) as first:
        session = first.connect()
        assert first.ask(CLOSE).error == OK
        assert first.is_closed_by_server()
    second, refused = reconnect(zookeeper, session)
    with second:
        assert refused.timeout_ms == 0


@pytest.mark.slow
def test_session_expires_when_nothing_is_heard_of_it(
    zookeeper: ZooKeeperProcess, client: WireClient, root: str
) -> None:
    with WireClient(zookeeper.port) as silent:
        session = silent.connect(timeout_ms=400)
        silent.ask(CREATE, pack_create(f"{root}/e", flags=1))
        client.ask(GET_CHILDREN, pack_string(root) + WATCH)
        client.ask(EXISTS, pack_string(f"{root}/e") + WATCH)
        began = time.monotonic()
        assert event_of(client.read()) == Event(DELETED, f"{root}/e")
        assert event_of(client.read()) == Event(CHILD, root)
        assert time.monotonic() - began >= 0.2
        assert silent.is_closed_by_server()
    second, refused = reconnect(zookeeper, session)
    with second:
        assert refused.timeout_ms == 0


@pytest.mark.slow
def test_session_lives_when_it_only_pings(zookeeper: ZooKeeperProcess, root: str) -> None:
    with WireClient(zookeeper.port) as client:
        client.connect(timeout_ms=400)
        client.ask(CREATE, pack_create(f"{root}/e", flags=1))
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            assert client.ask(PING, xid=-2).error == OK
        assert client.ask(EXISTS, pack_string(f"{root}/e") + b"\0").error == OK


def test_client_is_refused_when_it_has_seen_a_later_state(zookeeper: ZooKeeperProcess) -> None:
    with WireClient(zookeeper.port) as client, pytest.raises(ConnectionError):
        client.connect(last_zxid=1 << 40)


# -- watches --------------------------------------------------------------------------------------


def test_event_comes_before_the_answer_to_the_write_that_caused_it(
    client: WireClient, root: str
) -> None:
    client.ask(GET_DATA, pack_string(root) + WATCH)
    xid = client.send(SET_DATA, set_data(root))
    assert event_of(client.read()) == Event(CHANGED, root)
    assert client.read().xid == xid


def test_deletion_is_told_once_when_data_and_children_are_watched(
    client: WireClient, root: str
) -> None:
    path = f"{root}/a"
    client.ask(CREATE, pack_create(path))
    client.ask(GET_DATA, pack_string(path) + WATCH)
    client.ask(GET_CHILDREN, pack_string(path) + WATCH)
    xid = client.send(DELETE, delete(path))
    assert event_of(client.read()) == Event(DELETED, path)
    assert client.read().xid == xid
    assert client.ask(CREATE, pack_create(path)).error == OK
    assert client.ask(DELETE, delete(path)).error == OK


def test_watch_is_not_left_when_the_read_fails(client: WireClient, root: str) -> None:
    path = f"{root}/a"
    assert client.ask(GET_DATA, pack_string(path) + WATCH).error == NO_NODE
    assert client.ask(GET_CHILDREN, pack_string(path) + WATCH).error == NO_NODE
    assert client.ask(CREATE, pack_create(path)).error == OK


def test_watches_are_gone_when_the_connection_is(
    zookeeper: ZooKeeperProcess, client: WireClient, root: str
) -> None:
    with WireClient(zookeeper.port) as first:
        session = first.connect()
        first.ask(GET_DATA, pack_string(root) + WATCH)
    second, _ = reconnect(zookeeper, session)
    with second:
        assert client.ask(SET_DATA, set_data(root)).error == OK
        assert second.ask(EXISTS, pack_string(root) + b"\0").error == OK


def test_set_watches_tells_what_was_missed_and_keeps_the_rest(
    client: WireClient, root: str
) -> None:
    same, changed = f"{root}/same", f"{root}/changed"
    client.ask(CREATE, pack_create(same))
    since = client.ask(CREATE, pack_create(changed)).zxid
    client.ask(SET_DATA, set_data(changed))
    client.ask(CREATE, pack_create(f"{changed}/child"))
    body = struct.pack("!q", since)
    body += pack_strings([same, changed, f"{root}/gone"])
    body += pack_strings([f"{root}/later", f"{changed}/child"])
    body += pack_strings([same, changed])
    client.send(SET_WATCHES, body, xid=-8)
    replies = [client.read() for _ in range(5)]
    events = {event_of(reply) for reply in replies if reply.xid == EVENT_XID}
    assert events == {
        Event(CHANGED, changed),
        Event(DELETED, f"{root}/gone"),
        Event(CREATED, f"{changed}/child"),
        Event(CHILD, changed),
    }
    assert [reply.error for reply in replies if reply.xid == -8] == [OK]
    client.send(SET_DATA, set_data(same))
    assert event_of(client.read()) == Event(CHANGED, same)
    client.read()
    client.send(CREATE, pack_create(f"{root}/later"))
    assert event_of(client.read()) == Event(CREATED, f"{root}/later")


# -- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a\0b", "\u0001", "\u0085", "\ue000", "\ufff5", "😀"]
)
def test_create_is_refused_when_the_path_is_invalid(
    client: WireClient, root: str, name: str
) -> None:
    path = f"{root}/{name}"
    assert client.ask(CREATE, pack_create(path)).error == BAD_ARGUMENTS


@pytest.mark.parametrize(
    ("path", "error"), [("", BAD_ARGUMENTS), ("a", BAD_ARGUMENTS), ("a/b", NO_NODE)]
)
def test_create_is_refused_when_the_path_is_relative(
    client: WireClient, path: str, error: int
) -> None:
    assert client.ask(CREATE, pack_create(path)).error == error


@pytest.mark.parametrize("name", ["..a", "a b", "ü", "a.b", "...", "\u00ad", "漢字"])
def test_create_is_done_when_the_path_is_merely_unusual(
    client: WireClient, root: str, name: str
) -> None:
    path = f"{root}/{name}"
    reply = client.ask(CREATE, pack_create(path))
    assert (reply.error, reply.body) == (OK, pack_string(path))


def test_container_looks_like_any_znode_and_takes_children(client: WireClient, root: str) -> None:
    path = f"{root}/c"
    reply = client.ask(CREATE_CONTAINER, pack_create(path, flags=4))
    stat = client.ask(EXISTS, pack_string(path) + b"\0").body
    assert (reply.error, reply.body) == (OK, pack_string(path) + stat)
    assert struct.unpack("!qqqqiiiqiiq", stat)[7] == 0
    assert client.ask(CREATE, pack_create(f"{path}/child")).error == OK


def test_znode_with_time_to_live_looks_like_any_and_takes_children(
    client: WireClient, root: str
) -> None:
    path = f"{root}/t"
    body = pack_create(path, flags=5) + struct.pack("!q", 60_000)
    reply = client.ask(CREATE_TTL, body)
    stat = client.ask(EXISTS, pack_string(path) + b"\0").body
    assert (reply.error, reply.body) == (OK, pack_string(path) + stat)
    assert struct.unpack("!qqqqiiiqiiq", stat)[7] == 0
    assert client.ask(CREATE, pack_create(f"{path}/child")).error == OK


@pytest.mark.parametrize("ttl_ms", [0, -1, 1 << 40])
def test_time_to_live_is_refused_when_out_of_range(
    client: WireClient, root: str, ttl_ms: int
) -> None:
    body = pack_create(f"{root}/t", flags=5) + struct.pack("!q", ttl_ms)
    assert client.ask(CREATE_TTL, body).error == BAD_ARGUMENTS


def test_create_is_refused_when_its_flags_are_unknown(client: WireClient, root: str) -> None:
    assert client.ask(CREATE, pack_create(f"{root}/a", flags=99)).error == BAD_ARGUMENTS


@pytest.mark.parametrize(
    ("op", "flags", "shown_op"),
    [
        (CREATE, 0, CREATE),
        (CREATE2, 0, CREATE),
        (CREATE, 4, CREATE2),
        (CREATE_CONTAINER, 4, CREATE2),
    ],
)
def test_creation_in_a_transaction_gives_path_and_only_for_containers_the_stat(
    client: WireClient, root: str, op: int, flags: int, shown_op: int
) -> None:
    path = f"{root}/a"
    end = struct.pack("!iBi", -1, 1, -1)
    reply = client.ask(MULTI, struct.pack("!iBi", op, 0, -1) + pack_create(path, flags=flags) + end)
    stat = client.ask(EXISTS, pack_string(path) + b"\0").body
    header = struct.pack("!iBi", shown_op, 0, 0)
    shown_stat = stat if shown_op == CREATE2 else b""
    assert reply.body == header + pack_string(path) + shown_stat + end


def test_empty_transaction_is_done(client: WireClient) -> None:
    end = struct.pack("!iBi", -1, 1, -1)
    reply = client.ask(MULTI, end)
    assert (reply.error, reply.body) == (OK, end)


def test_connection_is_closed_when_the_scheme_is_unknown(client: WireClient) -> None:
    body = struct.pack("!i", 0) + pack_string("nonsense") + pack_buffer(b"x")
    assert client.ask(AUTH, body, xid=-4).error == AUTH_FAILED
    assert client.is_closed_by_server()


def test_connection_is_closed_when_a_frame_is_too_large(client: WireClient) -> None:
    client.send_bytes(struct.pack("!i", 0x100000))
    assert client.is_closed_by_server()


def test_connection_is_closed_when_a_length_is_negative(client: WireClient) -> None:
    client.send_bytes(struct.pack("!i", -5))
    assert client.is_closed_by_server()


def test_largest_frame_is_taken_in_and_given_back(client: WireClient, root: str) -> None:
    overhead = 8 + len(set_data(root))
    data = b"x" * (0xFFFFF - overhead)
    assert client.ask(SET_DATA, set_data(root, data)).error == OK
    assert client.ask(GET_DATA, pack_string(root) + b"\0").body[4 : 4 + len(data)] == data


def test_answers_show_a_zxid_that_never_goes_back(client: WireClient, root: str) -> None:
    zxids = []
    for number in range(20):
        zxids.append(client.ask(CREATE, pack_create(f"{root}/{number}")).zxid)
        zxids.append(client.ask(EXISTS, pack_string(root) + b"\0").zxid)
        zxids.append(client.ask(CREATE, pack_create(f"{root}/{number}")).zxid)
    assert zxids == sorted(zxids)
    assert len(set(zxids)) >= 20


def test_auth_scheme_is_refused_when_the_client_has_proven_nothing(
    client: WireClient, root: str
) -> None:
    body = pack_create(f"{root}/a", acl=[(31, "auth", "")])
    assert client.ask(CREATE, body).error == INVALID_ACL


def test_requests_are_all_answered_in_order_when_thousands_are_sent_at_once(
    client: WireClient, root: str
) -> None:
    body = pack_string(root) + NO_WATCH
    sent = [client.send(EXISTS, body) for _ in range(5000)]
    assert [client.read().xid for _ in sent] == sent


def test_answers_wait_for_a_client_that_reads_late(client: WireClient, root: str) -> None:
    data = b"x" * 1_000_000
    client.ask(SET_DATA, set_data(root, data))
    sent = [client.send(GET_DATA, pack_string(root) + NO_WATCH) for _ in range(60)]
    for xid in sent:
        reply = client.read()
        assert (reply.xid, reply.body[4 : 4 + len(data)] == data) == (xid, True)


@pytest.mark.slow
def test_client_that_reads_nothing_does_not_stop_others(
    zookeeper: ZooKeeperProcess, client: WireClient, root: str
) -> None:
    with WireClient(zookeeper.port) as deaf:
        deaf.connect()
        deaf.ask(SET_DATA, set_data(root, b"x" * 100_000))
        for _ in range(3000):
            deaf.send(GET_DATA, pack_string(root) + NO_WATCH)
        assert client.ask(EXISTS, pack_string(root) + NO_WATCH).error == OK
