"""The machine: sessions, watches and the tree joined, without sockets and with a clock of ours."""

import struct

import pytest

from kafkalite.zkserver.machine import Client
from tests.support.zookeeper_machine import LIMITS, MachineDriver
from tests.support.zookeeper_wire import (
    Event,
    Session,
    event_of,
    pack_buffer,
    pack_create,
    pack_string,
    pack_strings,
)

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = 1, 2, 3, 4, 5
GET_CHILDREN, SYNC, PING, MULTI, RECONFIG, CREATE_CONTAINER = 8, 9, 11, 14, 16, 19
CREATE_TTL, AUTH, SET_WATCHES, CLOSE = 21, 100, 101, -11
OK, UNIMPLEMENTED, NO_NODE, NODE_EXISTS, RECONFIG_DISABLED = 0, -6, -101, -110, -123
CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4
NO_WATCH, WATCH = b"\0", b"\1"
EPHEMERAL, SEQUENTIAL = 1, 2
_CONTAINER_CHECK_MS = 60_000


@pytest.fixture
def driver() -> MachineDriver:
    return MachineDriver()


@pytest.fixture
def client(driver: MachineDriver) -> Client:
    return driver.connect(timeout_ms=LIMITS.max_session_timeout_ms)[0]


def _set(path: str, data: bytes = b"") -> bytes:
    return pack_string(path) + pack_buffer(data) + struct.pack("!i", -1)


def _exists(driver: MachineDriver, client: Client, path: str) -> int:
    return driver.ask(client, EXISTS, pack_string(path) + NO_WATCH).replies[-1].error


# -- sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked_ms", "granted_ms"), [(0, 200), (500, 500), (99_999, 10_000)])
def test_session_timeout_is_kept_within_the_limits(
    driver: MachineDriver, asked_ms: int, granted_ms: int
) -> None:
    _, session = driver.connect(timeout_ms=asked_ms)
    assert session.timeout_ms == granted_ms


def test_session_expires_with_its_ephemerals_when_nothing_is_heard(
    driver: MachineDriver, client: Client
) -> None:
    silent, session = driver.connect(timeout_ms=300)
    driver.ask(silent, CREATE, pack_create("/e", flags=EPHEMERAL))
    driver.ask(client, EXISTS, pack_string("/e") + WATCH)
    driver.tick()
    driver.tick()
    assert not silent.closed
    driver.tick()
    assert [event_of(reply) for reply in driver.take(client).replies] == [Event(DELETED, "/e")]
    assert silent.closed
    assert driver.connect(session=session)[1].timeout_ms == 0


@pytest.mark.parametrize("op", [PING, EXISTS])
def test_session_lives_when_anything_is_heard(driver: MachineDriver, op: int) -> None:
    client, _ = driver.connect(timeout_ms=300)
    for _ in range(10):
        driver.tick(200)
        driver.ask(client, op, pack_string("/") + NO_WATCH)
    assert not client.closed


def test_session_lives_when_the_server_itself_stood_still(driver: MachineDriver) -> None:
    client, _ = driver.connect(timeout_ms=300)
    driver.tick()
    driver.tick(60_000)
    assert not client.closed
    driver.tick()
    driver.tick()
    assert client.closed


def test_older_connection_is_closed_when_its_session_is_resumed_on_another(
    driver: MachineDriver,
) -> None:
    first, session = driver.connect()
    second, resumed = driver.connect(session=session)
    assert (resumed.id, resumed.password) == (session.id, session.password)
    assert (first.closed, second.closed) == (True, False)
    driver.machine.disconnected(first)
    assert driver.ask(second, PING, xid=-2).replies[0].error == OK


def test_session_is_refused_when_the_password_is_wrong(driver: MachineDriver) -> None:
    first, session = driver.connect()
    thief, refused = driver.connect(session=session._replace(password=b"x" * 16))
    assert (refused, thief.closed) == (Session(0, 0, bytes(16)), True)
    assert not first.closed


def test_closing_a_session_deletes_its_ephemerals_and_answers_before_the_end(
    driver: MachineDriver, client: Client
) -> None:
    owner, _ = driver.connect()
    driver.ask(owner, CREATE, pack_create("/e", flags=EPHEMERAL))
    sent = driver.ask(owner, CLOSE)
    assert ([reply.error for reply in sent.replies], sent.closed) == ([OK], True)
    assert _exists(driver, client, "/e") == NO_NODE


