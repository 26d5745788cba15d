"""One contract for the embedded ZooKeeper and Apache's: what a client sees is the same."""

import base64
import hashlib
import itertools
import queue
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kazoo import exceptions
from kazoo.client import KazooClient
from kazoo.protocol.states import WatchedEvent
from kazoo.security import (
    ACL,
    CREATOR_ALL_ACL,
    OPEN_ACL_UNSAFE,
    READ_ACL_UNSAFE,
    Id,
    make_digest_acl,
)

from tests.support.zookeeper import ZooKeeperProcess, four_letter_word

_WAIT_S = 10.0


@pytest.fixture
def chroot() -> str:
    return f"/{uuid.uuid4().hex}"


@pytest.fixture
def clients(zookeeper: ZooKeeperProcess, chroot: str) -> Iterator["Clients"]:
    made = Clients(zookeeper.hosts, chroot)
    yield made
    made.close()


@pytest.fixture
def client(clients: "Clients") -> Any:
    return clients.make()


class Clients:
    """Makes started kazoo clients in one chroot, and stops them."""

    def __init__(self, hosts: str, chroot: str) -> None:
        self._hosts = hosts
        self._chroot = chroot
        self._made: list[Any] = []
        root = KazooClient(hosts)
        root.start()
        root.ensure_path(chroot)
        root.stop()
        root.close()

    def make(self, **options: Any) -> Any:
        client = KazooClient(self._hosts + self._chroot, **options)
        self._made.append(client)
        client.start(_WAIT_S)
        return client

    def close(self) -> None:
        for client in self._made:
            client.stop()
            client.close()


class Events:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self._events: queue.Queue[WatchedEvent] = queue.Queue()

    def __call__(self, event: WatchedEvent) -> None:
        self._events.put(event)

    def next(self) -> tuple[str, str]:
        event = self._events.get(timeout=_WAIT_S)
        return event.type, event.path

    @property
    def count(self) -> int:
        return self._events.qsize()


# -- znodes ---------------------------------------------------------------------------------------


def test_stat_follows_every_change(client: Any) -> None:
    client.create("/a", b"one")
    _, created = client.get("/a")
    client.create("/a/b")
    client.create("/a/c")
    client.delete("/a/b")
    client.set("/a", b"two two")
    client.set_acls("/a", OPEN_ACL_UNSAFE)
    data, stat = client.get("/a")
    assert data == b"two two"
    assert (stat.version, stat.cversion, stat.aversion) == (1, 3, 1)
    assert (stat.dataLength, stat.numChildren, stat.ephemeralOwner) == (7, 1, 0)
    assert created.czxid == created.mzxid == created.pzxid == stat.czxid
    assert stat.czxid < stat.pzxid < stat.mzxid
    assert created.ctime == created.mtime == stat.ctime <= stat.mtime


def test_null_data_is_not_empty_data(client: Any) -> None:
    client.create("/a", None)
    client.create("/b", b"")
    assert client.get("/a")[0] is None
    assert client.get("/b")[0] == b""


def test_create_with_stat_gives_the_stat_of_the_new_znode(client: Any) -> None:
    path, stat = client.create("/a", b"x", include_data=True)
    assert path == "/a"
    assert stat == client.get("/a")[1]


@pytest.mark.parametrize(
    ("operation", "arguments", "error"),
    [
        ("create", ("/missing/child",), exceptions.NoNodeError),
        ("create", ("/node",), exceptions.NodeExistsError),
        ("create", ("/ephemeral/child",), exceptions.NoChildrenForEphemeralsError),
        ("delete", ("/missing",), exceptions.NoNodeError),
        ("delete", ("/missing/child",), exceptions.NoNodeError),
        ("delete", ("/node",), exceptions.NotEmptyError),
        ("delete", ("/node", 7), exceptions.BadVersionError),
        ("set", ("/missing", b""), exceptions.NoNodeError),
        ("set", ("/node", b"", 7), exceptions.BadVersionError),
        ("get", ("/missing",), exceptions.NoNodeError),
        ("get_children", ("/missing",), exceptions.NoNodeError),
        ("get_acls", ("/missing",), exceptions.NoNodeError),
        ("set_acls", ("/missing", OPEN_ACL_UNSAFE), exceptions.NoNodeError),
        ("set_acls", ("/node", OPEN_ACL_UNSAFE, 7), exceptions.BadVersionError),
    ],
)
def test_request_is_refused_when_it_cannot_be_done(
    client: Any, operation: str, arguments: tuple[object, ...], error: type[Exception]
) -> None:
    client.create("/node")
    client.create("/node/child")
    client.create("/ephemeral", ephemeral=True)
    with pytest.raises(error):
        getattr(client, operation)(*arguments)


