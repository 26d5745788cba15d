"""What was acknowledged is there after SIGKILL, on the embedded ZooKeeper as on Apache's."""

import os
import queue
import resource
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.zookeeper import EmbeddedZooKeeper, RealZooKeeper, ZooKeeperProcess
from tests.support.zookeeper_wire import (
    Event,
    Reply,
    WireClient,
    event_of,
    pack_buffer,
    pack_create,
    pack_string,
)

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL = 1, 2, 3, 4, 5, 6
GET_CHILDREN, GET_CHILDREN2, MULTI, CREATE_CONTAINER = 8, 12, 14, 19
OK, NO_NODE = 0, -101
SEQUENTIAL, EPHEMERAL = 2, 1
NO_WATCH, WATCH = b"\0", b"\1"
_WRITERS = 4
_MULTI_END = struct.pack("!iBi", -1, 1, -1)
_STAT = struct.Struct("!qqqqiiiqiiq")


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.zookeeper)])
def own_zookeeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ZooKeeperProcess]:
    """A server that the test may kill."""
    if request.param == "real":
        request.getfixturevalue("real_zookeeper")  # skips or fails where it is not installed
        server: ZooKeeperProcess = RealZooKeeper(tmp_path)
    else:
        server = EmbeddedZooKeeper(tmp_path)
    with server:
        yield server


class Writer:
    """Writes below one znode as fast as it is answered, and remembers the answers.

    Three kinds of write in turn: a sequential child, the data of the znode, and two znodes in one
    transaction. Used by one thread while the server lives, and by the test afterwards.
    """

    def __init__(self, number: int) -> None:
        self.path = f"/writer-{number}"
        self.children: list[str] = []
        """Acknowledged sequential children, in order."""
        self.version = 0
        """Acknowledged version of the znode's data."""
        self.pairs = 0
        """Acknowledged transactions."""
        self.zxid = 0
        """The largest that was shown."""

    def run(self, port: int, acknowledged: "queue.Queue[None]") -> None:
        """Write until the server dies."""
        with WireClient(port) as client:
            client.connect()
            try:
                while True:
                    self._write(client)
                    acknowledged.put(None)
            except ConnectionError:
                return

    def check(self, client: WireClient) -> None:
        """Everything acknowledged is there; of what was not, all or nothing."""
        data, version = _get(client, self.path)
        # One write may have been stored and not answered.
        assert version in {self.version, self.version + 1}
        assert data == (b"%d" % version if version else b"")
        names = _children(client, self.path)
        sequential = sorted(name for name in names if name.startswith("s-"))
        known = [child.rpartition("/")[2] for child in self.children]
        assert set(known) <= set(sequential)
        lefts = {name.removeprefix("left-") for name in names if name.startswith("left-")}
        rights = {name.removeprefix("right-") for name in names if name.startswith("right-")}
        assert lefts == rights
        assert len(lefts) in {self.pairs, self.pairs + 1}
        created = self._create(client)
        assert created.rpartition("/")[2] > max(sequential, default="")
        assert self._see(client.ask(EXISTS, pack_string(self.path) + NO_WATCH)).error == OK
        self.version, self.pairs = version, len(lefts)

    def _write(self, client: WireClient) -> None:
        self._create(client)
        body = pack_string(self.path) + pack_buffer(b"%d" % (self.version + 1))
        assert self._see(client.ask(SET_DATA, body + struct.pack("!i", self.version))).error == OK
        self.version += 1
        names = (f"left-{self.pairs}", f"right-{self.pairs}")
        creations = [
            struct.pack("!iBi", CREATE, 0, -1) + pack_create(f"{self.path}/{name}")
            for name in names
        ]
        assert self._see(client.ask(MULTI, b"".join(creations) + _MULTI_END)).error == OK
        self.pairs += 1

    def _create(self, client: WireClient) -> str:
        reply = self._see(client.ask(CREATE, pack_create(f"{self.path}/s-", flags=SEQUENTIAL)))
        assert reply.error == OK
        self.children.append(reply.body[4:].decode())
        return self.children[-1]

    def _see(self, reply: Reply) -> Reply:
        """Zxids do not go back, not even over a crash."""
        assert reply.zxid >= self.zxid
        self.zxid = reply.zxid
        return reply


