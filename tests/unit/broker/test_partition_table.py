"""Partitions follow the cluster's picture: opened, led, reconfigured and removed as it says."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from kafkalite.broker import partition_opening
from kafkalite.broker.metadata_view import StateAt, TopicAt
from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.config.topic_config import TopicSettings, topic_settings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    KafkaStorageError,
    LeaderNotAvailableError,
    NotLeaderOrFollowerError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.storage.log import Log
from tests.support.fake_metadata import FakeMetadata, fake_brokers
from tests.support.partitions import LAG_MS, OTHER_ID, OWN_ID, Logs, batch_of, led_by

_ID = TopicId("AAAAAAAAAAAAAAAAAAAAAA")
_NEXT_ID = TopicId("BBBBBBBBBBBBBBBBBBBBBA")


class _Cluster:
    """A table that follows a cluster in memory, and what the test does to that cluster."""

    def __init__(self, logs: Logs) -> None:
        self.logs = logs
        self.metadata = FakeMetadata()
        self.view = self.metadata.member().view
        for broker in fake_brokers([OWN_ID, OTHER_ID]):
            self.metadata.register(broker)
        self.retired: list[Partition] = []
        self.may_retire = asyncio.Event()
        self.may_retire.set()
        self.roles: list[Partition] = []
        self.asked_for: list[str] = []
        self.on_ask: Callable[[str], None] = lambda _: None
        self.table = PartitionTable(
            self.view,
            logs.directories,
            self,
            own_epoch=self._own_epoch,
            make_partition=self._make,
            retire=self._retire,
            settings_of=self.settings_of,
            on_role=self.roles.append,
        )
        self.table.own_id = OWN_ID

    # -- what the table asks of others ----------------------------------------------------------

    async def ensure(self, name: str) -> None:
        self.asked_for.append(name)
        self.on_ask(name)

    def _own_epoch(self) -> int | None:
        own = self.view.brokers.get(OWN_ID)
        return None if own is None else own.epoch

    async def _retire(self, partition: Partition) -> None:
        await self.may_retire.wait()
        self.retired.append(partition)

    def settings_of(self, topic: Topic) -> TopicSettings:
        return topic_settings(self.logs.settings, topic.config)

    def _make(self, log: Log, settings: TopicSettings) -> Partition:
        return Partition(
            log,
            settings,
            PartitionOptions(FlushPolicy.OS, LAG_MS),
            OWN_ID,
            self.logs.clock,
            initial_high_watermark=0,
            on_append=lambda _partition, _is_awaited: None,
            on_isr_due=lambda _: None,
        )

    # -- what happens to the cluster ------------------------------------------------------------

    def add_topic(
        self, partitions: int = 1, *, topic_id: TopicId = _ID, replicas: tuple[int, ...] = (OWN_ID,)
    ) -> None:
        assignment = {n: tuple(BrokerId(each) for each in replicas) for n in range(partitions)}
        topic = Topic("t", topic_id, assignment)
        self.metadata.topics["t"] = TopicAt(topic, self.metadata.next_revision())
        self.metadata.publish()

    def configure(self, **config: str) -> None:
        entry = self.metadata.topics["t"]
        dotted = {name.replace("_", "."): text for name, text in config.items()}
        topic = replace(entry.topic, config=dotted)
        self.metadata.topics["t"] = TopicAt(topic, entry.created_revision)
        self.metadata.publish()

    def assign(self, *replicas: int) -> None:
        """Other replicas than before for partition 0."""
        entry = self.metadata.topics["t"]
        assignment = {0: tuple(BrokerId(each) for each in replicas)}
        topic = replace(entry.topic, assignment=assignment)
        self.metadata.topics["t"] = TopicAt(topic, entry.created_revision)
        self.metadata.publish()

    def elect(
        self, leader: int, number: int = 0, *, epoch: int = 0, isr: tuple[int, ...] = (0,)
    ) -> None:
        state = StateAt(led_by(leader, epoch=epoch, isr=isr), self.metadata.next_revision())
        self.metadata.states[TopicPartition("t", number)] = state
        self.metadata.publish()

    def delete_topic(self) -> None:
        del self.metadata.topics["t"]
        self.metadata.states.clear()
        self.metadata.publish()

    async def settled(self) -> None:
        await self.table.wait_until_settled(30)
        assert self.table.is_settled


def _run(logs: Logs, scenario: Callable[[_Cluster], Awaitable[None]]) -> None:
    async def run() -> None:
        cluster = _Cluster(logs)
        cluster.table.start()
        await cluster.settled()
        await scenario(cluster)
        await cluster.table.stop()

    asyncio.run(run())


def test_partition_is_opened_and_led_as_the_picture_says(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(3)
        await cluster.settled()
        assert len(cluster.table) == 3
        with pytest.raises(LeaderNotAvailableError):
            cluster.table.get("t", 0).check_leads()
        cluster.elect(OWN_ID, 0)
        cluster.elect(OTHER_ID, 1)
        cluster.table.get("t", 0).check_leads()
        with pytest.raises(NotLeaderOrFollowerError):
            cluster.table.get("t", 1).check_leads()
        assert cluster.table.led_partitions("t") == [0]
        cluster.elect(OWN_ID, 1, epoch=1)
        assert sorted(cluster.table.led_partitions("t")) == [0, 1]

    _run(logs, scenario)


def test_what_is_not_here_is_answered_with_where_it_is(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(1, replicas=(OTHER_ID,))
        cluster.elect(OTHER_ID)
        await cluster.settled()
        with pytest.raises(UnknownTopicOrPartitionError):
            cluster.table.get("nowhere", 0)
        with pytest.raises(UnknownTopicOrPartitionError, match="has 1 partitions"):
            cluster.table.get("t", 1)
        with pytest.raises(NotLeaderOrFollowerError) as elsewhere:
            cluster.table.get("t", 0)
        assert elsewhere.value.extra["leader_id"] == OTHER_ID
        assert elsewhere.value.extra["leader_url"] == "http://host1:9092"
        assert len(cluster.table) == 0

    _run(logs, scenario)


def test_log_goes_with_its_topic_once_nothing_works_on_it(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        cluster.elect(OWN_ID)
        await cluster.settled()
        partition = cluster.table.get("t", 0)
        cluster.delete_topic()
        await cluster.settled()
        assert cluster.retired == [partition]
        assert not partition.log.directory.exists()
        with pytest.raises(UnknownTopicOrPartitionError):
            cluster.table.get("t", 0)

    _run(logs, scenario)


def test_log_of_a_namesake_is_replaced(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        cluster.elect(OWN_ID)
        await cluster.settled()
        old = cluster.table.get("t", 0)
        batch, header = batch_of(b"old")
        old.append(batch, [header], acks_all=False)
        del cluster.metadata.states[TopicPartition("t", 0)]
        cluster.add_topic(topic_id=_NEXT_ID)
        await cluster.settled()
        new = cluster.table.get("t", 0)
        assert new is not old
        assert (new.log.topic_id, new.log.end_offset) == (_NEXT_ID, 0)

    _run(logs, scenario)


def test_log_that_has_yet_to_go_is_not_taken_for_its_namesakes(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(partitions=2)
        await cluster.settled()
        for number in (0, 1):
            cluster.elect(OWN_ID, number)
        old = cluster.table.get("t", 1)
        batch, header = batch_of(b"of a topic that is deleted")
        old.append(batch, [header], acks_all=False)
        cluster.may_retire.clear()
        cluster.delete_topic()
        assert not old.is_leader
        cluster.add_topic(partitions=2, topic_id=_NEXT_ID)
        for number in (0, 1):
            cluster.elect(OWN_ID, number)
        assert not old.is_leader
        assert cluster.table.led_partitions("t") == []
        cluster.may_retire.set()
        await cluster.settled()
        new = cluster.table.get("t", 1)
        assert (new.log.topic_id, new.is_leader, new.log.end_offset) == (_NEXT_ID, True, 0)

    _run(logs, scenario)


def test_settings_reach_partitions_that_are_open(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await cluster.settled()
        cluster.configure(max_message_bytes="4321")
        assert cluster.table.get("t", 0).settings.max_message_bytes == 4321

    _run(logs, scenario)


def test_nothing_is_led_after_the_session_is_lost_until_the_broker_registers(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        cluster.elect(OWN_ID)
        await cluster.settled()
        partition = cluster.table.get("t", 0)
        cluster.table.step_down()
        assert not partition.is_leader
        # Registered anew: a state of its earlier life does not count, its successor does.
        (own, _) = fake_brokers([OWN_ID, OTHER_ID])
        cluster.metadata.register(own)
        cluster.table.refresh()
        assert not partition.is_leader
        cluster.elect(OWN_ID, epoch=1)
        assert partition.is_leader

    _run(logs, scenario)


def test_epoch_of_an_earlier_life_is_not_led_even_when_a_later_state_names_it(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await cluster.settled()
        cluster.elect(OWN_ID, epoch=3)
        cluster.metadata.register(fake_brokers([OWN_ID])[0])  # it died and came back
        cluster.table.step_down()
        cluster.table.refresh()
        cluster.elect(OWN_ID, epoch=3)  # who wrote this did not know
        assert not cluster.table.get("t", 0).is_leader
        cluster.elect(OWN_ID, epoch=4)
        assert cluster.table.get("t", 0).is_leader

    _run(logs, scenario)


def test_epoch_in_which_its_log_was_opened_is_not_led(logs: Logs) -> None:
    async def run() -> None:
        cluster = _Cluster(logs)
        cluster.add_topic()
        cluster.elect(OWN_ID, epoch=3)
        topic = cluster.view.topics["t"]
        log = logs.directories.create_log(
            TopicPartition("t", 0), _ID, cluster.settings_of(topic).log_options, is_new=True
        )
        cluster.table.adopt(log, topic)
        cluster.metadata.register(fake_brokers([OWN_ID])[0])
        cluster.elect(OWN_ID, epoch=3)
        cluster.table.start()
        assert not cluster.table.get("t", 0).is_leader
        cluster.elect(OWN_ID, epoch=4)
        assert cluster.table.get("t", 0).is_leader
        await cluster.table.stop()

    asyncio.run(run())


def test_namesake_of_a_topic_that_was_led_begins_from_its_first_epoch(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await cluster.settled()
        cluster.elect(OWN_ID, epoch=3)
        cluster.metadata.register(fake_brokers([OWN_ID])[0])
        cluster.delete_topic()
        await cluster.settled()
        cluster.add_topic(topic_id=_NEXT_ID)
        await cluster.settled()
        cluster.elect(OWN_ID)
        assert cluster.table.get("t", 0).is_leader

    _run(logs, scenario)


def test_replicas_reach_a_partition_with_its_state_and_when_they_change(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await cluster.settled()
        partition = cluster.table.get("t", 0)
        cluster.elect(OWN_ID)
        assert list(partition.replicas) == [OWN_ID]
        cluster.roles.clear()
        cluster.assign(OWN_ID, OTHER_ID)
        assert list(partition.replicas) == [OWN_ID, OTHER_ID]
        assert partition.is_leader
        assert cluster.roles == [partition]

    _run(logs, scenario)


def test_all_that_may_change_whom_it_follows_is_told(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        def told(leader: int | None) -> bool:
            partitions = {each.leader_to_follow for each in cluster.roles}
            cluster.roles.clear()
            return partitions == {leader}

        cluster.add_topic()
        await cluster.settled()
        assert told(None)
        cluster.elect(OTHER_ID)
        assert told(OTHER_ID)
        cluster.elect(OWN_ID, epoch=1)
        assert told(None)
        cluster.table.step_down()
        assert told(None)
        cluster.elect(OTHER_ID, epoch=2)
        assert told(OTHER_ID)
        cluster.delete_topic()
        await cluster.settled()
        assert told(None)

    _run(logs, scenario)


def test_partition_that_stopped_leading_by_itself_is_led_no_more(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await cluster.settled()
        cluster.elect(OWN_ID)
        assert cluster.table.led_partitions("t") == [0]
        partition = cluster.table.get("t", 0)
        partition.apply(led_by(OTHER_ID, epoch=1))
        cluster.roles.clear()
        cluster.table.role_changed(partition)
        assert cluster.table.led_partitions("t") == []
        assert cluster.roles == [partition]

    _run(logs, scenario)


def test_missing_topic_is_asked_for_by_who_produces_to_it_only(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        def create(_name: str) -> None:
            cluster.add_topic(2)
            cluster.elect(OWN_ID, 0)
            cluster.elect(OWN_ID, 1)

        cluster.on_ask = create
        with pytest.raises(UnknownTopicOrPartitionError):
            await cluster.table.get_opened("t", 0)
        assert cluster.asked_for == []
        # The log is made meanwhile: the first record finds it.
        partition = await cluster.table.find("t", 1)
        assert partition.is_leader
        assert await cluster.table.partition_count("t") == 2
        with pytest.raises(UnknownTopicOrPartitionError):
            await cluster.table.find("t", 2)
        assert cluster.asked_for == ["t"]

    _run(logs, scenario)


def test_who_asks_for_a_brand_new_partition_waits_for_its_leader(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await cluster.settled()
        asking = asyncio.create_task(cluster.table.find("t", 0))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asking.done()
        cluster.elect(OWN_ID)
        assert (await asking).is_leader

    _run(logs, scenario)


def test_partition_whose_log_cannot_be_made_says_so_and_spares_the_others(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = logs.directories.create_log

    def fail_on_first(topic_partition: TopicPartition, *rest: object, is_new: bool) -> Log:
        if topic_partition.partition == 0:
            raise OSError(28, "No space left on device")
        return create(topic_partition, *rest, is_new=is_new)  # type: ignore[arg-type]

    monkeypatch.setattr(logs.directories, "create_log", fail_on_first)

    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(2)
        cluster.elect(OWN_ID, 0)
        cluster.elect(OWN_ID, 1)
        await cluster.settled()
        with pytest.raises(KafkaStorageError, match="No space left"):
            cluster.table.get("t", 0)
        assert cluster.table.get("t", 1).is_leader
        monkeypatch.setattr(logs.directories, "create_log", create)
        cluster.table.refresh()
        await cluster.settled()
        assert cluster.table.get("t", 0).is_leader

    _run(logs, scenario)


def test_only_what_nobody_led_before_or_counts_on_is_told_to_be_new(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = logs.directories.create_log
    told: dict[int, bool] = {}

    def note(topic_partition: TopicPartition, *rest: object, is_new: bool) -> Log:
        told[topic_partition.partition] = is_new
        return create(topic_partition, *rest, is_new=is_new)  # type: ignore[arg-type]

    monkeypatch.setattr(logs.directories, "create_log", note)

    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(6)
        cluster.elect(OWN_ID, 1)
        for broker in fake_brokers([OWN_ID]):
            cluster.metadata.register(broker)  # a later life of ours
        cluster.elect(OWN_ID, 2)
        cluster.elect(OWN_ID, 3, epoch=1)
        cluster.elect(OTHER_ID, 4, epoch=1, isr=(1, 0))
        cluster.elect(OTHER_ID, 5, epoch=1, isr=(1,))
        await cluster.settled()
        # Of 2 the state is younger than this life, but leaders rewrite states as they go.
        assert told == {0: True, 1: False, 2: False, 3: False, 4: False, 5: True}
        cluster.delete_topic()
        await cluster.settled()
        cluster.add_topic(1, topic_id=TopicId("younger than this life"))
        cluster.elect(OWN_ID, 0, epoch=3)
        await cluster.settled()
        assert told[0]

    _run(logs, scenario)


# -- what happens while a log is made or removed ---------------------------------------------------


class _Creation:
    """Holds up the making of the next log."""

    def __init__(self) -> None:
        self._began = threading.Event()
        self._may_go_on = threading.Event()

    async def began(self) -> None:
        assert await asyncio.to_thread(self._began.wait, 30)

    def go_on(self) -> None:
        self._may_go_on.set()

    @contextmanager
    def held(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        create = logs.directories.create_log

        def slow(*given: Any, **options: Any) -> Log:
            self._began.set()
            assert self._may_go_on.wait(30)
            return create(*given, **options)

        monkeypatch.setattr(logs.directories, "create_log", slow)
        try:
            yield
        finally:
            self.go_on()


@pytest.fixture
def creation(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Creation]:
    made = _Creation()
    with made.held(logs, monkeypatch):
        yield made


def test_log_of_a_topic_that_went_while_it_was_made_goes_too(
    logs: Logs, creation: _Creation
) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await creation.began()
        cluster.delete_topic()
        creation.go_on()
        await cluster.settled()
        assert len(cluster.table) == 0
        assert not any(directory.logs for directory in logs.directories)

    _run(logs, scenario)


def test_namesake_that_came_while_the_log_was_made_gets_its_own(
    logs: Logs, creation: _Creation
) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await creation.began()
        cluster.add_topic(topic_id=_NEXT_ID)
        cluster.elect(OWN_ID)
        creation.go_on()
        await cluster.settled()
        partition = cluster.table.get("t", 0)
        assert partition.log.topic_id == _NEXT_ID
        assert partition.is_leader
        assert [each.log.topic_id for each in cluster.retired] == [_ID]

    _run(logs, scenario)


def test_settings_that_came_while_the_log_was_made_count(logs: Logs, creation: _Creation) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        await creation.began()
        cluster.configure(max_message_bytes="4321", segment_bytes="1234")
        creation.go_on()
        await cluster.settled()
        cluster.elect(OWN_ID)
        partition = cluster.table.get("t", 0)
        assert partition.settings.max_message_bytes == 4321
        batch, header = batch_of(b"x" * 2000)
        with pytest.raises(RecordListTooLargeError):
            partition.append(batch, [header], acks_all=False)

    _run(logs, scenario)


def test_nothing_is_led_that_was_opened_after_the_session_was_lost(
    logs: Logs, creation: _Creation
) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic()
        cluster.elect(OWN_ID)
        await creation.began()
        cluster.table.step_down()
        creation.go_on()
        await cluster.settled()
        assert not cluster.table.get("t", 0).is_leader
        cluster.elect(OWN_ID, epoch=1)  # what others still say of us
        assert not cluster.table.get("t", 0).is_leader
        cluster.table.refresh()
        assert cluster.table.get("t", 0).is_leader

    _run(logs, scenario)


def test_nothing_is_led_from_the_start_when_the_session_was_lost_before(logs: Logs) -> None:
    async def run() -> None:
        cluster = _Cluster(logs)
        cluster.add_topic()
        cluster.elect(OWN_ID)
        cluster.table.step_down()
        cluster.table.start()
        await cluster.settled()
        assert not cluster.table.get("t", 0).is_leader
        cluster.table.refresh()
        assert cluster.table.get("t", 0).is_leader
        await cluster.table.stop()

    asyncio.run(run())


@pytest.mark.parametrize("gets_as_far_as_the_rename", [False, True])
def test_namesake_waits_until_the_old_log_is_away(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, gets_as_far_as_the_rename: bool
) -> None:
    remove = logs.directories.remove_log
    monkeypatch.setattr(partition_opening, "RETRY_S", 0.01)
    may_work = False

    def fail_at_first(log: Log) -> None:
        if not may_work and not gets_as_far_as_the_rename:
            raise OSError(5, "Input/output error")
        remove(log)
        if not may_work:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(logs.directories, "remove_log", fail_at_first)

    async def scenario(cluster: _Cluster) -> None:
        nonlocal may_work
        cluster.add_topic()
        cluster.elect(OWN_ID)
        await cluster.settled()
        old = cluster.table.get("t", 0)
        batch, header = batch_of(b"old")
        old.append(batch, [header], acks_all=False)
        cluster.delete_topic()
        await cluster.settled()
        may_work = True
        cluster.add_topic(topic_id=_NEXT_ID)
        cluster.elect(OWN_ID)
        await cluster.settled()
        new = cluster.table.get("t", 0)
        assert (new.log.topic_id, new.log.end_offset) == (_NEXT_ID, 0)
        assert new.is_leader
        assert not cluster.table.failures

    _run(logs, scenario)


def test_unforeseen_error_ends_neither_the_following_nor_the_other_partitions(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create = logs.directories.create_log

    def fail_on_first(topic_partition: TopicPartition, *rest: Any, **options: Any) -> Log:
        if topic_partition.partition == 0:
            raise ValueError("unforeseen")
        return create(topic_partition, *rest, **options)

    monkeypatch.setattr(logs.directories, "create_log", fail_on_first)

    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(2)
        await cluster.settled()
        with pytest.raises(KafkaStorageError):
            cluster.table.get("t", 0)
        cluster.table.get("t", 1)
        monkeypatch.setattr(logs.directories, "create_log", create)
        cluster.table.refresh()
        await cluster.settled()
        cluster.table.get("t", 0)

    _run(logs, scenario)
    assert "Traceback" in caplog.text


def test_change_of_one_topic_looks_at_no_partition_of_another(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.add_topic(3)
        await cluster.settled()
        other = Topic("other", _NEXT_ID, {0: (OWN_ID,)})
        cluster.metadata.topics["other"] = TopicAt(other, cluster.metadata.next_revision())
        cluster.metadata.publish()
        await cluster.settled()
        assert {str(each.topic_partition) for each in cluster.table} == {
            "t-0", "t-1", "t-2", "other-0",
        }  # fmt: skip
        assert len(cluster.table) == 4
        cluster.delete_topic()
        await cluster.settled()
        assert [str(each.topic_partition) for each in cluster.table] == ["other-0"]

    _run(logs, scenario)
