"""All of the administration of three brokers, from Python."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvloop

from kafkalite.client.admin.admin_client import AdminClient
from kafkalite.client.admin.async_admin_client import AsyncAdminClient
from kafkalite.client.admin.partition_calls import At
from kafkalite.client.admin.topic_calls import NewTopic
from kafkalite.client.errors import ClosedError, ConfigError
from kafkalite.model.errors import (
    GroupIdNotFoundError,
    InvalidConfigError,
    InvalidReplicaAssignmentError,
    LogError,
    NonEmptyGroupError,
    OffsetOutOfRangeError,
    PathNotFoundError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import FoundOffset, TopicDescription
from kafkalite.wire.group_descriptions import OffsetResetResult
from tests.support.cluster import Cluster
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_names = (f"t{number}" for number in itertools.count())
_groups = (f"g{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("admin")
    with (
        EmbeddedZooKeeper(directory / "zookeeper") as zookeeper,
        Cluster(directory, zookeeper.hosts) as running,
    ):
        yield running


@pytest.fixture
def servers(cluster: Cluster) -> str:
    """A broker that is not there, and then those that are."""
    return ",".join(["127.0.0.1:1", *(broker.address for broker in cluster)])


@pytest.fixture
def admin(servers: str) -> Iterator[AdminClient]:
    with AdminClient(bootstrap_servers=servers) as client:
        yield client


def _fill(cluster: Cluster, place: TopicPartition, count: int, first_ms: int = 1_000) -> None:
    """Append records with timestamps one second apart."""
    url = f"{next(iter(cluster)).url}/v1/topics/{place.topic}/partitions/{place.partition}/records"
    records = [{"value": n, "timestamp": first_ms + n * 1000} for n in range(count)]
    answer = httpx.post(url, json={"records": records}, trust_env=False, timeout=30)
    assert answer.is_success, answer.text


def test_topics_are_created_described_extended_and_deleted(admin: AdminClient) -> None:
    name = next(_names)
    created = admin.create_topic(name, 2, 3, config={"retention.ms": "1000"})
    assert (created.name, created.partition_count, created.replication_factor) == (name, 2, 3)
    assert created.config == {"retention.ms": "1000"}
    assert all(each.leader >= 0 for each in created.partitions)
    assert admin.describe_topic(name) == created
    assert name in [each.name for each in admin.list_topics()]
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topic(name)
    assert admin.add_partitions(name, 4).partition_count == 4
    admin.delete_topic(name)
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.describe_topic(name)


def test_a_topic_is_only_checked_when_that_is_wanted(admin: AdminClient) -> None:
    name = next(_names)
    assert admin.create_topic(name, validate_only=True).name == name
    with pytest.raises(InvalidConfigError):
        admin.create_topic(name, config={"retention.msx": "1"}, validate_only=True)
    assert name not in [each.name for each in admin.list_topics()]


def test_several_topics_have_an_outcome_each(admin: AdminClient) -> None:
    first, second, third = next(_names), next(_names), next(_names)
    admin.create_topic(first)
    made = admin.create_topics(
        [
            NewTopic(first),
            NewTopic(second, partitions=3),
            NewTopic(third, replica_assignment=[[2, 1], [0, 1]]),
        ]
    )
    assert isinstance(made[first], TopicAlreadyExistsError)
    described = admin.describe_topics([second, third, "nope"])
    assert described[second] == made[second]
    assert isinstance(described["nope"], UnknownTopicOrPartitionError)
    topic = described[third]
    assert isinstance(topic, TopicDescription)
    assert [each.replicas for each in topic.partitions] == [[2, 1], [0, 1]]
    gone = admin.delete_topics([first, second, third, "nope"])
    assert [gone[each] for each in (first, second, third)] == [None, None, None]
    assert isinstance(gone["nope"], UnknownTopicOrPartitionError)


def test_settings_of_a_topic_are_changed_and_taken_back(admin: AdminClient) -> None:
    name = next(_names)
    admin.create_topic(name)
    admin.alter_topic_config(name, {"retention.ms": "1000", "max.message.bytes": "2000"})
    altered = admin.alter_topic_config(name, {"retention.ms": None})
    assert altered.config == {"max.message.bytes": "2000"}
    (setting,) = admin.describe_topic_config(name)
    assert (setting.name, setting.value) == ("max.message.bytes", "2000")
    assert setting.synonyms[0].source == setting.source
    everything = {each.name: each for each in admin.describe_topic_config(name, include_all=True)}
    assert len(everything) > 10
    assert everything["max.message.bytes"] == setting
    with pytest.raises(InvalidConfigError):
        admin.alter_topic_config(name, {"retention.ms": "soon"})


def test_settings_of_brokers_are_changed_and_taken_back(admin: AdminClient) -> None:
    def changed(broker_id: int | None) -> dict[str, str | None]:
        return {each.name: each.value for each in admin.describe_broker_config(broker_id)}

    admin.alter_broker_config({"log.retention.ms": "7000000"}, 1)
    admin.alter_broker_config({"log.retention.ms": "8000000"})
    wait_until(
        lambda: changed(1) == {"log.retention.ms": "7000000"}, "seen by the broker that is asked"
    )
    wait_until(
        lambda: changed(None) == {"log.retention.ms": "8000000"}, "seen by the broker that is asked"
    )
    for broker_id in range(3):
        everything = admin.describe_broker_config(broker_id, include_all=True)
        values = {each.name: each.value for each in everything}
        assert values["broker.id"] == str(broker_id), "each is asked for its own"
    admin.alter_broker_config({"log.retention.ms": None}, 1)
    admin.alter_broker_config({"log.retention.ms": None})
    wait_until(lambda: changed(1) == changed(None) == {}, "seen by the broker that is asked")
    with pytest.raises(PathNotFoundError):
        admin.describe_broker_config(17, include_all=True)


def test_offsets_are_found_and_records_deleted(admin: AdminClient, cluster: Cluster) -> None:
    name = next(_names)
    admin.create_topic(name, 2)
    full, empty = TopicPartition(name, 0), TopicPartition(name, 1)
    nowhere = TopicPartition(name, 2)
    _fill(cluster, full, 10)
    offsets = admin.describe_offsets(full)
    assert (offsets.log_start_offset, offsets.high_watermark, offsets.log_end_offset) == (0, 10, 10)

    def at(place: TopicPartition, when: At) -> tuple[int, int]:
        found = admin.list_offsets({place: when})[place]
        assert isinstance(found, FoundOffset), found
        return found.offset, found.timestamp

    assert at(full, "earliest") == (0, -1)
    assert at(full, "latest") == (10, -1)
    assert at(full, "max-timestamp") == (9, 10_000)
    assert at(full, 3_500) == (3, 4_000)
    assert at(full, 11_000) == (-1, -1)
    assert at(empty, "max-timestamp") == (-1, -1)
    both = admin.list_offsets({full: "latest", nowhere: "latest"})
    assert isinstance(both[nowhere], UnknownTopicOrPartitionError)

    deleted = admin.delete_records({full: 4, empty: 7, nowhere: 0})
    assert deleted[full] == 4
    assert isinstance(deleted[empty], OffsetOutOfRangeError)
    assert isinstance(deleted[nowhere], UnknownTopicOrPartitionError)
    assert at(full, "earliest") == (4, -1)
    assert admin.delete_records({full: -1}) == {full: 10}


def test_partitions_are_moved_and_leaders_elected(admin: AdminClient) -> None:
    name = next(_names)
    admin.create_topic(name, replica_assignment=[[0, 1]])
    place = TopicPartition(name, 0)
    proposal = admin.propose_assignment([name], [1, 2])
    assert [each.replicas for each in proposal.current] == [[0, 1]]
    assert set(proposal.proposed[0].replicas) == {1, 2}

    started = admin.reassign_partitions({place: [2, 1], TopicPartition("nope", 0): [1]})
    assert started[place] is None
    assert isinstance(started[TopicPartition("nope", 0)], UnknownTopicOrPartitionError)
    wait_until(lambda: admin.list_reassignments() == [], "seen by the broker that is asked")
    wait_until(
        lambda: admin.describe_topic(name).partitions[0].replicas == [2, 1],
        "seen by the broker that is asked",
    )
    refused = admin.reassign_partitions({place: [9]})
    assert isinstance(refused[place], InvalidReplicaAssignmentError)
    assert isinstance(admin.cancel_reassignments([place])[place], LogError)
    assert admin.cancel_reassignments() == {}

    wait_until(
        lambda: admin.describe_topic(name).partitions[0].leader == 2,
        "seen by the broker that is asked",
    )
    assert isinstance(admin.elect_leaders(partitions=[place])[place], LogError), "it leads already"
    assert admin.elect_leaders() == {}


def test_offsets_of_groups_are_set_reset_and_forgotten(
    admin: AdminClient, cluster: Cluster
) -> None:
    name, group = next(_names), next(_groups)
    admin.create_topic(name, 2)
    zero, one = TopicPartition(name, 0), TopicPartition(name, 1)
    _fill(cluster, zero, 10)
    with pytest.raises(GroupIdNotFoundError):
        admin.describe_group(group)
    set_to = admin.alter_group_offsets(group, {zero: 5, one: 0, TopicPartition("nope", 0): 1})
    assert (set_to[zero], set_to[one]) == (None, None)
    committed = admin.list_group_offsets(group)
    assert {place: each.offset for place, each in committed.items()} == {zero: 5, one: 0}
    assert admin.list_group_offsets(group, [name]) == committed
    assert admin.list_group_offsets(group, ["nope"]) == {}
    described = admin.describe_group(group)
    assert (described.state, described.members) == ("Empty", [])
    assert described.offsets[0].lag == 5

    def offsets(reset: OffsetResetResult) -> list[int]:
        return [each.offset for each in reset.offsets]

    reset = partial(admin.reset_group_offsets, group)
    assert offsets(reset(to="earliest", dry_run=True)) == [0, 0]
    assert admin.list_group_offsets(group) == committed
    assert offsets(reset(to="latest", topics={name: [0]})) == [10]
    assert offsets(reset(shift_by=-3, topics=[name])) == [7, 0]
    assert offsets(reset(to=2, topics={name: [0]})) == [2]
    assert offsets(reset(to=datetime.fromtimestamp(6, UTC), topics={name: [0]})) == [5]
    assert offsets(reset(to=timedelta(days=365), topics={name: [0]})) == [10]
    assert admin.list_group_offsets(group)[zero].offset == 10

    forgotten = admin.delete_group_offsets(group, [one])
    assert forgotten == {one: None}
    assert set(admin.list_group_offsets(group)) == {zero}
    assert group in [each.group for each in admin.list_groups()]
    assert admin.delete_groups([group, "never-was"])[group] is None
    wait_until(
        lambda: group not in [each.group for each in admin.list_groups()],
        "seen by the broker that is asked",
    )


def test_a_group_with_members_is_described_and_left_alone(
    admin: AdminClient, cluster: Cluster
) -> None:
    name, group = next(_names), next(_groups)
    admin.create_topic(name, 2)
    url = f"{next(iter(cluster)).url}/v1/groups/{group}/heartbeat"
    body = {"topics": [name], "client_id": "somebody"}
    joined = httpx.post(url, json=body, trust_env=False, timeout=30).json()
    found = admin.describe_groups([group, "nope"])
    assert isinstance(found["nope"], GroupIdNotFoundError)
    described = found[group]
    assert not isinstance(described, LogError)
    assert [each.client_id for each in described.members] == ["somebody"]
    with pytest.raises(NonEmptyGroupError):
        admin.delete_group(group)
    with pytest.raises(NonEmptyGroupError):
        admin.reset_group_offsets(group, "earliest", topics=[name])
    leave = {"member_id": joined["member_id"], "member_epoch": -1}
    httpx.post(url, json=leave, trust_env=False, timeout=30).raise_for_status()


def test_the_cluster_and_its_brokers_are_described(admin: AdminClient, cluster: Cluster) -> None:
    described = admin.describe_cluster()
    assert [each.id for each in described.brokers] == [0, 1, 2]
    assert admin.list_brokers() == described.brokers
    assert admin.describe_broker(2) == described.brokers[2]
    with pytest.raises(PathNotFoundError):
        admin.describe_broker(9)
    health = admin.cluster_health()
    assert (health.cluster_id, len(health.brokers)) == (described.cluster_id, 3)
    name = next(_names)
    admin.create_topic(name, replica_assignment=[[1]])
    _fill(cluster, TopicPartition(name, 0), 3)
    dirs = admin.describe_log_dirs(1, [name])
    (partition,) = dirs.log_dirs[0].partitions
    assert (partition.topic, partition.size > 0) == (name, True)
    assert len(admin.describe_log_dirs(0).log_dirs) == 1


def test_the_asynchronous_client_does_the_same(servers: str) -> None:
    async def scenario() -> None:
        async with AsyncAdminClient(**{"bootstrap.servers": servers}) as admin:
            names = [next(_names) for _ in range(3)]
            await asyncio.gather(*(admin.create_topic(name) for name in names))
            assert set(names) <= {each.name for each in await admin.list_topics()}
        with pytest.raises(ClosedError):
            await admin.list_topics()

    asyncio.run(scenario())


def test_a_closed_client_and_a_wrong_setting_say_so(servers: str) -> None:
    admin = AdminClient(bootstrap_servers=servers)
    with AdminClient(bootstrap_servers=servers):
        admin.close()
        admin.close()
        with pytest.raises(ClosedError):
            admin.list_topics()
    with pytest.raises(ConfigError, match="did you mean bootstrap_servers"):
        AdminClient(bootstrap_server=servers)


def test_neither_threads_nor_sockets_are_left_of_a_closed_client(servers: str) -> None:
    def files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def use() -> None:
        with AdminClient(bootstrap_servers=servers) as client, ThreadPoolExecutor(4) as threads:
            found = [threads.submit(client.describe_cluster) for _ in range(8)]
            assert len({each.result().cluster_id for each in found}) == 1

    use()  # what is made once a process
    before, threads = files(), threading.active_count()
    for _ in range(5):
        use()
    assert (files(), threading.active_count()) == (before, threads)


def test_it_works_on_either_loop(servers: str) -> None:
    async def scenario() -> str:
        async with AsyncAdminClient(bootstrap_servers=servers) as admin:
            return (await admin.describe_cluster()).cluster_id

    found = set()
    for new_loop in (uvloop.new_event_loop, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            found.add(runner.run(scenario()))
    assert len(found) == 1
