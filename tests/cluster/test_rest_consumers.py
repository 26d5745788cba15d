"""Consumers over plain HTTP behind a balancer that sends each request to another broker."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PARTITIONS: Final = 6
_RECORDS: Final = 1_200
_SETTINGS: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "num.partitions": str(_PARTITIONS),
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with (
        EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper,
        Cluster(tmp_path, zookeeper.hosts, settings=_SETTINGS) as running,
    ):
        yield running


class _Balancer:
    """Sends requests to one broker after the other, and to the next where nobody listens."""

    def __init__(self, cluster: Cluster) -> None:
        self._urls = itertools.cycle([broker.url for broker in cluster])
        self._client = httpx.Client(timeout=60)
        self.answers: Counter[int] = Counter()

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        for _ in range(20):
            try:
                answer = self._client.request(
                    method, next(self._urls) + path, json={} if body is None else body
                )
            except httpx.TransportError:
                continue  # as any client or balancer does
            self.answers[answer.status_code] += 1
            return answer
        raise AssertionError(f"nobody answers {method} {path}")

    def close(self) -> None:
        self._client.close()


class _Reader(threading.Thread):
    """Polls one instance through the balancer until told to stop; keeps what went wrong."""

    def __init__(self, cluster: Cluster, group: str, name: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.path = f"/consumers/{group}/instances/{name}"
        self._balancer = _Balancer(cluster)
        self._stopping = threading.Event()
        created = self._balancer.send(
            "POST",
            f"/consumers/{group}",
            {"name": name, "format": "json", "auto.offset.reset": "earliest"},
        )
        assert created.status_code == 200, created.text
        self._want(
            204, self._balancer.send("POST", f"{self.path}/subscription", {"topics": [topic]})
        )

    def run(self) -> None:
        while not self._stopping.is_set():
            answer = self._balancer.send("GET", f"{self.path}/records?timeout=500&max_bytes=400")
            if self._want(200, answer):
                self.seen.update(record["value"] for record in answer.json())

    def finish(self) -> None:
        self._stopping.set()
        self.join()
        self._want(204, self._balancer.send("DELETE", self.path))
        self._balancer.close()

    def _want(self, status: int, answer: httpx.Response) -> bool:
        if answer.status_code != status:
            self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")
        return answer.status_code == status


def _produce(broker: BrokerProcess, topic: str, values: range) -> None:
    for begin in range(values.start, values.stop, 50):
        records = [
            {"value": f"v{n}", "partition": n % _PARTITIONS}
            for n in range(begin, min(begin + 50, values.stop))
        ]
        sent = httpx.post(
            f"{broker.url}/v1/topics/{topic}/records", json={"records": records}, timeout=60
        )
        assert sent.status_code == 200, sent.text
        assert all("error" not in place for place in sent.json()["offsets"]), sent.text


def _create(cluster: Cluster, topic: str) -> None:
    created = httpx.post(f"{cluster[0].url}/v1/topics", json={"name": topic})
    assert created.status_code == 201, created.text
    cluster.wait_until_in_sync(topic)


def _coordinator(cluster: Cluster, group: str) -> int:
    """Who coordinates a group."""
    answer: dict[str, Any] = httpx.get(f"{cluster.alive[0].url}/v1/groups/{group}").json()
    found: int = answer["coordinator"]["id"]
    return found


def test_every_record_comes_once_whichever_brokers_are_asked(cluster: Cluster) -> None:
    _create(cluster, "t")
    readers = [_Reader(cluster, "g", f"c{number}", "t") for number in range(3)]
    for reader in readers:
        reader.start()
    _produce(cluster[0], "t", range(_RECORDS))
    expected = {f"v{n}" for n in range(_RECORDS)}
    wait_until(lambda: expected <= _seen(readers).keys(), "all records were read", 60)
    for reader in readers:
        reader.finish()
    assert [reader.wrong for reader in readers] == [[], [], []]
    assert set(_seen(readers).values()) == {1}, "where nothing fails, nothing comes twice"


def test_instances_go_on_when_their_coordinator_is_stopped_and_started_again(
    cluster: Cluster,
) -> None:
    _create(cluster, "t")
    readers = [_Reader(cluster, "g", f"c{number}", "t") for number in range(3)]
    for reader in readers:
        reader.start()
    stopped = cluster[_coordinator(cluster, "g")]
    other = next(broker for broker in cluster if broker is not stopped)
    _produce(other, "t", range(_RECORDS // 2))
    stopped.stop()
    _produce(other, "t", range(_RECORDS // 2, _RECORDS))
    stopped.start()
    expected = {f"v{n}" for n in range(_RECORDS)}
    wait_until(lambda: expected <= _seen(readers).keys(), "all records were read", 60)
    for reader in readers:
        reader.finish()
    wrong = [text for reader in readers for text in reader.wrong]
    assert all(text.startswith("503") for text in wrong), "only what went to the one that stops"


@pytest.mark.parametrize("whom", ["the coordinator", "another broker"])
def test_instances_go_on_under_the_same_url_when_a_broker_is_killed(
    cluster: Cluster, whom: str
) -> None:
    _create(cluster, "t")
    readers = [_Reader(cluster, "g", f"c{number}", "t") for number in range(3)]
    for reader in readers:
        reader.start()
    _produce(cluster[0], "t", range(_RECORDS // 2))
    wait_until(lambda: len(_seen(readers)) > _RECORDS // 4, "they read", 60)
    killed = _coordinator(cluster, "g")
    if whom == "another broker":  # it may have had records to pass on
        killed = (killed + 1) % 3
    cluster[killed].kill()
    died = time.monotonic()
    survivor = next(broker for broker in cluster if broker is not cluster[killed])
    _produce(survivor, "t", range(_RECORDS // 2, _RECORDS))
    expected = {f"v{n}" for n in range(_RECORDS)}
    wait_until(lambda: expected <= _seen(readers).keys(), "all records were read", 60)
    took = time.monotonic() - died
    for reader in readers:
        reader.finish()
    assert [reader.wrong for reader in readers] == [[], [], []], "no 404, no failure"
    assert took < 45, "within the session timeout"


def _seen(readers: list[_Reader]) -> Counter[str]:
    found: Counter[str] = Counter()
    for reader in readers:
        found.update(reader.seen.copy())
    return found