def _get(client: WireClient, path: str) -> tuple[bytes, int]:
    """Data and version of a znode."""
    body = client.ask(GET_DATA, pack_string(path) + NO_WATCH).body
    return body[4 : -_STAT.size], _STAT.unpack(body[-_STAT.size :])[4]


def _children(client: WireClient, path: str) -> set[str]:
    body = client.ask(GET_CHILDREN, pack_string(path) + NO_WATCH).body
    (count,) = struct.unpack_from("!i", body)
    names, offset = set(), 4
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, offset)
        names.add(body[offset + 4 : offset + 4 + length].decode())
        offset += 4 + length
    return names


def _exists(client: WireClient, path: str) -> int:
    return client.ask(EXISTS, pack_string(path) + NO_WATCH).error


def _end_under_load(
    server: ZooKeeperProcess,
    writers: list[Writer],
    after_acknowledgements: int,
    end: Callable[[], object],
) -> None:
    """Let all writers write at once, and end the server in the middle of it."""
    acknowledged: queue.Queue[None] = queue.Queue()
    threads = [
        threading.Thread(target=writer.run, args=(server.port, acknowledged)) for writer in writers
    ]
    for thread in threads:
        thread.start()
    for _ in range(after_acknowledgements):
        acknowledged.get(timeout=30)
    end()
    for thread in threads:
        thread.join(30)


def _make_writers(server: ZooKeeperProcess) -> list[Writer]:
    writers = [Writer(number) for number in range(_WRITERS)]
    with WireClient(server.port) as client:
        client.connect()
        for writer in writers:
            assert client.ask(CREATE, pack_create(writer.path)).error == OK
    return writers


def _check_writers(server: ZooKeeperProcess, writers: list[Writer]) -> None:
    with WireClient(server.port) as client:
        # A server that has gone back behind what a client saw would refuse it.
        client.connect(last_zxid=max(writer.zxid for writer in writers))
        for writer in writers:
            writer.check(client)


@pytest.mark.slow
def test_acknowledged_writes_survive_when_killed_under_load(
    own_zookeeper: ZooKeeperProcess,
) -> None:
    writers = _make_writers(own_zookeeper)
    rounds = 8 if isinstance(own_zookeeper, EmbeddedZooKeeper) else 2
    for number in range(rounds):
        _end_under_load(own_zookeeper, writers, 20 + 13 * number, own_zookeeper.kill)
        own_zookeeper.start()
        _check_writers(own_zookeeper, writers)


@pytest.mark.slow
def test_embedded_server_stops_cleanly_when_stopped_under_load(tmp_path: Path) -> None:
    with EmbeddedZooKeeper(tmp_path) as server:
        writers = _make_writers(server)
        for number in range(3):
            _end_under_load(server, writers, 40 + 13 * number, server.stop)
            server.start()
            _check_writers(server, writers)
        lines = server.output.splitlines()
    assert sum(line.endswith("stopped") for line in lines) == 3
    assert [line for line in lines if " INFO " not in line] == []


@pytest.mark.slow
def test_session_and_its_ephemerals_survive_when_it_comes_back_after_a_crash(
    own_zookeeper: ZooKeeperProcess,
) -> None:
    with WireClient(own_zookeeper.port) as client:
        session = client.connect(timeout_ms=20_000)
        assert client.ask(CREATE, pack_create("/e", flags=EPHEMERAL)).error == OK
    own_zookeeper.kill()
    own_zookeeper.start()
    with WireClient(own_zookeeper.port) as client:
        resumed = client.connect(session_id=session.id, password=session.password)
        assert (resumed.id, resumed.password) == (session.id, session.password)
        assert _exists(client, "/e") == OK
    with WireClient(own_zookeeper.port) as other:
        assert other.connect().id != session.id