def test_client_is_dropped_when_it_has_seen_a_later_state(driver: MachineDriver) -> None:
    client, session = driver.connect(last_zxid=driver.machine.zxid + 1)
    assert (client.closed, session.id) == (True, 0)


# -- what is stored -------------------------------------------------------------------------------


def test_answer_waits_for_the_batch_that_holds_what_it_shows(
    driver: MachineDriver, client: Client
) -> None:
    reader, _ = driver.connect()
    driver.receive(client, struct.pack("!ii", 1, CREATE) + pack_create("/a", b"x"))
    driver.receive(reader, struct.pack("!ii", 1, GET_DATA) + pack_string("/a") + NO_WATCH)
    batch, outgoing = driver.machine.ready()
    assert batch is not None
    assert set(batch.znodes) == {"/", "/a"}
    assert [item.client for item in outgoing] == [client, reader]
    assert driver.machine.ready() == (None, [])


def test_nothing_is_stored_when_nothing_has_changed(driver: MachineDriver, client: Client) -> None:
    for op, body in [
        (EXISTS, pack_string("/") + NO_WATCH),
        (CREATE, pack_create("/missing/a")),
        (MULTI, struct.pack("!iBi", -1, 1, -1)),
        (PING, b""),
    ]:
        driver.receive(client, struct.pack("!ii", 1, op) + body)
        batch, outgoing = driver.machine.ready()
        assert (batch, len(outgoing)) == (None, 1)


def test_sequence_zxid_and_session_ids_go_on_after_a_crash(
    driver: MachineDriver, client: Client
) -> None:
    driver.ask(client, CREATE, pack_create("/q"))
    first = driver.ask(client, CREATE, pack_create("/q/s-", flags=SEQUENTIAL)).replies[0]
    driver.ask(client, DELETE, first.body + struct.pack("!i", -1))
    zxid, last_id = driver.machine.zxid, client.session_id
    driver.crash()
    again, session = driver.connect(last_zxid=zxid)
    assert session.id > last_id
    second = driver.ask(again, CREATE, pack_create("/q/s-", flags=SEQUENTIAL)).replies[0]
    assert (first.body, second.body) == (
        pack_string("/q/s-0000000000"),
        pack_string("/q/s-0000000001"),
    )
    assert second.zxid > zxid


def test_session_is_resumed_with_its_ephemerals_after_a_crash(driver: MachineDriver) -> None:
    owner, session = driver.connect(timeout_ms=300)
    driver.ask(owner, CREATE, pack_create("/e", flags=EPHEMERAL))
    driver.now_ms += 10_000
    driver.crash()
    again, resumed = driver.connect(session=session)
    assert resumed.id == session.id
    assert _exists(driver, again, "/e") == OK


def test_session_that_does_not_come_back_after_a_crash_expires(driver: MachineDriver) -> None:
    owner, _ = driver.connect(timeout_ms=300)
    driver.ask(owner, CREATE, pack_create("/e", flags=EPHEMERAL))
    driver.crash()
    driver.tick(200)
    other, _ = driver.connect()
    assert _exists(driver, other, "/e") == OK
    driver.tick()
    assert _exists(driver, other, "/e") == NO_NODE


# -- watches --------------------------------------------------------------------------------------


def test_event_comes_before_the_answer_to_the_write_that_caused_it(
    driver: MachineDriver, client: Client
) -> None:
    driver.ask(client, GET_CHILDREN, pack_string("/") + WATCH)
    event, reply = driver.ask(client, CREATE, pack_create("/a"), xid=9).replies
    assert (event_of(event), reply.xid) == (Event(CHILD, "/"), 9)


def test_nothing_is_told_when_a_transaction_fails(driver: MachineDriver, client: Client) -> None:
    driver.ask(client, EXISTS, pack_string("/a") + WATCH)
    create = struct.pack("!iBi", CREATE, 0, -1) + pack_create("/a")
    sent = driver.ask(client, MULTI, create + create + struct.pack("!iBi", -1, 1, -1))
    (reply,) = sent.replies
    assert reply.body == b"".join(
        struct.pack("!iBii", -1, 0, code, code) for code in (OK, NODE_EXISTS)
    ) + struct.pack("!iBi", -1, 1, -1)
    assert _exists(driver, client, "/a") == NO_NODE


