"""Administrative requests, with a controller and a store in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.control.topic_admin import MAX_PARTITIONS, TopicAdmin, TopicDefaults
from kafkalite.broker.metadata_view import ClusterPicture
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.errors import (
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    LogError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicDeletionDisabledError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from tests.support.fake_clock import FakeClock
from tests.support.fake_metadata import FakeMetadata, FakeMetadataStore, fake_brokers
from tests.support.fake_peers import SilentPeers

_MS = 5_000


class Cluster:
    """Some brokers, one of which is asked; the controller can be left out."""

    def __init__(self, *, brokers: int = 1, deletes_topics: bool = True) -> None:
        self.metadata = FakeMetadata()
        self.member: FakeMetadataStore = self.metadata.member()
        for broker in fake_brokers(range(brokers)):
            self.metadata.register(broker)
        self.view = self.member.view
        self.admin = TopicAdmin(
            self.view,
            self.member,
            defaults=lambda: TopicDefaults(2, 1),
            deletes_topics=lambda: deletes_topics,
            random=Random(1),
        )
        self.controller = ControllerDriver(
            self.view,
            self.member,
            lambda: BrokerId(0),
            clock=FakeClock(),
            policy=lambda: ControllerPolicy(deletes_topics=deletes_topics),
            peers=SilentPeers(),
        )


@asynccontextmanager
async def _running(cluster: Cluster) -> AsyncIterator[Cluster]:
    cluster.controller.start()
    try:
        yield cluster
    finally:
        await cluster.controller.stop()


def _run(scenario: Callable[[Cluster], Awaitable[None]], cluster: Cluster) -> None:
    async def run() -> None:
        async with _running(cluster):
            await scenario(cluster)

    asyncio.run(run())


async def _create(
    cluster: Cluster,
    name: str = "zz1",
    partitions: int | None = None,
    factor: int | None = None,
    assignment: dict[int, list[int]] | None = None,
    config: dict[str, str] | None = None,
) -> None:
    await cluster.admin.create_topic(
        name, partitions, factor, assignment, config or {}, timeout_ms=_MS
    )


def test_a_created_topic_has_the_defaults_and_leaders() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, config={"retention.ms": "1000"})
        topic = cluster.view.topics["zz1"]
        assert topic.partition_count == 2
        assert topic.replication_factor == 1
        assert topic.config == {"retention.ms": "1000"}
        assert len(topic.topic_id) == 22
        assert {cluster.view.states[TopicPartition("zz1", n)].leader for n in (0, 1)} == {0}

    _run(scenario, Cluster())


def test_a_manual_assignment_is_taken_as_it_is() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, assignment={0: [1, 0], 1: [0, 1]})
        assert cluster.view.topics["zz1"].assignment == {0: (1, 0), 1: (0, 1)}
        assert cluster.view.states[TopicPartition("zz1", 0)].leader == 1

    _run(scenario, Cluster(brokers=2))


def test_validation_writes_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        topic = await cluster.admin.create_topic(
            "zz1", 3, 1, None, {}, timeout_ms=0, validate_only=True
        )
        assert topic.partition_count == 3
        assert not cluster.view.topics

    _run(scenario, Cluster())


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        pytest.param(
            {"name": "bad name"},
            InvalidTopicError,
            "Topic name is invalid: 'bad name' contains one or more characters other than ASCII "
            "alphanumerics, '.', '_' and '-'",
            id="name",
        ),
        pytest.param(
            {"name": "old"}, TopicAlreadyExistsError, "Topic 'old' already exists.", id="exists"
        ),
        pytest.param(
            {"name": "a_b"},
            InvalidTopicError,
            "Topic 'a_b' collides with existing topics: a.b",
            id="collision",
        ),
        pytest.param(
            {"partitions": 0},
            InvalidPartitionsError,
            "The partitions must be greater than 0",
            id="no partitions",
        ),
        pytest.param(
            {"partitions": MAX_PARTITIONS + 1},
            InvalidPartitionsError,
            "A topic can have at most 10000 partitions, not 10001",
            id="too many partitions",
        ),
        pytest.param(
            {"factor": 3},
            InvalidReplicationFactorError,
            "Replication factor: 3 larger than available brokers: 1.",
            id="factor",
        ),
        pytest.param(
            {"assignment": {0: [5]}},
            InvalidReplicaAssignmentError,
            "Unknown broker(s) in replica assignment: 5.",
            id="assignment",
        ),
        pytest.param(
            {"assignment": {0: [0]}, "partitions": 1},
            InvalidRequestError,
            "Both a replica assignment and a number of partitions or a replication factor were "
            "given. Both cannot be used at the same time.",
            id="both",
        ),
        pytest.param(
            {"config": {"x": "y" * 70_000}},
            InvalidConfigError,
            "The configuration has 70001 characters; at most 65536 are allowed",
            id="config too large",
        ),
    ],
)
def test_create_is_refused_in_kafkas_words(
    arguments: dict[str, object], error: type[LogError], text: str
) -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, "old")
        await _create(cluster, "a.b")
        with pytest.raises(error) as caught:
            await _create(cluster, **arguments)  # type: ignore[arg-type]
        assert str(caught.value) == text
        assert set(cluster.view.topics) == {"old", "a.b"}

    _run(scenario, Cluster())


def test_an_unknown_config_is_refused() -> None:
    async def scenario(cluster: Cluster) -> None:
        with pytest.raises(InvalidConfigError, match="Unknown topic config name: bogus"):
            await _create(cluster, config={"bogus": "1"})

    _run(scenario, Cluster())


def test_of_two_that_create_the_same_topic_one_wins() -> None:
    async def scenario(cluster: Cluster) -> None:
        outcomes = await asyncio.gather(
            _create(cluster, partitions=1), _create(cluster, partitions=2), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [
            "NoneType",
            "TopicAlreadyExistsError",
        ]

    _run(scenario, Cluster())


def test_without_a_controller_creation_times_out_and_says_how_far_it_came() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        with pytest.raises(RequestTimedOutError, match="is written, but not all"):
            await cluster.admin.create_topic("zz1", 1, 1, None, {}, timeout_ms=1)
        assert "zz1" in cluster.view.topics

    asyncio.run(scenario())


def test_an_unreachable_store_is_an_error_that_may_be_retried() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        cluster.metadata.is_available = False
        with pytest.raises(RequestTimedOutError, match="could not be confirmed"):
            await _create(cluster)

    asyncio.run(scenario())


def test_partitions_are_added_where_the_topic_ended() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, partitions=3)
        before = cluster.view.topics["zz1"].assignment
        topic = await cluster.admin.create_partitions("zz1", 6, timeout_ms=_MS)
        assert {number: topic.assignment[number] for number in range(3)} == before
        leaders = [topic.assignment[number][0] for number in range(6)]
        assert leaders[:3] == leaders[3:]
        assert cluster.view.states[TopicPartition("zz1", 5)].leader == leaders[5]

    _run(scenario, Cluster(brokers=3))


def test_nobody_waits_for_leaders_of_partitions_when_their_topic_is_deleted() -> None:
    async def scenario() -> None:
        cluster = Cluster()
        async with _running(cluster):
            await _create(cluster)
        adding = asyncio.ensure_future(
            cluster.admin.create_partitions("zz1", 6, timeout_ms=3_600_000)
        )
        await cluster.view.wait_until(lambda: cluster.view.topics["zz1"].partition_count == 6, 30)
        await cluster.member.request_topic_deletion("zz1")
        async with _running(cluster):
            with pytest.raises(UnknownTopicOrPartitionError, match="was deleted meanwhile"):
                await adding

    asyncio.run(scenario())


def test_added_partitions_may_be_assigned_by_hand() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, partitions=1)
        topic = await cluster.admin.create_partitions("zz1", 2, {1: [1]}, timeout_ms=_MS)
        assert topic.assignment[1] == (1,)
        with pytest.raises(InvalidRequestError, match="by 2 but 1 assignments provided"):
            await cluster.admin.create_partitions("zz1", 4, {2: [1]}, timeout_ms=_MS)

    _run(scenario, Cluster(brokers=2))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "Topic currently has 4 partitions, which is higher than the requested 1."),
        (4, "Topic already has 4 partitions."),
    ],
)
def test_a_topic_cannot_shrink(count: int, text: str) -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, partitions=4)
        with pytest.raises(InvalidPartitionsError) as caught:
            await cluster.admin.create_partitions("zz1", count, timeout_ms=_MS)
        assert str(caught.value) == text

    _run(scenario, Cluster())


def test_overrides_are_set_and_removed() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, config={"retention.ms": "1000"})
        changes = {"retention.ms": None, "segment.bytes": "1048576", "flush.ms": None}
        topic = await cluster.admin.alter_topic_config("zz1", changes)
        assert topic.config == {"segment.bytes": "1048576"}
        assert cluster.view.topics["zz1"] == topic
        with pytest.raises(InvalidConfigError):
            await cluster.admin.alter_topic_config("zz1", {"bogus": "1"})

    _run(scenario, Cluster())


def test_broker_overrides_are_set_and_removed() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.admin.alter_broker_config("<default>", {"log.retention.ms": "5000"})
        await cluster.admin.alter_broker_config("00", {"log.retention.ms": "6000"})
        assert cluster.view.broker_configs == {
            "<default>": {"log.retention.ms": "5000"},
            "0": {"log.retention.ms": "6000"},
        }
        await cluster.admin.alter_broker_config("0", {"log.retention.ms": None})
        assert cluster.view.broker_configs["0"] == {}
        with pytest.raises(InvalidConfigError, match="Cannot update these configs dynamically"):
            await cluster.admin.alter_broker_config("0", {"log.dirs": "/elsewhere"})
        with pytest.raises(InvalidRequestError, match=r"'\.\./x' is neither"):
            await cluster.admin.alter_broker_config("../x", {})

    _run(scenario, Cluster())


def test_a_deleted_topic_is_gone_and_its_name_free() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster)
        first = cluster.view.topics["zz1"].topic_id
        await cluster.admin.delete_topic("zz1", timeout_ms=_MS)
        assert not cluster.view.topics
        assert not cluster.view.states
        await _create(cluster)
        assert cluster.view.topics["zz1"].topic_id != first

    _run(scenario, Cluster())


def test_deletion_is_refused_when_it_is_disabled() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster)
        with pytest.raises(TopicDeletionDisabledError):
            await cluster.admin.delete_topic("zz1", timeout_ms=_MS)
        assert "zz1" in cluster.view.topics

    _run(scenario, Cluster(deletes_topics=False))


def test_deletion_waits_for_dead_brokers_and_the_name_stays_taken() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, assignment={0: [0, 1]})
        cluster.metadata.unregister(BrokerId(1))
        with pytest.raises(RequestTimedOutError, match="is marked for deletion"):
            await cluster.admin.delete_topic("zz1", timeout_ms=1)
        with pytest.raises(TopicAlreadyExistsError, match="Topic 'zz1' is marked for deletion"):
            await _create(cluster)
        cluster.metadata.register(fake_brokers([1])[0])
        assert await cluster.view.wait_until(lambda: not cluster.view.topics, 5.0)

    _run(scenario, Cluster(brokers=2))


def test_unknown_topics_are_refused() -> None:
    async def scenario(cluster: Cluster) -> None:
        for attempt in (
            cluster.admin.create_partitions("nope", 3, timeout_ms=_MS),
            cluster.admin.alter_topic_config("nope", {}),
            cluster.admin.delete_topic("nope", timeout_ms=_MS),
        ):
            with pytest.raises(UnknownTopicOrPartitionError) as caught:
                await attempt
            assert str(caught.value) == "Topic 'nope' does not exist"

    _run(scenario, Cluster())


def test_nothing_is_refused_because_this_broker_is_a_moment_behind() -> None:
    async def scenario(cluster: Cluster) -> None:
        await _create(cluster, "old")
        other = cluster.metadata.member()
        cluster.metadata.lagging.append(other.view)
        elsewhere = TopicAdmin(
            other.view,
            other,
            defaults=lambda: TopicDefaults(1, 2),
            deletes_topics=lambda: True,
            random=Random(2),
        )
        await cluster.admin.delete_topic("old", timeout_ms=_MS)
        await _create(cluster, "new")
        cluster.metadata.register(fake_brokers([1])[0])
        topic = await elsewhere.create_topic(
            "old", None, None, None, {}, timeout_ms=0, validate_only=True
        )
        assert topic.replication_factor == 2
        other.view.replace(ClusterPicture("fake-cluster"))
        with pytest.raises(InvalidPartitionsError, match="Topic already has 2 partitions"):
            await elsewhere.create_partitions("new", 2, timeout_ms=_MS)

    _run(scenario, Cluster())
