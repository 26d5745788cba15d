"""What a broker makes of ZooKeeper when things go wrong: embedded and Apache's."""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from kafkalite.broker.ports import ControllerClaim, MetadataStore, StoreConflictError
from kafkalite.controller.events import NEW_STATE_VERSION, StateChange
from kafkalite.coordination import controller_store as pruning
from kafkalite.coordination import paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.cluster_reader import ClusterReader
from kafkalite.coordination.discovery import find_brokers
from kafkalite.coordination.errors import (
    BrokerIdInUseError,
    CoordinationError,
    MalformedZnodeError,
)
from kafkalite.coordination.operations import Operation
from kafkalite.coordination.session_file import read_session_file
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.errors import UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition
from kafkalite.model.reassignment import move
from tests.support.cutting_proxy import CuttingProxy
from tests.support.members import DEADLINE_S, ZooKeeperMember
from tests.support.zookeeper import (
    EmbeddedZooKeeper,
    RealZooKeeper,
    ZooKeeperProcess,
    free_port,
)

_ZERO = BrokerId(0)
_T0 = TopicPartition("t", 0)


@pytest.fixture
def connect(zookeeper: ZooKeeperProcess) -> str:
    return f"{zookeeper.hosts}/{uuid.uuid4().hex}/nested"


@pytest.fixture(
    params=["embedded", pytest.param("real", marks=pytest.mark.zookeeper)],
)
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ZooKeeperProcess]:
    """A server that the test may stop, kill or pause."""
    if request.param == "real":
        request.getfixturevalue("real_zookeeper")  # skips where there is none
    kind = RealZooKeeper if request.param == "real" else EmbeddedZooKeeper
    with kind(tmp_path / "own-zookeeper") as server:
        yield server


@contextlib.contextmanager
def _outsider(connect: str) -> Iterator[Any]:
    """A client that is not ours, to look behind the scenes."""
    client = KazooClient(connect)
    client.start(DEADLINE_S)
    try:
        yield client
    finally:
        client.stop()
        client.close()


def _member(
    connect: str, directory: Path, broker_id: int = 0, *, timeout_ms: int = 6_000
) -> ZooKeeperMember:
    broker = Broker(BrokerId(broker_id), "127.0.0.1", 9092, timestamp_ms=1_795_524_775_749)
    return ZooKeeperMember(connect, directory, broker, session_timeout_ms=timeout_ms)


def _topic(name: str = "t", partitions: int = 1) -> Topic:
    return Topic(name, TopicId(uuid.uuid4().hex), dict.fromkeys(range(partitions), (_ZERO,)))


def _change(epoch: int, expected_version: int, number: int = 0) -> StateChange:
    state = PartitionState(_ZERO, LeaderEpoch(epoch), (_ZERO,), ControllerEpoch(1))
    return StateChange(TopicPartition("t", number), state, expected_version)


def _in_sync(partition: TopicPartition, version: int, *isr: int) -> StateChange:
    members = tuple(BrokerId(member) for member in isr)
    state = PartitionState(_ZERO, LeaderEpoch(0), members, ControllerEpoch(1))
    return StateChange(partition, state, version)


def _write_much(hosts: str, count: int) -> None:
    """Raise the server's zxid: it turns away clients that have seen a higher one."""
    with _outsider(hosts) as client:
        client.create("/ahead", b"")
        for _ in range(count):
            client.set("/ahead", b"")


def _one_more_partition(topic: Topic) -> Topic:
    return replace(topic, assignment={**topic.assignment, topic.partition_count: (_ZERO,)})


async def _elected(member: ZooKeeperMember) -> ControllerClaim:
    claim = await member.controller_store.claim(member.broker_id)
    assert claim is not None
    return claim


# -- starting -----------------------------------------------------------------------------------


