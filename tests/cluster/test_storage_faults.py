"""INV-1 and what docs/guarantees.md says of disks: flipped bytes, failed directories, full disks.

Three brokers and producers with acks=all. A follower lags for ten minutes before it is put out of
the in-sync replicas, where not said otherwise: whatever leaves earlier was noticed.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster
from tests.support.load import Load
from tests.support.small_disk import fill, small_disk
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_BROKERS = 3
_PARTITIONS = 3
_RECORDS = 200
"""Acknowledged between two faults."""
_DISK_BYTES = 8 << 20
_SETTINGS = {
    "replica.lag.time.max.ms": "600000",
    "min.insync.replicas": "2",
    "log.segment.bytes": "16384",
    "log.scrub.interval.ms": "500",
    "controlled.shutdown.retry.backoff.ms": "100",
}


def _cluster(
    tmp_path: Path,
    zookeeper: EmbeddedZooKeeper,
    *,
    of_all: Mapping[str, str] = MappingProxyType({}),
    of_broker_0: Mapping[str, str] = MappingProxyType({}),
) -> Cluster:
    return Cluster.of(
        [
            BrokerProcess(
                tmp_path / f"broker-{number}",
                f"{zookeeper.hosts}/{tmp_path.name}",
                broker_id=number,
                settings={**_SETTINGS, **of_all, **(of_broker_0 if number == 0 else {})},
            )
            for number in range(_BROKERS)
        ]
    )


@pytest.fixture
def cluster(tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper) -> Iterator[Cluster]:
    with _cluster(tmp_path, embedded_zookeeper) as running:
        yield running
    for broker in running:
        assert "Traceback" not in broker.output


def _make_topic(cluster: Cluster, partitions: int = _PARTITIONS) -> str:
    with BrokerClient(cluster[0].url) as client:
        name = client.make_topic(partitions, replication_factor=_BROKERS).name
    cluster.wait_until_in_sync(name)
    return name


def _load(cluster: Cluster, topic: str, partitions: int = _PARTITIONS) -> Load:
    addresses = [broker.address for broker in cluster]
    return Load(addresses, topic, partitions=partitions, producers=2)


def _check(cluster: Cluster, topic: str, load: Load, partitions: int = _PARTITIONS) -> None:
    """Everything acknowledged is there, and all replicas hold the same bytes."""
    cluster.wait_until_in_sync(topic)
    for broker in cluster:
        with BrokerClient(broker.url) as client:
            load.ledger.check(Topic(client, topic), range(partitions))
    for number in range(partitions):
        copies = [_bytes_of(_log(broker, topic, number)) for broker in cluster]
        assert copies[0] == copies[1] == copies[2], f"the replicas of {topic}-{number} differ"


def _errors_of_directories(broker: BrokerProcess) -> list[str | None]:
    """What a broker says of its log directories, in their order."""
    described = httpx.get(f"{broker.url}/v1/log-dirs").json()["log_dirs"]
    return [each["error"] for each in described]


def _log(broker: BrokerProcess, topic: str, number: int = 0) -> Path:
    """Where a replica's log is."""
    (found,) = broker.directory.glob(f"*/{topic}-{number}")
    return found


def _segments(log: Path) -> list[Path]:
    return sorted(log.glob("*.log"))


def _bytes_of(log: Path) -> bytes:
    return b"".join(segment.read_bytes() for segment in _segments(log))


def _metric(broker: BrokerProcess, name: str) -> float:
    page = httpx.get(f"{broker.url}/metrics").text
    (sample,) = [
        sample
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    ]
    return sample.value


# -- a flipped byte --------------------------------------------------------------------------------


def _flip(segment: Path, position: int) -> None:
    """Alter a byte where the broker goes on writing to the file's end."""
    descriptor = os.open(segment, os.O_RDWR)
    try:
        (byte,) = os.pread(descriptor, 1, position)
        os.pwrite(descriptor, bytes([byte ^ 0x40]), position)
    finally:
        os.close(descriptor)


def _wait_until_damage_is_met(broker: BrokerProcess, log: Path, times: int) -> None:
    wait_until(
        lambda: broker.output.count(f"{log}: these offsets are damaged") >= times,
        f"broker {log} finds the damage",
    )