def test_watches_are_forgotten_when_the_connection_is_gone(
    driver: MachineDriver, client: Client
) -> None:
    leaver, _ = driver.connect()
    driver.ask(leaver, GET_DATA, pack_string("/") + WATCH)
    driver.machine.disconnected(leaver)
    assert len(driver.machine.watches) == 0
    assert len(driver.ask(client, SET_DATA, _set("/")).replies) == 1


def test_set_watches_tells_what_was_missed_and_keeps_the_rest(
    driver: MachineDriver, client: Client
) -> None:
    driver.ask(client, CREATE, pack_create("/same"))
    driver.ask(client, CREATE, pack_create("/changed"))
    since = driver.machine.zxid
    driver.ask(client, SET_DATA, _set("/changed"))
    driver.ask(client, CREATE, pack_create("/changed/child"))
    body = struct.pack("!q", since)
    body += pack_strings(["/same", "/changed", "/gone"])
    body += pack_strings(["/later", "/same"])
    body += pack_strings(["/same", "/changed", "/gone"])
    *events, reply = driver.ask(client, SET_WATCHES, body, xid=-8).replies
    assert [event_of(event) for event in events] == [
        Event(CHANGED, "/changed"),
        Event(DELETED, "/gone"),
        Event(CREATED, "/same"),
        Event(CHILD, "/changed"),
        Event(DELETED, "/gone"),
    ]
    assert (reply.xid, reply.error) == (-8, OK)
    assert len(driver.machine.watches) == 3


# -- other requests -------------------------------------------------------------------------------


def test_container_is_removed_when_it_has_lost_its_last_child(
    driver: MachineDriver, client: Client
) -> None:
    driver.ask(client, CREATE_CONTAINER, pack_create("/c", flags=4))
    driver.ask(client, CREATE, pack_create("/c/child"))
    driver.tick()
    driver.ask(client, DELETE, pack_string("/c/child") + struct.pack("!i", -1))
    driver.tick()
    assert _exists(driver, client, "/c") == OK
    driver.tick(_CONTAINER_CHECK_MS)
    assert _exists(driver, client, "/c") == NO_NODE


def test_znode_is_removed_when_its_time_to_live_is_over(
    driver: MachineDriver, client: Client
) -> None:
    driver.ask(client, CREATE_TTL, pack_create("/t", flags=5) + struct.pack("!q", 70_000))
    driver.tick()
    driver.tick(_CONTAINER_CHECK_MS)
    assert _exists(driver, client, "/t") == OK
    driver.tick(_CONTAINER_CHECK_MS)
    assert _exists(driver, client, "/t") == NO_NODE


def test_sync_gives_its_path(driver: MachineDriver, client: Client) -> None:
    (reply,) = driver.ask(client, SYNC, pack_string("/a")).replies
    assert (reply.error, reply.body) == (OK, pack_string("/a"))


@pytest.mark.parametrize(
    ("op", "error"), [(105, UNIMPLEMENTED), (-10, UNIMPLEMENTED), (RECONFIG, RECONFIG_DISABLED)]
)
def test_request_is_refused_and_the_connection_kept_when_it_is_not_supported(
    driver: MachineDriver, client: Client, op: int, error: int
) -> None:
    sent = driver.ask(client, op)
    assert ([reply.error for reply in sent.replies], sent.closed) == ([error], False)


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\1", struct.pack("!ii", 1, CREATE) + b"\0\0"])
def test_connection_is_closed_and_its_session_kept_when_a_frame_is_no_request(
    driver: MachineDriver, client: Client, frame: bytes
) -> None:
    driver.receive(client, frame)
    assert driver.take(client) == ([], True)
    assert driver.machine.session_count == 1


def test_frame_is_ignored_when_its_connection_is_closed(
    driver: MachineDriver, client: Client
) -> None:
    driver.receive(client, b"")
    driver.take(client)
    assert driver.ask(client, CREATE, pack_create("/a")).replies == []
    assert driver.machine.tree.get("/a") is None


def test_credentials_are_those_of_the_connection(driver: MachineDriver, client: Client) -> None:
    auth = struct.pack("!i", 0) + pack_string("digest") + pack_buffer(b"user:secret")
    assert driver.ask(client, AUTH, auth, xid=-4).replies[0].error == OK
    driver.ask(client, AUTH, auth, xid=-4)
    assert [identity.scheme for identity in client.identities] == ["ip", "digest"]