def test_system_znodes_are_there_and_cannot_be_deleted(zookeeper: ZooKeeperProcess) -> None:
    root = KazooClient(zookeeper.hosts)
    root.start()
    try:
        assert set(root.get_children("/zookeeper")) == {"config", "quota"}
        for path in ("/zookeeper", "/zookeeper/config", "/zookeeper/quota"):
            with pytest.raises(exceptions.BadArgumentsError):
                root.delete(path)
        with pytest.raises(exceptions.NoAuthError):
            root.set("/zookeeper/config", b"")
    finally:
        root.stop()
        root.close()


def test_sequence_goes_on_when_children_are_deleted(client: Any) -> None:
    client.create("/q")
    assert client.create("/q/a-", sequence=True) == "/q/a-0000000000"
    assert client.create("/q/b-", sequence=True) == "/q/b-0000000001"
    client.delete("/q/b-0000000001")
    client.create("/q/plain")
    assert client.create("/q/a-", sequence=True, ephemeral=True) == "/q/a-0000000003"
    assert client.create("/q/", sequence=True) == "/q/0000000004"


def test_pipelined_requests_are_answered_in_order(client: Any) -> None:
    client.create("/a", b"")
    pending = [
        pair
        for number in range(300)
        for pair in (client.set_async("/a", b"%d" % number), client.get_async("/a"))
    ]
    answers = [result.get(timeout=_WAIT_S) for result in pending]
    assert [stat.version for stat in answers[::2]] == list(range(1, 301))
    assert [data for data, _ in answers[1::2]] == [b"%d" % number for number in range(300)]


def test_sync_gives_its_path(client: Any) -> None:
    client.create("/a")
    assert client.sync("/a") == "/a"


# -- transactions ---------------------------------------------------------------------------------


def test_transaction_happens_as_a_whole_under_one_zxid(client: Any) -> None:
    client.create("/a", b"")
    client.create("/gone")
    transaction = client.transaction()
    transaction.check("/a", 0)
    transaction.create("/a/s-", b"x", sequence=True)
    transaction.create("/a/s-", b"y", sequence=True)
    transaction.set_data("/a", b"new")
    transaction.delete("/gone")
    check, first, second, stat, deleted = transaction.commit()
    assert (check, first, second, deleted) == (True, "/a/s-0000000000", "/a/s-0000000001", True)
    assert stat.version == 1
    zxids = {client.get(path)[1].czxid for path in (first, second)} | {client.get("/a")[1].mzxid}
    assert len(zxids) == 1
    assert client.exists("/gone") is None


def test_transaction_changes_nothing_when_one_operation_fails(client: Any) -> None:
    client.create("/a", b"old")
    client.create("/keep")
    before = client.get("/a"), client.get("/"), client.get("/keep")
    transaction = client.transaction()
    transaction.create("/a/b")
    transaction.set_data("/a", b"new")
    transaction.delete("/keep")
    transaction.check("/a", 5)
    transaction.create("/c")
    results = transaction.commit()
    assert [type(result) for result in results] == [
        exceptions.RolledBackError,
        exceptions.RolledBackError,
        exceptions.RolledBackError,
        exceptions.BadVersionError,
        exceptions.RuntimeInconsistency,
    ]
    assert (client.get("/a"), client.get("/"), client.get("/keep")) == before
    assert client.create("/a/s-", sequence=True) == "/a/s-0000000000"


def test_transaction_sees_its_own_earlier_operations(client: Any) -> None:
    transaction = client.transaction()
    transaction.create("/a")
    transaction.create("/a/b")
    transaction.set_data("/a", b"1", 0)
    transaction.check("/a", 1)
    transaction.delete("/a/b")
    transaction.delete("/a", 1)
    assert not any(isinstance(result, Exception) for result in transaction.commit())
    assert client.exists("/a") is None


# -- watches --------------------------------------------------------------------------------------


