"""A group of consumers over plain HTTP that know one URL only: that of a balancer.

It sends each request to the next of three brokers. One of them is killed in the middle, and comes
back. Consumers commit what they have dealt with, by offsets.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.http_balancer import HttpBalancer
from tests.support.waiting import wait_until
from tests.support.zookeeper import RealZooKeeper

pytestmark = [pytest.mark.slow, pytest.mark.zookeeper]

_JSON: Final = {"content-type": "application/vnd.kafka.json.v2+json"}
_PARTITIONS: Final = 6
_CONSUMERS: Final = 4
_BATCHES: Final = 60
"""Sent in thirds: before one dies, while it is dead, and after it came back."""
_SETTINGS: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "num.partitions": str(_PARTITIONS),
    "zookeeper.session.timeout.ms": "6000",
}


class _Place(NamedTuple):
    """Of a record."""

    partition: int
    offset: int


class _Committed:
    """What consumers were told is committed; any of their threads."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        self._lock = threading.Lock()

    def note(self, offsets: Mapping[int, int]) -> None:
        with self._lock:
            for partition, offset in offsets.items():
                self._offsets[partition] = max(offset, self._offsets.get(partition, 0))

    def copy(self) -> dict[int, int]:
        with self._lock:
            return dict(self._offsets)


class _Consumer(threading.Thread):
    """Creates an instance, subscribes, reads and commits; keeps all that should not be."""

    def __init__(self, url: str, name: str, committed: _Committed) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[_Place] = Counter()
        self.wrong: list[str] = []
        self.path = f"/consumers/g/instances/{name}"
        self._client = httpx.Client(base_url=url, timeout=90)
        self._committed = committed
        self._stopping = threading.Event()
        wanted = {
            "name": name,
            "format": "json",
            "auto.offset.reset": "earliest",
            "auto.commit.enable": False,
        }
        created = self._client.post("/consumers/g", json=wanted)
        assert created.status_code == 200, created.text
        assert created.json()["base_uri"] == url + self.path, "it comes back by the balancer"
        subscribed = self._client.post(f"{self.path}/subscription", json={"topics": ["t"]})
        assert subscribed.status_code == 204, subscribed.text

    def run(self) -> None:
        while not self._stopping.is_set():
            before = self._committed.copy()
            answer = self._client.get(f"{self.path}/records?timeout=500&max_bytes=300")
            if not self._want(answer, 200):
                continue
            places = [_Place(one["partition"], one["offset"]) for one in answer.json()]
            for place in places:
                if place.offset < before.get(place.partition, 0):
                    self.wrong.append(f"{place} came again, after {before} was committed")
            self.seen.update(places)
            if places:
                self._commit(places)

    def _commit(self, places: list[_Place]) -> None:
        last = {place.partition: place.offset for place in places}
        offsets = [
            {"topic": "t", "partition": partition, "offset": offset}
            for partition, offset in last.items()
        ]
        answer = self._client.post(f"{self.path}/offsets", json={"offsets": offsets})
        # Refused where another one has a partition by now: then it begins where we did not commit.
        if self._want(answer, 200, 409) and answer.status_code == 200:
            self._committed.note({partition: offset + 1 for partition, offset in last.items()})

    def finish(self) -> None:
        self._stopping.set()
        self.join()

    def delete(self) -> None:
        assert self._client.delete(self.path).status_code == 204
        gone = self._client.delete(self.path)
        assert (gone.status_code, gone.json()["error_code"]) == (404, 40403)
        self._client.close()

    def _want(self, answer: httpx.Response, *statuses: int) -> bool:
        if answer.status_code not in statuses:
            self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")
        return answer.status_code in statuses


class _Watch(threading.Thread):
    """Looks at the group's committed offsets all the time; keeps each that went back."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.went_back: list[str] = []
        self.offsets: dict[int, int] = {}
        self._client = httpx.Client(base_url=url, timeout=90)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(0.1):
            self.look()

    def look(self) -> None:
        answer = self._client.get("/v1/groups/g/offsets")
        if answer.status_code != 200:  # its coordinator is being replaced
            return
        for one in answer.json()["offsets"]:
            before = self.offsets.get(one["partition"], 0)
            if one["offset"] < before:
                self.went_back.append(f"{one['partition']}: from {before} to {one['offset']}")
            self.offsets[one["partition"]] = one["offset"]

    def finish(self) -> None:
        self._stopping.set()
        self.join()
        self.look()
        self._client.close()


@pytest.fixture
def cluster(tmp_path: Path, real_zookeeper: RealZooKeeper) -> Iterator[Cluster]:
    connect = f"{real_zookeeper.hosts}/rest-balancer"
    with Cluster(tmp_path, connect, settings=_SETTINGS) as running:
        yield running


def _produce(url: str, batches: range) -> set[_Place]:
    """Where records are that were safe; a batch that was not sent whole is sent again."""
    stored: set[_Place] = set()
    with httpx.Client(base_url=url, timeout=90) as client:
        for batch in batches:
            records = [{"value": [batch, n], "partition": n} for n in range(_PARTITIONS)] * 3

            def send(records: list[dict[str, Any]] = records) -> bool:
                answer = client.post("/topics/t", json={"records": records}, headers=_JSON)
                if answer.status_code not in {200, 422}:
                    return False
                places = answer.json()["offsets"]
                taken = [one for one in places if one["error_code"] is None]
                stored.update(_Place(one["partition"], one["offset"]) for one in taken)
                return len(taken) == len(places)

            wait_until(send, f"batch {batch} is stored", 60)
    return stored


def test_group_behind_a_balancer_loses_nothing_while_a_broker_dies_and_comes_back(
    cluster: Cluster,
) -> None:
    created = httpx.post(f"{cluster[0].url}/v1/topics", json={"name": "t"})
    assert created.status_code == 201, created.text
    cluster.wait_until_in_sync("t")
    committed = _Committed()
    third = _BATCHES // 3
    with HttpBalancer([broker.address for broker in cluster]) as balancer:
        url = balancer.url
        consumers = [_Consumer(url, f"c{number}", committed) for number in range(_CONSUMERS)]
        watch = _Watch(url)
        for thread in (*consumers, watch):
            thread.start()
        stored = _produce(url, range(third))
        wait_until(lambda: len(_seen(consumers)) > len(stored) // 2, "they read", 60)
        group = httpx.get(f"{url}/v1/groups/g").json()
        killed = cluster[group["coordinator"]["id"]]
        killed.kill()
        stored |= _produce(url, range(third, 2 * third))
        wait_until(lambda: stored <= _seen(consumers).keys(), "they read on", 60)
        killed.start()
        answered = balancer.answered[killed.address]
        stored |= _produce(url, range(2 * third, _BATCHES))
        wait_until(lambda: stored <= _seen(consumers).keys(), "they read all", 60)
        for consumer in consumers:
            consumer.finish()
        watch.finish()

        assert [consumer.wrong for consumer in consumers] == [[]] * _CONSUMERS
        assert watch.went_back == []
        ends: dict[int, int] = {}
        for place in stored:
            ends[place.partition] = max(place.offset + 1, ends.get(place.partition, 0))
        assert watch.offsets == ends, "all that was read is committed"
        assert balancer.answered[killed.address] > answered, "who came back has its share"
        for consumer in consumers:
            consumer.delete()
        assert httpx.get(f"{url}/v1/groups/g").json()["members"] == []


def _seen(consumers: list[_Consumer]) -> Counter[_Place]:
    found: Counter[_Place] = Counter()
    for consumer in consumers:
        found.update(consumer.seen.copy())
    return found