@pytest.mark.parametrize("is_active", [False, True], ids=["closed", "active"])
@pytest.mark.parametrize("leads", [False, True], ids=["follower", "leader"])
def test_flipped_byte_is_found_and_healed_while_records_come_and_go(
    cluster: Cluster, *, leads: bool, is_active: bool
) -> None:
    topic = _make_topic(cluster, 1)
    with _load(cluster, topic, 1) as load:
        leader = cluster.leader_of(topic)
        victim = leader if leads else (leader + 1) % _BROKERS
        broker, log = cluster[victim], _log(cluster[victim], topic)
        wait_until(lambda: len(_segments(log)) > 3, "there are some segments")
        if is_active:
            # In the middle of what is there, and so below the high watermark.
            active = _segments(log)[-1]
            wait_until(lambda: active.stat().st_size > 4096, "the last segment holds something")
            _flip(active, 2048)
        else:
            _flip(_segments(log)[1], 5000)
        _wait_until_damage_is_met(broker, log, 1)
        if leads:
            wait_until(lambda: "telling the controller" in broker.output, "it hands over")
        wait_until(lambda: f"{topic}-0 is sound again" in broker.output, "it has healed")
        cluster.wait_until_in_sync(topic)
        load.wait_until_acknowledged(_RECORDS)
        assert not (log / "damaged-ranges").exists()
        assert _metric(broker, "kafkalite_damaged_partitions") == 0
        assert _metric(broker, "kafkalite_scrub_rounds_total") > 0
        assert sum(_metric(each, "kafkalite_isr_expands_total") for each in cluster) > 0
        assert sum(_metric(each, "kafkalite_controller") for each in cluster) == 1
    _check(cluster, topic, load, 1)


def test_flipped_byte_of_an_idle_follower_is_healed(cluster: Cluster) -> None:
    topic = _make_topic(cluster, 1)
    follower = (cluster.leader_of(topic) + 1) % _BROKERS
    with BrokerClient(cluster[0].url) as client:
        written = Topic(client, topic)
        for number in range(20):
            written.send({"value": f"{number}-{'x' * 100}"})
        log = _log(cluster[follower], topic)
        wait_until(lambda: log.joinpath(f"{0:020}.log").stat().st_size > 3000, "it has them")
        _flip(_segments(log)[0], 1000)
        _wait_until_damage_is_met(cluster[follower], log, 1)
        wait_until(lambda: f"{topic}-0 is sound again" in cluster[follower].output, "it heals")
        cluster.wait_until_in_sync(topic)
    copies = [_bytes_of(_log(broker, topic)) for broker in cluster]
    assert copies[0] == copies[1] == copies[2]


