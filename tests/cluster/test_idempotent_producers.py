"""IDP-1 to IDP-4: producers of the client while whatever can fail does, again and again.

Three brokers and three real ZooKeepers. Every record is sent once by the program and has to be
stored once, and in the order in which its producer sent it. What fails, and in what order, is drawn
from a seed: `FAULTS=40 FAULT_SEED=7 pytest tests/cluster/test_idempotent_producers.py` has five
minutes of what meets a cluster in half an hour of bad luck, a fault every 45 seconds.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kafkalite
from kafkalite.client.producer.delivery import Delivery
from tests.support.cluster import Cluster
from tests.support.ensemble import ZooKeeperEnsemble
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.zookeeper]

_FAULTS = int(os.environ.get("FAULTS", "10"))
_SEED = int(os.environ.get("FAULT_SEED", "1"))
_PARTITIONS = 3
_RECORDS = 400
"""Acknowledged between a fault and its end, and after it."""
_PAUSE_S = 0.002
_SETTINGS = {
    "zookeeper.session.timeout.ms": "2000",
    "replica.lag.time.max.ms": "2000",
    "min.insync.replicas": "2",
    "log.segment.bytes": "65536",
}


class _Sender:
    """A producer in a thread; sends numbers to every partition in turn until it is told to stop."""

    def __init__(self, name: str, cluster: Cluster, topic: str, compression: str) -> None:
        self.name = name
        self.sent = 0
        self.acknowledged = 0
        self.errors: list[BaseException] = []
        self._topic = topic
        self._stopping = threading.Event()
        self._producer = kafkalite.Producer(
            bootstrap_servers=cluster.bootstrap,
            compression_type=compression,
            delivery_timeout_ms=120_000,
            request_timeout_ms=3_000,
            batch_size=4_000,
        )
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Send no more, and return when all that was sent is stored or failed."""
        self._stopping.set()
        self._thread.join()
        self._producer.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for partition in range(_PARTITIONS):
                value = f"{self.name} {self.sent // _PARTITIONS}".encode()
                delivery = self._producer.send(self._topic, value, partition=partition)
                delivery.add_done_callback(self._note)
                self.sent += 1
            time.sleep(_PAUSE_S)

    def _note(self, delivery: Delivery) -> None:
        error = delivery.exception()
        if error is None:
            self.acknowledged += 1
        else:
            self.errors.append(error)


@pytest.fixture
def cluster(tmp_path: Path, ensemble: ZooKeeperEnsemble) -> Iterator[Cluster]:
    with Cluster(tmp_path, ensemble.hosts, settings=_SETTINGS) as running:
        yield running
    for broker in running:
        assert "Traceback" not in broker.output


def _kill(cluster: Cluster, _ensemble: ZooKeeperEnsemble, number: int) -> Callable[[], object]:
    cluster[number].kill()
    return cluster[number].start


def _hang(cluster: Cluster, _ensemble: ZooKeeperEnsemble, number: int) -> Callable[[], object]:
    cluster[number].pause()
    return cluster[number].resume


def _restart(cluster: Cluster, _ensemble: ZooKeeperEnsemble, number: int) -> Callable[[], object]:
    cluster[number].stop()
    return cluster[number].start


def _kill_all(cluster: Cluster, _ensemble: ZooKeeperEnsemble, _number: int) -> Callable[[], object]:
    for broker in cluster:
        broker.kill()
    cluster.start()
    return lambda: None


def _kill_zookeeper(
    _cluster: Cluster, ensemble: ZooKeeperEnsemble, number: int
) -> Callable[[], object]:
    victim = ensemble.leader if number else ensemble.follower
    victim.kill()
    return victim.start


_KINDS = (_kill, _kill, _hang, _restart, _kill_all, _kill_zookeeper)


def test_every_record_is_stored_once_and_in_order_whatever_fails(
    cluster: Cluster, ensemble: ZooKeeperEnsemble
) -> None:
    with BrokerClient(cluster[0].url) as client:
        topic = client.make_topic(_PARTITIONS, replication_factor=3).name
    cluster.wait_until_in_sync(topic)
    senders = [
        _Sender(name, cluster, topic, compression)
        for name, compression in (("a", "none"), ("b", "lz4"), ("c", "zstd"))
    ]
    for sender in senders:
        sender.start()
    chance = random.Random(_SEED)
    try:
        for kind in chance.choices(_KINDS, k=_FAULTS):
            end = kind(cluster, ensemble, chance.randrange(3))
            _wait_for_more(senders)
            end()
            cluster.wait_until_in_sync(topic)
            _wait_for_more(senders)
    finally:
        for sender in senders:
            sender.finish()
    assert [sender.errors for sender in senders] == [[], [], []]
    assert [sender.acknowledged for sender in senders] == [sender.sent for sender in senders]
    for broker in cluster:
        with BrokerClient(broker.url) as client:
            _check(Topic(client, topic), senders)


def _wait_for_more(senders: list[_Sender]) -> None:
    enough = [sender.acknowledged + _RECORDS for sender in senders]
    wait_until(
        lambda: all(
            sender.acknowledged >= least for sender, least in zip(senders, enough, strict=True)
        ),
        f"each producer has {_RECORDS} more acknowledged",
        timeout_s=60,
    )


def _check(topic: Topic, senders: list[_Sender]) -> None:
    for partition in range(_PARTITIONS):
        records = topic.read_all(partition)
        assert [each.offset for each in records] == list(range(len(records)))
        for sender in senders:
            prefix = f"{sender.name} ".encode()
            numbers = [
                int(each.value.removeprefix(prefix))
                for each in records
                if each.value is not None and each.value.startswith(prefix)
            ]
            assert numbers == list(range(sender.sent // _PARTITIONS)), sender.name