def test_the_chroot_and_all_base_paths_are_made(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        with _outsider(connect) as client:
            assert all(client.exists(path) for path in paths.PERSISTENT)
        await member.stop()

    asyncio.run(scenario())


def test_cluster_id_is_made_once_and_broker_ids_never_twice(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = await _member(connect, tmp_path, 0).start()
        two = await _member(connect, tmp_path, 1).start()
        ids = await asyncio.gather(one.coordination.cluster_id(), two.coordination.cluster_id())
        assert len(set(ids)) == 1
        assert len(ids[0]) == 22
        assert one.view.cluster_id == ids[0]
        generated = await asyncio.gather(
            *(member.coordination.generate_broker_id() for member in (one, two) * 3)
        )
        assert sorted(generated) == list(range(1001, 1007))
        await one.stop()
        await two.stop()

    asyncio.run(scenario())


def test_the_first_of_several_hosts_may_be_dead(
    zookeeper: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        hosts = f"127.0.0.1:{free_port()},{zookeeper.hosts}/{uuid.uuid4().hex}"
        member = await _member(hosts, tmp_path).start()
        assert set(member.view.brokers) == {0}
        await member.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_an_unreachable_zookeeper_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        where = f"127.0.0.1:{free_port()}/kafka"
        broker = Broker(_ZERO, "127.0.0.1", 9092)
        member = ZooKeeperMember(where, tmp_path, broker, connection_timeout_ms=300)
        with pytest.raises(CoordinationError, match=rf"Cannot reach ZooKeeper at {where}: "):
            await member.start()
        await member.stop()

    asyncio.run(scenario())


def test_a_malformed_topic_stops_the_start_and_is_named(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        await member.store.create_topic(_topic())
        await member.stop()
        with _outsider(connect) as client:
            client.set("/brokers/topics/t", b'{"partitions":')
        again = _member(connect, tmp_path)
        with pytest.raises(MalformedZnodeError, match="The znode /brokers/topics/t is malformed"):
            await again.start()
        await again.stop()

    asyncio.run(scenario())


def test_a_malformed_payload_later_leaves_things_as_they_were(
    connect: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        topics = {"t": _topic("t"), "u": _topic("u")}
        for topic in topics.values():
            await member.store.create_topic(topic)
        await member.controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
        await member.controller_store.catch_up()
        with _outsider(connect) as client:
            client.set("/brokers/topics/t", b"garbage")
            client.set("/config/topics/u", b"garbage")
            client.create("/brokers/ids/7", b"garbage", ephemeral=True)
            client.create("/brokers/state_changes/change_", b"garbage", sequence=True)
            client.create("/config/changes/config_change_", b"garbage", sequence=True)
            await member.controller_store.catch_up()
            assert member.view.topics == topics
            assert member.view.states.keys() == {_T0}
            assert set(member.view.brokers) == {0}
            client.set("/brokers/topics/t/partitions/0/state", b"garbage")
            outcome = await member.controller_store.write_states(claim, [_change(1, 0)])
            assert outcome == {}
        await member.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    for path in (
        "/brokers/topics/t",
        "/config/topics/u",
        "/brokers/ids/7",
        "/brokers/topics/t/partitions/0/state",
        "/config/changes/config_change_0000000000",
    ):
        assert f"The znode {path} is malformed" in caplog.text


# -- registration -------------------------------------------------------------------------------


def test_a_registration_is_as_kafka_writes_it_and_goes_at_once(
    connect: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        with _outsider(connect) as client:
            data, znode = client.get("/brokers/ids/0")
            assert json.loads(data)["endpoints"] == ["HTTP://127.0.0.1:9092"]
            assert znode.czxid == member.epoch
            assert stat.S_IMODE(member.session_file.stat().st_mode) == 0o600
            await member.stop()
            assert client.exists("/brokers/ids/0") is None
            assert read_session_file(member.session_file) is None

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_second_live_broker_with_the_same_id_is_refused(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        first = await _member(connect, tmp_path / "one").start()
        second = _member(connect, tmp_path / "two", timeout_ms=500)
        with pytest.raises(BrokerIdInUseError) as caught:
            await second.start()
        assert str(caught.value) == (
            "Broker id 0 is taken by http://127.0.0.1:9092, registered 2026-11-24 12:52:55+00:00, "
            "and it is alive. Give this broker another broker.id, or stop that one."
        )
        await second.stop()
        assert first.view.brokers[_ZERO].epoch == first.epoch
        await first.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_killed_broker_registers_again_at_once(connect: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.registered_broker"]
    with subprocess.Popen(
        [*command, connect, str(tmp_path), "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        word, _, epoch = process.stdout.readline().partition(" ")
        assert word == "registered"
        os.kill(process.pid, signal.SIGKILL)
    killed = time.monotonic()

    async def scenario() -> None:
        member = await _member(connect, tmp_path, timeout_ms=30_000).start()
        # Its session had 30 s to live.
        assert time.monotonic() - killed < 3.0
        assert member.epoch > int(epoch)
        await member.stop()

    asyncio.run(scenario())


def test_a_broker_without_its_session_file_waits_for_the_old_session(
    own_server: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        with _outsider(own_server.hosts) as client:
            client.ensure_path("/brokers/ids")
            client.create("/brokers/ids/0", b"{}", ephemeral=True)
            starting = asyncio.create_task(_member(own_server.hosts, tmp_path).start())
        member = await starting
        assert set(member.view.brokers) == {0}
        await member.stop()

    asyncio.run(scenario())


def test_brokers_are_found_through_zookeeper(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(
            CoordinationError, match=f"No broker is registered in ZooKeeper at {connect}"
        ):
            await asyncio.to_thread(find_brokers, connect, DEADLINE_S)
        members = [await _member(connect, tmp_path, number).start() for number in (2, 0)]
        with _outsider(connect) as client:
            client.create("/brokers/ids/1", b"garbage")
        found = await asyncio.to_thread(find_brokers, connect, DEADLINE_S)
        assert [(broker.id, broker.url) for broker in found] == [
            (0, "http://127.0.0.1:9092"),
            (2, "http://127.0.0.1:9092"),
        ]
        for member in members:
            await member.stop()

    asyncio.run(scenario())


def test_finding_brokers_in_vain_says_why() -> None:
    where = f"127.0.0.1:{free_port()}"
    refusal = f"Cannot reach ZooKeeper at {where}: Connection refused"
    with pytest.raises(CoordinationError, match=refusal):
        find_brokers(where, DEADLINE_S)  # at once, however long it might wait
    with pytest.raises(CoordinationError, match=r"zookeeper\.connect="):
        find_brokers("::::", 0.1)


def test_a_server_that_speaks_http_is_told_from_zookeeper_at_once() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as broker:
        serving = threading.Thread(target=broker.handle_request)
        serving.start()
        where = f"127.0.0.1:{broker.server_port}"
        with pytest.raises(CoordinationError) as refused:
            find_brokers(f"{where}/chroot", DEADLINE_S)
        serving.join()
    assert str(refused.value) == (
        f"Cannot reach ZooKeeper at {where}/chroot: {where} answers in HTTP. If that is a broker, "
        f"name it with --bootstrap-server {where} instead."
    )


@pytest.mark.slow
def test_a_server_that_accepts_and_is_silent_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CoordinationError, match=f"Cannot reach ZooKeeper at {where}"):
            find_brokers(where, 0.2)


# -- the session --------------------------------------------------------------------------------


def test_an_expired_session_is_followed_by_another(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        await member.store.create_topic(_topic())
        await member.controller_store.catch_up()
        heard: list[frozenset[str]] = []
        member.view.subscribe(lambda change: heard.append(change.topics))
        before = read_session_file(member.session_file)
        assert before is not None
        # Another client takes the session over and closes it, as an expiry would.
        thief = KazooClient(connect.partition("/")[0], client_id=tuple(before))
        thief.start(DEADLINE_S)
        thief.stop()
        thief.close()
        await member.until_told("suspended", "lost", "connected")
        assert member.coordination.is_connected
        assert member.view.brokers[_ZERO].epoch > member.epoch
        assert frozenset({"t"}) in heard, "subscribers are told of everything again"
        after = read_session_file(member.session_file)
        assert after is not None
        assert after != before
        await member.store.create_topic(_topic("u"))
        await member.until(lambda: "u" in member.view.topics)
        await member.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_restarted_server_resumes_the_session_and_nothing_is_missed(
    own_server: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        member = await _member(own_server.hosts, tmp_path, timeout_ms=60_000).start()
        other = await _member(own_server.hosts, tmp_path, 1, timeout_ms=60_000).start()
        await asyncio.to_thread(own_server.kill)
        await member.until_told("suspended")
        assert not member.coordination.is_connected
        await asyncio.to_thread(own_server.start)
        await member.until_told("suspended", "connected")
        await other.until_told("suspended", "connected")
        topic = _topic()
        await other.store.create_topic(topic)
        await member.until(lambda: member.view.topics == {"t": topic})
        assert member.view.brokers[_ZERO].epoch == member.epoch
        await member.stop()
        await other.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_server_that_lost_its_data_is_not_believed(
    own_server: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        member = await _member(own_server.hosts, tmp_path, timeout_ms=2_000).start()
        topic = _topic()
        await member.store.create_topic(topic)
        await member.until(lambda: member.view.topics == {"t": topic})
        seen: list[bool] = []
        member.view.subscribe(lambda _: seen.append("t" in member.view.topics))
        own_server.kill()
        data = own_server.directory / "data"
        data.rename(tmp_path / "kept")
        own_server.start()
        _write_much(own_server.hosts, 100)
        await member.until_told("suspended", "lost")
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(CoordinationError, match="ZooKeeper holds another cluster"):
                await member.store.catch_up()
        own_server.kill()
        shutil.rmtree(data)
        (tmp_path / "kept").rename(data)
        own_server.start()
        _write_much(own_server.hosts, 300)
        await member.until_told("connected")
        assert member.view.topics == {"t": topic}
        assert all(seen), "it was never taken for deleted"
        await member.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_silent_server_is_a_loss_after_the_session_timeout(
    own_server: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario() -> None:
        member = await _member(own_server.hosts, tmp_path, timeout_ms=800).start()
        own_server.pause()
        try:
            await member.until_told("suspended", "lost")
        finally:
            own_server.resume()
        await member.until_told("lost", "connected")
        await member.until(lambda: _ZERO in member.view.brokers)
        await member.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_loss_while_coming_back_from_one_is_not_overlooked(
    own_server: ZooKeeperProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reload = ClusterReader.reload

    async def scenario() -> None:
        member = await _member(own_server.hosts, tmp_path, timeout_ms=800).start()
        losses = 0

        async def lose_again(reader: ClusterReader, *, everything_changed: bool = False) -> None:
            nonlocal losses
            losses += 1
            if losses == 1:
                await _silence(own_server, member, losses=2)
            await reload(reader, everything_changed=everything_changed)

        monkeypatch.setattr(ClusterReader, "reload", lose_again)
        await _silence(own_server, member, losses=1)
        await member.until_told("connected")
        assert member.coordination.epoch == member.view.brokers[_ZERO].epoch
        await member.stop()

    asyncio.run(scenario())


async def _silence(server: ZooKeeperProcess, member: ZooKeeperMember, *, losses: int) -> None:
    """Let the server say nothing until that is one more loss: the session itself may live on."""
    server.pause()
    try:
        await member.until_told(*(("suspended", "lost") * losses))
    finally:
        server.resume()


@pytest.mark.slow
def test_a_server_that_talks_nonsense_is_left_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_024)
        # A session is granted, and then comes a frame that is shorter than any reply.
        session = struct.pack(">iiqi16s?", 0, 2_000, 77, 16, b"p" * 16, False)
        for frame in (session, b"xx"):
            writer.write(struct.pack(">i", len(frame)) + frame)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await reader.read()
        writer.close()

    async def scenario() -> None:
        with EmbeddedZooKeeper(tmp_path / "zookeeper") as server:
            member = await _member(server.hosts, tmp_path, timeout_ms=2_000).start()
            server.kill()
            await member.until_told("suspended")
            babbler = await asyncio.start_server(babble, "127.0.0.1", server.port)
            await member.until_told("suspended", "lost")
            babbler.close()
            await babbler.wait_closed()
            server.start()
            await member.until_told("connected")
            await member.until(lambda: _ZERO in member.view.brokers)
            assert "broke down" in caplog.text
            await member.stop()

    asyncio.run(scenario())


# -- writes whose answer is lost ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("reaches_the_server", [True, False])
def test_a_write_whose_answer_is_lost_is_done_once(
    zookeeper: ZooKeeperProcess, tmp_path: Path, reaches_the_server: bool
) -> None:
    async def scenario(proxy: CuttingProxy) -> None:
        cut = proxy.cut_after if reaches_the_server else proxy.cut_before
        member = await _member(f"127.0.0.1:{proxy.port}/{uuid.uuid4().hex}", tmp_path).start()
        claim = await _elected(member)
        topic = _topic(partitions=2)
        cut(topic.topic_id.encode())
        await member.store.create_topic(topic)
        cut(b'"partitions":{"0":[0],"1":[0],"2"')
        grown = await member.store.update_topic("t", _one_more_partition)
        assert grown.partition_count == 3
        cut(b'"tries":"x"')
        config = await member.store.update_topic_config(
            "t", lambda before: {"tries": before.get("tries", "") + "x"}
        )
        assert config == {"tries": "x"}
        cut(b'"leader_epoch":0')
        changes = [_change(0, NEW_STATE_VERSION, number) for number in range(3)]
        outcome = await member.controller_store.write_states(claim, changes)
        assert [state.version for state in outcome.values() if state] == [0, 0, 0]
        # What a leader is not told, it must not believe: neither that it is written nor that not.
        cut(b'"isr":[0,7]')
        grown_isr = [_in_sync(partition, 0, 0, 7) for partition in outcome]
        written = await member.store.write_isr(grown_isr)
        assert [(state.isr, state.version) for state in written.values() if state] == 3 * [
            ((0, 7), 1)
        ]
        await member.controller_store.catch_up()
        assert dict(member.view.states) == written
        cut(b'"adding_replicas":{"0":[9]}')
        await member.store.update_topic("t", lambda topic: move(topic, 0, (_ZERO, BrokerId(9))))
        await member.controller_store.write_states(claim, [_in_sync(_T0, 1, 0, 9)])
        cut(b'"adding_replicas":{}')
        await member.controller_store.complete_reassignment(claim, "t", [0])
        await member.controller_store.catch_up()
        assert member.view.topics["t"].assignment[0] == (0, 9)
        assert not member.view.topics["t"].moving
        cut(b"/admin/delete_topics/t")
        await member.store.request_topic_deletion("t")
        cut(b"/partitions/2/state")
        await member.controller_store.remove_topic(claim, "t")
        assert proxy.cuts >= 9
        await member.until(lambda: not member.view.topics)
        await member.stop()

    with CuttingProxy(zookeeper.port) as proxy:
        asyncio.run(scenario(proxy))


def test_an_election_whose_answer_is_lost_is_won_once(
    zookeeper: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario(proxy: CuttingProxy) -> None:
        member = await _member(f"127.0.0.1:{proxy.port}/{uuid.uuid4().hex}", tmp_path).start()
        proxy.cut_after(b'"brokerid":0')
        assert (await _elected(member)).epoch == 1
        assert proxy.cuts == 1
        await member.stop()

    with CuttingProxy(zookeeper.port) as proxy:
        asyncio.run(scenario(proxy))


def test_a_registration_whose_answer_is_lost_is_made_once(
    zookeeper: ZooKeeperProcess, tmp_path: Path
) -> None:
    async def scenario(proxy: CuttingProxy) -> None:
        proxy.cut_after(b'"listener_security_protocol_map"')
        member = await _member(f"127.0.0.1:{proxy.port}/{uuid.uuid4().hex}", tmp_path).start()
        assert proxy.cuts == 1
        assert member.view.brokers[_ZERO].epoch == member.epoch
        await member.stop()

    with CuttingProxy(zookeeper.port) as proxy:
        asyncio.run(scenario(proxy))


# -- between a look and a write -------------------------------------------------------------------


def _before_the_next_commit(
    monkeypatch: pytest.MonkeyPatch, interfere: Callable[[], Awaitable[object]]
) -> None:
    """Have something happen after whoever writes next has looked, and before it writes."""
    commit = KazooBridge.commit
    pending = [interfere]

    async def late(self: KazooBridge, operations: Sequence[Operation]) -> list[int]:
        if pending:
            await pending.pop()()
        return await commit(self, operations)

    monkeypatch.setattr(KazooBridge, "commit", late)


def test_a_reassignment_is_not_completed_on_a_state_that_has_changed(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        await member.store.create_topic(_topic())
        await member.controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
        await member.store.update_topic("t", lambda topic: move(topic, 0, (BrokerId(1),)))
        led_by_one = replace(_in_sync(_T0, 0, 1).state, leader=BrokerId(1))
        await member.controller_store.write_states(claim, [StateChange(_T0, led_by_one, 0)])
        # Somebody takes the replica that goes in again, and it may be the only one left tomorrow.
        again = StateChange(_T0, replace(led_by_one, isr=(BrokerId(1), _ZERO)), 1)
        _before_the_next_commit(monkeypatch, lambda: member.store.write_isr([again]))
        await member.controller_store.complete_reassignment(claim, "t", [0])
        await member.controller_store.catch_up()
        assert member.view.states[_T0].isr == (1, 0)
        assert member.view.topics["t"].moving == {0}
        assert member.view.topics["t"].assignment[0] == (1, 0)
        await member.stop()

    asyncio.run(scenario())


def test_a_topic_that_is_made_anew_while_in_sync_replicas_are_written_keeps_its_own(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        store, controller_store = member.store, member.controller_store
        former = _topic()
        await store.create_topic(former)
        (state,) = (
            await controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
        ).values()

        async def another_takes_its_place() -> None:
            await store.request_topic_deletion("t")
            await controller_store.remove_topic(claim, "t")
            await store.create_topic(_topic())
            await controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])

        late = replace(_in_sync(_T0, 0, 0, 7), topic_id=former.topic_id)
        _before_the_next_commit(monkeypatch, another_takes_its_place)
        with pytest.raises(StoreConflictError):
            await store.write_isr([late])
        assert await store.write_isr([late]) == {_T0: None}
        await controller_store.catch_up()
        assert member.view.states[_T0] == state
        await member.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.update_topic("t", _one_more_partition),
        lambda store: store.update_topic_config("t", lambda _: {"late": "x"}),
    ],
    ids=["assignment", "configuration"],
)
def test_a_topic_that_is_made_anew_while_it_is_changed_keeps_what_it_has(
    connect: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[MetadataStore], Awaitable[object]],
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        store, controller_store = member.store, member.controller_store
        again = replace(_topic(), config={"of": "another"})

        async def another_takes_its_place() -> None:
            await store.request_topic_deletion("t")
            await controller_store.remove_topic(claim, "t")
            await store.create_topic(again)

        await store.create_topic(_topic())
        _before_the_next_commit(monkeypatch, another_takes_its_place)
        with pytest.raises(UnknownTopicOrPartitionError):
            await change(store)
        await controller_store.catch_up()
        assert member.view.topics["t"] == again
        await member.stop()

    asyncio.run(scenario())


def test_other_topics_that_go_meanwhile_keep_no_topic_from_being_changed(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        store = member.store
        for name in ("t", "other", "another"):
            await store.create_topic(_topic(name))

        async def goes(name: str) -> None:
            await store.request_topic_deletion(name)
            await member.controller_store.remove_topic(claim, name)

        _before_the_next_commit(monkeypatch, lambda: goes("other"))
        assert (await store.update_topic("t", _one_more_partition)).partition_count == 2
        _before_the_next_commit(monkeypatch, lambda: goes("another"))
        assert await store.update_topic_config("t", lambda _: {"a": "b"}) == {"a": "b"}
        await member.stop()

    asyncio.run(scenario())


def test_a_topic_made_anew_is_not_deleted_by_a_request_that_was_for_the_last_one(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        again = _topic()

        async def another_takes_its_place() -> None:
            await member.store.request_topic_deletion("t")
            await member.controller_store.remove_topic(claim, "t")
            await member.store.create_topic(again)

        await member.store.create_topic(_topic())
        _before_the_next_commit(monkeypatch, another_takes_its_place)
        await member.store.request_topic_deletion("t")  # which it is
        await member.controller_store.catch_up()
        assert member.view.topics == {"t": again}
        assert not member.view.deletions
        await member.stop()

    asyncio.run(scenario())


def test_other_topics_that_go_meanwhile_keep_no_in_sync_replicas_from_being_written(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        topic = _topic()
        await member.store.create_topic(topic)
        await member.controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
        await member.store.create_topic(_topic("other"))
        await member.store.request_topic_deletion("other")
        _before_the_next_commit(
            monkeypatch, lambda: member.controller_store.remove_topic(claim, "other")
        )
        change = replace(_in_sync(_T0, 0, 0, 7), topic_id=topic.topic_id)
        written = await member.store.write_isr([change])
        assert written == {_T0: replace(change.state, version=1)}
        await member.stop()

    asyncio.run(scenario())


def test_a_controller_that_was_elected_meanwhile_is_not_deposed(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        one = await _member(connect, tmp_path).start()
        two = await _member(connect, tmp_path / "two", 1).start()
        await _elected(one)

        async def another_is_elected() -> None:
            await one.stop()
            await two.until(lambda: two.view.controller is None)
            await _elected(two)

        _before_the_next_commit(monkeypatch, another_is_elected)
        await two.controller_store.depose(_ZERO)
        await two.controller_store.catch_up()
        assert two.view.controller == 1
        await two.stop()

    asyncio.run(scenario())


# -- states and notices ---------------------------------------------------------------------------


def test_what_a_newer_program_wrote_into_a_state_is_kept(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        await member.store.create_topic(_topic())
        await member.controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
        await member.controller_store.catch_up()
        with _outsider(connect) as client:
            path = "/brokers/topics/t/partitions/0/state"
            known = json.loads(client.get(path)[0])
            client.set(path, json.dumps({**known, "mood": "fine"}).encode())
            # Nobody wrote a notice of that; the next full look finds it.
            client.create("/brokers/state_changes/change_", b"look at everything", sequence=True)
            await member.until(lambda: member.view.states[_T0].version == 1)
            await member.controller_store.write_states(claim, [_change(1, 1)])
            assert json.loads(client.get(path)[0])["mood"] == "fine"
        await member.stop()

    asyncio.run(scenario())


def test_a_state_is_made_where_its_parents_are_missing_or_left_over(
    connect: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        await member.store.create_topic(_topic(partitions=2))
        with _outsider(connect) as client:
            client.create("/brokers/topics/t/partitions/0")
            changes = [_change(0, NEW_STATE_VERSION, number) for number in (0, 1)]
            outcome = await member.controller_store.write_states(claim, changes)
            assert [state.version for state in outcome.values() if state] == [0, 0]
            client.delete("/brokers/topics/t/partitions", recursive=True)
            outcome = await member.controller_store.write_states(claim, changes)
            assert [state.version for state in outcome.values() if state] == [0, 0]
        await member.stop()

    asyncio.run(scenario())


def test_old_notices_are_removed_and_the_newest_kept(
    connect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "KEPT_NOTICES", 5)
    monkeypatch.setattr(pruning, "PRUNE_ABOVE", 10)

    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        for number in range(12):
            await member.store.create_topic(_topic(f"t{number}"))
        await member.controller_store.catch_up()
        await member.controller_store.prune_notices(claim)
        with _outsider(connect) as client:
            names = sorted(client.get_children("/brokers/state_changes"))
            assert names == [f"change_{number:010d}" for number in range(7, 12)]
        await member.store.create_topic(_topic("u"))
        await member.until(lambda: "u" in member.view.topics)
        await member.stop()

    asyncio.run(scenario())


def test_who_missed_notices_reads_everything(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        claim = await _elected(member)
        await member.store.create_topic(_topic())
        await member.controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
        await member.controller_store.catch_up()
        with _outsider(connect) as client:
            path = "/brokers/topics/t/partitions/0/state"
            raised = {**json.loads(client.get(path)[0]), "leader_epoch": 9}
            transaction = client.transaction()
            transaction.set_data(path, json.dumps(raised).encode())
            transaction.create("/brokers/state_changes/change_", b"{}", sequence=True)
            (name,) = (n for n in transaction.commit() if isinstance(n, str))
            client.delete(name)
            client.create(
                "/brokers/state_changes/change_", b'{"topics":[],"states":[]}', sequence=True
            )
            await member.until(lambda: member.view.states[_T0].leader_epoch == 9)
        await member.stop()

    asyncio.run(scenario())


def test_a_topic_that_another_tool_made_is_seen(connect: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        member = await _member(connect, tmp_path).start()
        with _outsider(connect) as client:
            client.create(
                "/brokers/topics/t", b'{"partitions":{"0":[0]},"topic_id":"A","version":3}'
            )
            await member.until(lambda: "t" in member.view.topics)
            claim = await _elected(member)
            await member.controller_store.write_states(claim, [_change(0, NEW_STATE_VERSION)])
            await member.until(lambda: _T0 in member.view.states)
            client.delete("/brokers/topics/t", recursive=True)
            await member.until(lambda: not member.view.topics)
        await member.stop()

    asyncio.run(scenario())