def test_damage_that_a_reader_meets_is_healed_without_the_scrub(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    never = {"log.scrub.interval.hours": "0", "log.scrub.interval.ms": "0"}
    with _cluster(tmp_path, embedded_zookeeper, of_all=never) as cluster:
        topic = _make_topic(cluster, 1)
        leader = cluster.leader_of(topic)
        with BrokerClient(cluster[leader].url) as client:
            written = Topic(client, topic)
            for number in range(20):
                written.send({"value": f"{number}-{'x' * 100}"})
            _flip(_segments(_log(cluster[leader], topic))[0], 1000)
            answers = [written.get(offset=offset) for offset in range(20)]
            damaged = [answer.status_code for answer in answers].index(422)
            assert answers[damaged].json()["retriable"]
            wait_until(
                lambda: written.get(offset=damaged).status_code == 200, "another one gives it"
            )
            cluster.wait_until_in_sync(topic)
            assert len(written.read_all()) == 20
        assert "is sound again" in cluster[leader].output


def test_alone_in_sync_a_damaged_replica_serves_what_it_can_and_hands_over_when_it_may(
    cluster: Cluster,
) -> None:
    with BrokerClient(cluster[0].url) as client:
        name = client.make_topic(1, {"min.insync.replicas": "1"}, replication_factor=_BROKERS).name
    cluster.wait_until_in_sync(name)
    leader = cluster.leader_of(name)
    others = [broker for number, broker in enumerate(cluster) if number != leader]
    with BrokerClient(cluster[leader].url) as client:
        topic = Topic(client, name)
        for number in range(10):
            topic.send({"value": f"{number}-{'x' * 100}"})
        for broker in others:
            broker.kill()
        topic.send({"value": "10"})  # answered once the others are out of the in-sync replicas
        log = _log(cluster[leader], name)
        _flip(_segments(log)[0], 700)
        _wait_until_damage_is_met(cluster[leader], log, 1)
        wait_until(lambda: "no other replica is in sync" in cluster[leader].output, "it says so")
        damaged = [offset for offset in range(11) if topic.get(offset=offset).status_code == 422]
        assert len(damaged) == 1
        refused = topic.get(offset=damaged[0]).json()
        assert (refused["error"], refused["retriable"]) == ("CORRUPT_MESSAGE", True)
        assert (refused["damaged_start"], refused["damaged_end"]) == (damaged[0], damaged[0] + 1)
        assert topic.send({"value": "11"})
        for broker in others:
            broker.start()
        cluster.wait_until_in_sync(name)
        wait_until(lambda: "is sound again" in cluster[leader].output, "it has healed")
        cluster.wait_until_in_sync(name)
        assert len(topic.read_all()) == 12


# -- a log directory that fails --------------------------------------------------------------------


@pytest.mark.parametrize("comes_back", ["empty", "broken"])
def test_failed_log_directory_takes_its_partitions_down_and_no_others(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper, comes_back: str
) -> None:
    sound, failing = tmp_path / "broker-0" / "sound", tmp_path / "broker-0" / "failing"
    partitions = 6
    with _cluster(
        tmp_path, embedded_zookeeper, of_broker_0={"log.dirs": f"{sound},{failing}"}
    ) as cluster:
        topic = _make_topic(cluster, partitions)
        broker = cluster[0]
        here = {number for number in range(partitions) if (failing / f"{topic}-{number}").exists()}
        assert 0 < len(here) < partitions
        with _load(cluster, topic, partitions) as load:
            load.wait_until_acknowledged(_RECORDS)
            led = {each["partition"] for each in cluster.partitions(topic) if each["leader"] == 0}
            assert led & here, "it leads nothing there"
            assert led - here, "it leads nothing elsewhere"
            # The next segment finds no place.
            failing.rename(tmp_path / "gone")
            wait_until(
                lambda: _errors_of_directories(broker) == [None, "KAFKA_STORAGE_ERROR"],
                "it says that the directory failed",
            )
            cluster.wait_for(
                topic,
                lambda each: (0 in each["isr"]) == (each["partition"] not in here),
                "it is in sync where its disk is sound, and nowhere else",
            )
            load.wait_until_acknowledged(_RECORDS * 5)
            leaders = {each["partition"]: each["leader"] for each in cluster.partitions(topic)}
            assert {number for number, leader in leaders.items() if leader == 0} == led - here
            assert broker.is_ready()

            assert broker.stop() == 0
            if comes_back == "broken":
                failing.write_text("not a directory")
            broker.start()
            load.wait_until_acknowledged(_RECORDS)
            cluster.wait_until_in_sync(topic)
        if comes_back == "broken":
            assert _errors_of_directories(broker) == [None, "KAFKA_STORAGE_ERROR"]
        _check(cluster, topic, load, partitions)
    for each in cluster:
        assert "Traceback" not in each.output


def test_broker_that_cannot_open_a_directory_leaves_the_isr_and_begins_anew(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    sound, failing = tmp_path / "broker-0" / "sound", tmp_path / "broker-0" / "failing"
    with _cluster(
        tmp_path, embedded_zookeeper, of_broker_0={"log.dirs": f"{sound},{failing}"}
    ) as cluster:
        topic = _make_topic(cluster, 2)
        with _load(cluster, topic, 2) as load:
            load.wait_until_acknowledged(_RECORDS)
            cluster[0].kill()
            failing.rename(tmp_path / "gone")
            failing.write_text("not a directory")
            cluster[0].start()
            cluster.wait_until_in_sync(topic)
            load.wait_until_acknowledged(_RECORDS)
        _check(cluster, topic, load, 2)


# -- a full disk -----------------------------------------------------------------------------------


def test_full_disk_of_one_broker_stops_nobody_else_and_heals_by_itself(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    with small_disk(tmp_path / "broker-0" / "small", _DISK_BYTES) as small:
        with _cluster(
            tmp_path,
            embedded_zookeeper,
            of_broker_0={"log.dirs": str(small)},
        ) as cluster:
            topic = _make_topic(cluster)
            with _load(cluster, topic) as load:
                load.wait_until_acknowledged(_RECORDS)
                filler = fill(small)
                cluster.wait_for(
                    topic,
                    lambda each: each["leader"] == 0 or 0 not in each["isr"],
                    "it is not waited for any more",
                )
                assert cluster[0].is_ready()
                load.wait_until_acknowledged(_RECORDS)
                filler.unlink()
                cluster.wait_until_in_sync(topic)
                load.wait_until_acknowledged(_RECORDS)
            _check(cluster, topic, load)
        for broker in cluster:
            assert "Traceback" not in broker.output
