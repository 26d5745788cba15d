"""Whatever clients send: the machine lives, and a crash takes back nothing that was shown."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.zkserver.machine import Client
from kafkalite.zkserver.tree import Tree, ZnodeRecord
from tests.support.zookeeper_machine import MachineDriver
from tests.support.zookeeper_wire import Session, pack_buffer, pack_create, pack_string

CREATE, DELETE, GET_DATA, SET_DATA, CHECK, MULTI = 1, 2, 4, 5, 13, 14
CREATE_CONTAINER, CREATE_TTL, CLOSE = 19, 21, -11
_MULTI_END = struct.pack("!iBi", -1, 1, -1)
_CLIENTS = 2

_paths = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(
    lambda names: "/" + "/".join(names)
)
_data = st.sampled_from([None, b"", b"x", b"longer"])
_versions = st.sampled_from([-1, -1, -1, 0, 1])


def _create(path: str, data: bytes | None, flags: int) -> tuple[int, bytes]:
    op = {4: CREATE_CONTAINER, 5: CREATE_TTL, 6: CREATE_TTL}.get(flags, CREATE)
    tail = struct.pack("!q", 50) if op == CREATE_TTL else b""
    return op, pack_create(path, data, flags=flags) + tail


_creations = st.builds(_create, _paths, _data, st.integers(0, 6))
_deletions = st.builds(
    lambda path, version: (DELETE, pack_string(path) + struct.pack("!i", version)),
    _paths,
    _versions,
)
_sets = st.builds(
    lambda path, data, version: (
        SET_DATA,
        pack_string(path) + pack_buffer(data) + struct.pack("!i", version),
    ),
    _paths,
    _data,
    _versions,
)
_checks = st.builds(
    lambda path, version: (CHECK, pack_string(path) + struct.pack("!i", version)), _paths, _versions
)
_singles = st.one_of(_creations, _creations, _deletions, _sets)
_transactions = st.lists(st.one_of(_singles, _checks), min_size=1, max_size=4).map(
    lambda operations: (
        MULTI,
        b"".join(struct.pack("!iBi", op, 0, -1) + body for op, body in operations) + _MULTI_END,
    )
)
_requests = st.one_of(_singles, _transactions, st.just((CLOSE, b"")))


class _Cluster:
    """Some clients of one machine, each with a session that is made again when it is gone."""

    def __init__(self) -> None:
        self.driver = MachineDriver()
        self._sessions: list[Session | None] = [None] * _CLIENTS
        self._clients: list[Client | None] = [None] * _CLIENTS
        self._zxids = [0] * _CLIENTS

    def client(self, number: int) -> Client:
        client = self._clients[number]
        if client is None or client.closed:
            zxid = self._zxids[number]
            session = self._sessions[number]
            client, granted = self.driver.connect(session=session, last_zxid=zxid)
            if granted.timeout_ms == 0:
                client, granted = self.driver.connect(last_zxid=zxid)
            assert granted.timeout_ms > 0
            self._clients[number], self._sessions[number] = client, granted
        return client

    def ask(self, number: int, op: int, body: bytes) -> None:
        for reply in self.driver.ask(self.client(number), op, body).replies:
            assert reply.zxid >= self._zxids[number]
            self._zxids[number] = reply.zxid

    def crash(self) -> None:
        self.driver.crash()
        self._clients = [None] * _CLIENTS


def _picture(tree: Tree) -> dict[str, ZnodeRecord | None]:
    pending, records = ["/"], {}
    while pending:
        path = pending.pop()
        node = tree.get(path)
        assert node is not None
        records[path] = tree.record(path)
        pending += [f"{path.rstrip('/')}/{name}" for name in node.children]
    return records


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, _CLIENTS - 1), _requests),
        st.tuples(st.just("ask"), st.integers(0, _CLIENTS - 1), _requests),
        st.tuples(st.just("tick"), st.sampled_from([100, 1000, 61_000]), st.none()),
        st.tuples(st.just("crash"), st.none(), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(_steps)
def test_machine_after_a_crash_is_the_machine_before_it(
    steps: list[tuple[str, int, tuple[int, bytes]]],
) -> None:
    cluster = _Cluster()
    cluster.client(0)
    for action, number, request in steps:
        if action == "ask":
            cluster.ask(number, *request)
        elif action == "tick":
            cluster.driver.tick(number)
            cluster.driver.take(cluster.client(0))
        else:
            before = cluster.driver.machine
            cluster.crash()
            after = cluster.driver.machine
            assert _picture(after.tree) == _picture(before.tree)
            assert after.tree.ephemerals == before.tree.ephemerals
            assert after.tree.perishable == before.tree.perishable
            assert after.tree.data_size == before.tree.data_size
            assert (after.zxid, after.session_count) == (before.zxid, before.session_count)


_bytes = st.binary(max_size=60)
_ops = st.one_of(st.integers(-12, 120), st.integers(-(1 << 31), (1 << 31) - 1))


def _lie(op: int, body: bytes, cut: int, position: int, value: int) -> tuple[int, bytes]:
    """A good request with a byte changed and its end cut off."""
    damaged = bytearray(body[: len(body) - cut % (len(body) + 1)])
    if damaged:
        damaged[position % len(damaged)] = value
    return op, bytes(damaged)


_damaged = st.builds(
    lambda request, *how: _lie(*request, *how),
    _requests,
    st.integers(0, 30),
    st.integers(0, 300),
    st.integers(0, 255),
)
_nonsense = st.one_of(st.tuples(_ops, _bytes), _damaged)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(_nonsense, max_size=20), _bytes)
def test_machine_lives_and_stays_whole_when_requests_are_nonsense(
    requests: list[tuple[int, bytes]], first_frame: bytes
) -> None:
    driver = MachineDriver()
    driver.receive(Client("127.0.0.1"), first_frame)
    for op, body in requests:
        client, _ = driver.connect()
        driver.ask(client, op, body)
    client, _ = driver.connect()
    assert driver.ask(client, GET_DATA, pack_string("/") + b"\0").replies[0].error == 0
    before = _picture(driver.machine.tree)
    driver.crash()
    assert _picture(driver.machine.tree) == before
