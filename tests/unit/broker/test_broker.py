"""A broker's life beside a store in memory: what it takes in while it starts, and when it leads."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kafkalite.broker.broker import Broker
from kafkalite.broker.groups.ports import GroupStore
from kafkalite.broker.log_keeping import LogKeeping
from kafkalite.broker.metadata_view import StateAt, TopicAt
from kafkalite.broker.ports import ControllerStore, MetadataStore
from kafkalite.model import cluster
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import CoordinatorNotAvailableError
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.wire.group_messages import HeartbeatRequest
from tests.support.fake_clock import FakeClock
from tests.support.fake_groups import FakeGroups
from tests.support.fake_metadata import FakeMetadata
from tests.support.fake_peers import SilentPeers
from tests.support.group_coordinators import refused
from tests.support.partitions import NOW_MS, OWN_ID, TOPIC_ID, broker_settings, led_by


class _Membership:
    """A session that is there when it is asked for."""

    def __init__(self, metadata: FakeMetadata) -> None:
        self._metadata = metadata
        self._store = metadata.member()
        self._group_store = FakeGroups().member()
        self.view = self._store.view
        self.is_connected = True
        self.epoch: int | None = None
        self.on_register: Callable[[], None] = lambda: None

    @property
    def store(self) -> MetadataStore:
        return self._store

    @property
    def controller_store(self) -> ControllerStore:
        return self._store

    @property
    def group_store(self) -> GroupStore:
        return self._group_store

    async def start(self) -> None: ...

    async def cluster_id(self) -> str:
        return "fake-cluster"

    async def generate_broker_id(self) -> int:
        return 1001

    async def load_view(self) -> None:
        self._metadata.publish()

    async def register(self, broker: cluster.Broker) -> int:
        self.epoch = epoch = self._metadata.register(broker)
        self.on_register()
        return epoch

    async def stop(self) -> None: ...


class _Life:
    """A broker, and the cluster that it is in."""

    def __init__(self, directory: Path) -> None:
        self.metadata = FakeMetadata()
        self.membership = _Membership(self.metadata)
        self.directories = LogDirectories([directory])
        self.directories.open()
        self.broker = Broker(
            broker_settings(directory),
            self.membership.view,
            self.directories,
            FakeClock(NOW_MS),
            SilentPeers(),
            lambda _: self.membership,
        )

    def configure(self) -> None:
        self.metadata.broker_configs["<default>"] = {"log.retention.ms": "60000"}
        self.metadata.publish()

    def make_topic(self) -> None:
        topic = Topic("t", TOPIC_ID, {0: (OWN_ID,)})
        self.metadata.topics["t"] = TopicAt(topic, self.metadata.next_revision())
        self.elect()

    def elect(self, *, epoch: int = 0) -> None:
        state = StateAt(led_by(OWN_ID, epoch=epoch), self.metadata.next_revision())
        self.metadata.states[TopicPartition("t", 0)] = state
        self.metadata.publish()

    async def settled(self) -> None:
        await self.broker.partitions.wait_until_settled(30)

    @property
    def leads(self) -> bool:
        return self.broker.partitions.get("t", 0).is_leader


def _run(directory: Path, scenario: Callable[[_Life], Awaitable[None]]) -> None:
    async def run() -> None:
        life = _Life(directory)
        try:
            await scenario(life)
        finally:
            life.broker.stop_waiting()
            await life.broker.leave()
            await life.broker.close()
            life.directories.close()

    asyncio.run(run())


def test_settings_that_change_while_the_logs_are_opened_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_logs = LogKeeping.open

    async def scenario(life: _Life) -> None:
        async def changed_meanwhile(keeping: LogKeeping, *given: Any) -> None:
            await open_logs(keeping, *given)
            life.configure()

        monkeypatch.setattr(LogKeeping, "open", changed_meanwhile)
        await life.broker.open()
        await life.broker.join("host", 9092)
        assert life.broker.settings.log_retention_ms == 60_000

    _run(tmp_path, scenario)


def test_session_that_is_lost_while_it_registers_leads_once_it_is_back(tmp_path: Path) -> None:
    async def scenario(life: _Life) -> None:
        await life.broker.open()
        life.membership.on_register = life.broker.on_lost
        await life.broker.join("host", 9092)
        life.make_topic()
        await life.settled()
        assert not life.leads
        life.broker.on_connected()
        assert life.leads

    _run(tmp_path, scenario)


def test_session_that_is_lost_and_back_before_the_broker_joins_keeps_it_from_nothing(
    tmp_path: Path,
) -> None:
    async def scenario(life: _Life) -> None:
        await life.broker.open()
        life.broker.on_lost()
        life.broker.on_connected()
        await life.broker.join("host", 9092)
        life.make_topic()
        await life.settled()
        assert life.leads

    _run(tmp_path, scenario)


def test_session_that_comes_back_while_the_broker_stops_leads_nothing_more(tmp_path: Path) -> None:
    async def scenario(life: _Life) -> None:
        await life.broker.open()
        await life.broker.join("host", 9092)
        life.make_topic()
        await life.settled()
        assert life.leads
        life.broker.stop_waiting()
        await life.broker.leave()
        life.broker.on_connected()
        assert not life.leads

    _run(tmp_path, scenario)


def test_groups_are_coordinated_while_the_session_is_there(tmp_path: Path) -> None:
    async def scenario(life: _Life) -> None:
        groups = life.broker.groups
        join = HeartbeatRequest(member_id="m", topics=["t"])
        assert await refused(groups.heartbeat("g", join, "h")) is CoordinatorNotAvailableError
        await life.broker.open()
        await life.broker.join("host", 9092)
        life.make_topic()
        answer = await groups.heartbeat("g", join, "h")
        assert (answer.coordinator_id, answer.coordinator_url) == (OWN_ID, "http://host:9092")
        assert life.broker.group_routing.coordinator("g").id == OWN_ID
        life.broker.on_suspended()
        assert await refused(groups.heartbeat("g", join, "h")) is CoordinatorNotAvailableError
        life.broker.on_lost()
        life.broker.on_connected()
        answer = await groups.heartbeat("g", join, "h")
        # Those who wait are let go, so that the server can be closed.
        epoch = answer.member_epoch
        member = HeartbeatRequest(member_id="m", member_epoch=epoch, max_wait_ms=60_000)
        waiting = asyncio.create_task(groups.heartbeat("g", member, "h"))
        await asyncio.sleep(0)
        assert groups.waiting_heartbeats == 1
        life.broker.stop_waiting()
        assert (await waiting).member_epoch == epoch
        await life.broker.leave()
        assert await refused(groups.heartbeat("g", join, "h")) is CoordinatorNotAvailableError

    _run(tmp_path, scenario)
