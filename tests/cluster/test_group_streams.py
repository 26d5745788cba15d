"""Streams of consumer groups over brokers that are killed: read on elsewhere, nothing lost."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster
from tests.support.event_source import EventSource, SourceEvent
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PARTITIONS: Final = 6
_SETTINGS: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "num.partitions": str(_PARTITIONS),
}
_Place = tuple[int, int]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with (
        EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper,
        Cluster(tmp_path, zookeeper.hosts, settings=_SETTINGS) as running,
    ):
        yield running


class _Reader:
    """Reads a stream as a browser does, and acknowledges through the next broker each time."""

    def __init__(self, cluster: Cluster, first: int, group: str, *, acknowledges: bool) -> None:
        urls = [broker.url for broker in cluster]
        urls = [*urls[first:], *urls[:first]]
        query = "topics=t&auto.offset.reset=earliest&max_records=20"
        self.source = EventSource(urls, f"/v1/groups/{group}/stream?{query}", self._take)
        self._urls = itertools.cycle(urls)
        self._group = group
        self._acknowledges = acknowledges
        self._client = httpx.Client(timeout=20, trust_env=False)
        self._lock = threading.Lock()
        self.seen: Counter[str] = Counter()
        self._held: dict[_Place, str] = {}
        """What came and was not acknowledged yet."""
        self.acknowledged: dict[str, float] = {}
        """Values whose acknowledgement was answered well, and when."""
        self.came: list[tuple[str, float]] = []

    def _take(self, event: SourceEvent) -> None:
        if event.name != "records":
            return
        now = time.monotonic()
        for record in event.data["records"]:
            self.seen[record["value"]] += 1
            self.came.append((record["value"], now))
            self._held[record["partition"], record["offset"]] = record["value"]
        if self._acknowledges:
            self._acknowledge(event)

    def _acknowledge(self, event: SourceEvent) -> None:
        for _ in range(3):
            try:
                answer = self._client.post(
                    f"{next(self._urls)}/v1/groups/{self._group}/stream/ack",
                    json={"id": event.last_id},
                )
            except httpx.TransportError:
                continue  # nobody listens there any more
            if answer.status_code == 200:
                good = {
                    each["partition"]
                    for each in answer.json()["results"]
                    if each["error_code"] == 0
                }
                now = time.monotonic()
                for place in [place for place in self._held if place[0] in good]:
                    self.acknowledged[self._held.pop(place)] = now
                return

    def broker(self, cluster: Cluster) -> BrokerProcess:
        """Who serves it now."""
        url = self.source.events[-1].url
        return next(broker for broker in cluster if broker.url == url)

    def close(self) -> None:
        self.source.close()
        self._client.close()


def _produce(cluster: Cluster, values: range) -> None:
    for begin in range(values.start, values.stop, 30):
        records = [
            {"value": f"v{n}", "partition": n % _PARTITIONS}
            for n in range(begin, min(begin + 30, values.stop))
        ]
        sent = httpx.post(
            f"{cluster.alive[0].url}/v1/topics/t/records", json={"records": records}, timeout=60
        )
        assert sent.status_code == 200, sent.text
        assert all("error" not in place for place in sent.json()["offsets"]), sent.text


def _create(cluster: Cluster) -> None:
    created = httpx.post(f"{cluster[0].url}/v1/topics", json={"name": "t"})
    assert created.status_code == 201, created.text
    cluster.wait_until_in_sync("t")


def _coordinator(cluster: Cluster, group: str) -> BrokerProcess:
    answer = httpx.get(f"{cluster.alive[0].url}/v1/groups/{group}").json()
    return cluster[answer["coordinator"]["id"]]


def _have_all(readers: list[_Reader], values: range) -> bool:
    return {f"v{n}" for n in values} <= set().union(*(reader.seen for reader in readers))


def _check_acknowledged(readers: list[_Reader]) -> None:
    """What was acknowledged came to nobody afterwards."""
    when = {
        value: at
        for reader in readers
        for value, at in sorted(reader.acknowledged.items(), key=lambda each: -each[1])
    }
    late = [
        value
        for reader in readers
        for value, at in reader.came
        if value in when and at > when[value]
    ]
    assert not late, f"acknowledged, and came again: {late[:10]}"


@pytest.mark.parametrize("victim", ["who serves it", "the coordinator"])
def test_a_stream_goes_on_elsewhere_when_a_broker_is_killed(cluster: Cluster, victim: str) -> None:
    _create(cluster)
    readers = [_Reader(cluster, number, "g", acknowledges=True) for number in range(2)]
    for reader in readers:
        reader.source.start()
    try:
        wait_until(
            lambda: all(reader.source.named("assigned") for reader in readers), "both have some"
        )
        _produce(cluster, range(300))
        wait_until(lambda: _have_all(readers, range(300)), "all came", 60)
        is_serving = victim == "who serves it"
        killed = readers[0].broker(cluster) if is_serving else _coordinator(cluster, "g")
        killed.kill()
        began = time.monotonic()
        _produce(cluster, range(300, 600))
        wait_until(lambda: _have_all(readers, range(600)), "all came, over the death", 60)
        assert time.monotonic() - began < 30, "nobody waited for a session of 45 s to end"
        _check_acknowledged(readers)
    finally:
        for reader in readers:
            reader.close()


def test_coming_back_to_another_broker_acknowledges_by_itself(cluster: Cluster) -> None:
    _create(cluster)
    reader = _Reader(cluster, 0, "quiet", acknowledges=False)
    reader.source.start()
    try:
        wait_until(lambda: bool(reader.source.named("assigned")), "it has partitions")
        _produce(cluster, range(120))
        wait_until(lambda: _have_all([reader], range(120)), "all came", 60)
        reader.broker(cluster).kill()
        _produce(cluster, range(120, 240))
        wait_until(lambda: _have_all([reader], range(240)), "all came", 60)
        assert set(reader.seen.values()) == {1}
        offsets = httpx.get(f"{cluster.alive[0].url}/v1/groups/quiet/offsets").json()["offsets"]
        assert sum(each["offset"] for each in offsets) >= 120
        ids = {event.data["instance_id"] for event in reader.source.named("member")}
        assert len(ids) == 1
    finally:
        reader.close()


def test_a_stream_moves_on_when_its_broker_stops_in_order(cluster: Cluster) -> None:
    _create(cluster)
    reader = _Reader(cluster, 0, "g", acknowledges=True)
    reader.source.start()
    try:
        wait_until(lambda: bool(reader.source.named("assigned")), "it has partitions")
        _produce(cluster, range(60))
        wait_until(lambda: _have_all([reader], range(60)), "all came", 60)
        began = time.monotonic()
        reader.broker(cluster).stop()
        assert time.monotonic() - began < 20, "streams keep no broker from stopping"
        _produce(cluster, range(60, 120))
        wait_until(lambda: _have_all([reader], range(120)), "all came", 60)
        _check_acknowledged([reader])
    finally:
        reader.close()