def test_data_watch_fires_once_when_data_changes(client: Any) -> None:
    client.create("/a")
    events = Events()
    client.get("/a", watch=events)
    client.set("/a", b"1")
    client.set("/a", b"2")
    assert events.next() == ("CHANGED", "/a")
    client.sync("/")
    assert events.count == 0


def test_exists_watch_fires_when_znode_is_created(client: Any) -> None:
    events = Events()
    assert client.exists("/a", watch=events) is None
    client.create("/a")
    assert events.next() == ("CREATED", "/a")


def test_exists_watch_fires_when_znode_is_deleted(client: Any) -> None:
    client.create("/a")
    events = Events()
    client.exists("/a", watch=events)
    client.delete("/a")
    assert events.next() == ("DELETED", "/a")


def test_child_watch_fires_for_children_only(client: Any) -> None:
    client.create("/a")
    events = Events()
    client.get_children("/a", watch=events)
    client.set("/a", b"1")
    client.create("/a/b")
    assert events.next() == ("CHILD", "/a")
    client.get_children("/a", watch=events)
    client.delete("/a/b")
    assert events.next() == ("CHILD", "/a")


def test_watches_of_others_fire_in_the_order_of_the_changes(clients: Clients) -> None:
    writer, reader = clients.make(), clients.make()
    writer.create("/a")
    events = Events()
    reader.exists("/x", watch=events)
    reader.get("/a", watch=events)
    reader.get_children("/a", watch=events)
    transaction = writer.transaction()
    transaction.create("/a/b")
    transaction.set_data("/a", b"1")
    transaction.create("/x")
    transaction.commit()
    assert [events.next() for _ in range(3)] == [
        ("CHILD", "/a"),
        ("CHANGED", "/a"),
        ("CREATED", "/x"),
    ]


def test_failed_transaction_fires_no_watch(clients: Clients) -> None:
    writer, reader = clients.make(), clients.make()
    events = Events()
    reader.exists("/a", watch=events)
    transaction = writer.transaction()
    transaction.create("/a")
    transaction.check("/missing", 0)
    transaction.commit()
    reader.sync("/")
    assert events.count == 0


# -- ephemerals -----------------------------------------------------------------------------------


def test_ephemeral_is_deleted_and_watchers_told_when_its_session_closes(clients: Clients) -> None:
    owner, other = clients.make(), clients.make()
    owner.create("/a", ephemeral=True)
    assert other.get("/a")[1].ephemeralOwner == owner.client_id[0]
    events, children = Events(), Events()
    other.exists("/a", watch=events)
    other.get_children("/", watch=children)
    owner.stop()
    assert events.next() == ("DELETED", "/a")
    assert children.next() == ("CHILD", "/")
    assert other.exists("/a") is None


# -- access control -------------------------------------------------------------------------------


def test_digest_acl_lets_in_only_who_knows_the_password(clients: Clients) -> None:
    owner = clients.make(auth_data=[("digest", "user:secret")])
    stranger = clients.make()
    owner.create("/a", b"x", acl=[make_digest_acl("user", "secret", all=True)])
    assert owner.get("/a")[0] == b"x"
    attempts: list[Callable[[], Any]] = [
        lambda: stranger.get("/a"),
        lambda: stranger.get_children("/a"),
        lambda: stranger.set("/a", b""),
        lambda: stranger.create("/a/b"),
        lambda: stranger.get_acls("/a"),
        lambda: stranger.set_acls("/a", OPEN_ACL_UNSAFE),
    ]
    for attempt in attempts:
        with pytest.raises(exceptions.NoAuthError):
            attempt()
    assert stranger.exists("/a") is not None
    stranger.add_auth("digest", "user:secret")
    assert stranger.get("/a")[0] == b"x"


def test_delete_permission_is_the_parents(clients: Clients) -> None:
    owner, stranger = clients.make(auth_data=[("digest", "user:secret")]), clients.make()
    owner.create("/a", acl=CREATOR_ALL_ACL + READ_ACL_UNSAFE)
    owner.create("/a/b", acl=OPEN_ACL_UNSAFE)
    with pytest.raises(exceptions.NoAuthError):
        stranger.delete("/a/b")
    stranger.delete_async("/a/b")
    assert owner.exists("/a/b") is not None
    owner.delete("/a/b")


def test_creator_acl_stands_for_the_creators_digests(clients: Clients) -> None:
    owner = clients.make(auth_data=[("digest", "user:secret")])
    owner.create("/a", acl=CREATOR_ALL_ACL)
    digest = base64.b64encode(hashlib.sha1(b"user:secret").digest()).decode()
    assert owner.get_acls("/a")[0] == [ACL(31, Id("digest", f"user:{digest}"))]