@pytest.mark.slow
def test_session_expires_when_it_does_not_come_back_after_a_crash(
    own_zookeeper: ZooKeeperProcess,
) -> None:
    with WireClient(own_zookeeper.port) as client:
        session = client.connect(timeout_ms=2000)
        assert client.ask(CREATE, pack_create("/e", flags=EPHEMERAL)).error == OK
    own_zookeeper.kill()
    own_zookeeper.start()
    with WireClient(own_zookeeper.port) as client:
        client.connect()
        if client.ask(EXISTS, pack_string("/e") + WATCH).error == OK:
            assert event_of(client.read()) == Event(2, "/e")
        assert _exists(client, "/e") == NO_NODE
    with WireClient(own_zookeeper.port) as late:
        assert late.connect(session_id=session.id, password=session.password).timeout_ms == 0


@pytest.mark.slow
def test_every_figure_of_a_znode_survives_a_restart(own_zookeeper: ZooKeeperProcess) -> None:
    acl = [(31, "digest", "user:aGFzaA=="), (1, "world", "anyone")]
    with WireClient(own_zookeeper.port) as client:
        client.connect()
        client.ask(CREATE, pack_create("/a", b"data"))
        client.ask(CREATE, pack_create("/a/child", None))
        client.ask(SET_DATA, pack_string("/a") + pack_buffer(b"more") + struct.pack("!i", 0))
        client.ask(CREATE, pack_create("/secret", b"x", acl=acl))
        client.ask(CREATE_CONTAINER, pack_create("/container", flags=4))
        before = _pictures(client)
    own_zookeeper.restart()
    with WireClient(own_zookeeper.port) as client:
        client.connect()
        assert _pictures(client) == before


def _pictures(client: WireClient) -> list[bytes]:
    paths = ["/a", "/a/child", "/secret", "/container"]
    return [
        client.ask(op, pack_string(path) + tail).body
        for path in paths
        for op, tail in [(GET_DATA, NO_WATCH), (GET_CHILDREN2, NO_WATCH), (GET_ACL, b"")]
    ]


@pytest.mark.slow
def test_embedded_server_ends_and_keeps_its_promises_when_the_disk_takes_no_more(
    tmp_path: Path,
) -> None:
    with EmbeddedZooKeeper(tmp_path) as server:
        with WireClient(server.port) as client:
            client.connect()
            assert client.ask(CREATE, pack_create("/a")).error == OK
            written = max(file.stat().st_size for file in (tmp_path / "data").iterdir())
            limit = written + 300_000
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, limit))
            version = _set_until_refused(client)
        assert server.wait() == 1
        assert "Cannot write" in server.output
        server.kill()
        server.start()
        with WireClient(server.port) as client:
            client.connect()
            assert _get(client, "/a")[1] in {version, version + 1}


def _set_until_refused(client: WireClient) -> int:
    """Write 10 kB at a time until the connection ends; gives the last acknowledged version."""
    version = 0
    body = pack_string("/a") + pack_buffer(os.urandom(10_000)) + struct.pack("!i", -1)
    while version < 1000:
        try:
            assert client.ask(SET_DATA, body).error == OK
        except ConnectionError:
            break
        version += 1
    return version


@pytest.mark.slow
def test_embedded_server_refuses_a_data_directory_in_use(tmp_path: Path) -> None:
    with EmbeddedZooKeeper(tmp_path) as first:
        second = EmbeddedZooKeeper(tmp_path / "second", settings={"dataDir": f"{tmp_path}/data"})
        with pytest.raises(RuntimeError, match=rf"in use by another server \(pid {first.pid}\)"):
            second.start()