def test_digests_are_hidden_from_who_may_only_read_the_acl(clients: Clients) -> None:
    owner, stranger = clients.make(auth_data=[("digest", "user:secret")]), clients.make()
    owner.create("/a", acl=CREATOR_ALL_ACL + READ_ACL_UNSAFE)
    assert stranger.get_acls("/a")[0] == [
        ACL(31, Id("digest", "user:x")),
        ACL(1, Id("world", "anyone")),
    ]


def test_ip_acl_matches_address_and_network(client: Any) -> None:
    client.create("/here", acl=[ACL(31, Id("ip", "127.0.0.0/8"))])
    client.create("/there", acl=[ACL(31, Id("ip", "10.1.2.3"))])
    client.get("/here")
    with pytest.raises(exceptions.NoAuthError):
        client.get("/there")


@pytest.mark.parametrize(
    "acl",
    [
        ACL(31, Id("world", "someone")),
        ACL(31, Id("nonsense", "x")),
        ACL(31, Id("digest", "nocolon")),
        ACL(31, Id("digest", "a:b:c")),
        ACL(31, Id("ip", "not-an-address")),
        ACL(31, Id("auth", "")),
    ],
)
def test_acl_is_refused_when_it_names_nobody(client: Any, acl: ACL) -> None:
    with pytest.raises(exceptions.InvalidACLError):
        client.create("/a", acl=[acl])


def test_duplicate_acls_are_stored_once(client: Any) -> None:
    client.create("/a", acl=[*OPEN_ACL_UNSAFE, *READ_ACL_UNSAFE, *OPEN_ACL_UNSAFE])
    assert client.get_acls("/a")[0] == [*OPEN_ACL_UNSAFE, *READ_ACL_UNSAFE]


# -- four-letter words ----------------------------------------------------------------------------


def test_ruok_is_answered_imok(zookeeper: ZooKeeperProcess) -> None:
    assert four_letter_word(zookeeper.port, "ruok") == "imok"


@pytest.mark.parametrize("word", ["srvr", "stat"])
def test_figures_have_zookeepers_lines(zookeeper: ZooKeeperProcess, word: str) -> None:
    lines = four_letter_word(zookeeper.port, word).splitlines()
    names = [line.partition(":")[0] for line in lines if ": " in line]
    assert names == [
        *["Zookeeper version", "Latency min/avg/max", "Received", "Sent", "Connections"],
        *["Outstanding", "Zxid", "Mode", "Node count"],
    ]
    assert "Mode: standalone" in lines


def test_mntr_tells_what_monitors_read(zookeeper: ZooKeeperProcess, client: Any) -> None:
    client.create("/a", ephemeral=True)
    client.exists("/b", watch=Events())
    lines = four_letter_word(zookeeper.port, "mntr").splitlines()
    figures = dict(line.split("\t", 1) for line in lines)
    assert figures["zk_server_state"] == "standalone"
    for name in ("ephemerals_count", "watch_count", "znode_count", "global_sessions"):
        assert int(figures[f"zk_{name}"]) >= 1
    names = "version avg_latency max_latency outstanding_requests packets_sent packets_received"
    for name in [*names.split(), "num_alive_connections", "open_file_descriptor_count", "uptime"]:
        assert f"zk_{name}" in figures


def test_conf_tells_the_settings(zookeeper: ZooKeeperProcess) -> None:
    settings = dict(
        line.split("=", 1) for line in four_letter_word(zookeeper.port, "conf").splitlines()
    )
    assert settings["clientPort"] == str(zookeeper.port)
    assert (settings["tickTime"], settings["maxClientCnxns"]) == ("200", "0")
    assert (settings["minSessionTimeout"], settings["maxSessionTimeout"]) == ("400", "60000")


def test_version_is_one_that_kazoo_can_read(client: Any) -> None:
    assert client.server_version() == (3, 8, 0)


def test_stat_lists_the_sessions_of_its_clients(zookeeper: ZooKeeperProcess, client: Any) -> None:
    session_id = f"sid={client.client_id[0]:#x}"
    clients = itertools.takewhile(bool, four_letter_word(zookeeper.port, "cons").splitlines())
    assert any(session_id in line for line in clients)
