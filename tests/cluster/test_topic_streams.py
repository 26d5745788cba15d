"""Streams of topics over brokers that are killed: nothing comes twice, nothing is left out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.event_source import EventSource
from tests.support.line_sender import LineSender
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PARTITIONS: Final = 6
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
        created = httpx.post(f"{running[0].url}/v1/topics", json={"name": "t"})
        assert created.status_code == 201, created.text
        running.wait_until_in_sync("t")
        yield running


def _produce(cluster: Cluster, values: range) -> None:
    for begin in values[::30]:
        records = [
            {"value": n, "partition": n % _PARTITIONS}
            for n in range(begin, min(begin + 30, values.stop))
        ]
        sent = httpx.post(
            f"{cluster.alive[0].url}/v1/topics/t/records", json={"records": records}, timeout=60
        )
        assert sent.status_code == 200, sent.text
        assert all("error" not in place for place in sent.json()["offsets"]), sent.text


def _records(source: EventSource) -> list[dict[str, Any]]:
    return [record for event in source.named("records") for record in event.data["records"]]


def _check(source: EventSource, values: range) -> None:
    """All came once, and those of a partition in order."""
    records = _records(source)
    assert sorted(record["value"] for record in records) == list(values)
    for partition in range(_PARTITIONS):
        offsets = [each["offset"] for each in records if each["partition"] == partition]
        assert offsets == list(range(len(offsets)))


@pytest.mark.parametrize("victim", ["a leader", "who serves it"])
def test_a_tail_goes_on_when_a_broker_is_killed(cluster: Cluster, victim: str) -> None:
    urls = [broker.url for broker in cluster]
    source = EventSource(urls, "/v1/topics/t/stream?from=earliest&max_records=20")
    source.start()
    try:
        _produce(cluster, range(300))
        wait_until(lambda: len(_records(source)) >= 300, "all came", 60)
        serving = urls.index(source.events[-1].url)
        leader = next(each for each in range(3) if each != serving)
        assert leader in {each["leader"] for each in cluster.partitions("t")}
        cluster[serving if victim == "who serves it" else leader].kill()
        _produce(cluster, range(300, 600))
        wait_until(lambda: len(_records(source)) >= 600, "all came, over the death", 60)
        _check(source, range(600))
        if victim == "a leader":
            assert {event.connection for event in source.events} == {0}, "it was not ended"
    finally:
        source.close()


def test_a_tail_keeps_no_broker_from_stopping_and_goes_on_elsewhere(cluster: Cluster) -> None:
    urls = [broker.url for broker in cluster]
    source = EventSource(urls, "/v1/topics/t/stream?from=earliest")
    source.start()
    try:
        _produce(cluster, range(60))
        wait_until(lambda: len(_records(source)) >= 60, "all came", 60)
        cluster[urls.index(source.events[-1].url)].stop()
        assert source.named("end")[0].data["error"] == "BROKER_NOT_AVAILABLE"
        _produce(cluster, range(60, 120))
        wait_until(lambda: len(_records(source)) >= 120, "all came", 60)
        _check(source, range(120))
    finally:
        source.close()


def test_what_a_stream_of_records_reports_is_there_when_a_leader_is_killed(
    cluster: Cluster,
) -> None:
    leader = cluster.leader_of("t")
    asked = cluster[(leader + 1) % 3]
    with LineSender(asked.url, "/v1/topics/t/records/stream?partition=0") as sender:
        for number in range(600):
            if number == 300:
                wait_until(lambda: sender.count >= 1, "it has begun")
                cluster[leader].kill()
            sender.send(b'{"value":%d}\n' % number)
        sender.end()
    *reports, end = sender.reports
    assert [report["line"] for report in reports] == list(range(1, 601))
    assert end["records"] + end["errors"] == 600
    page = httpx.get(f"{asked.url}/v1/topics/t/partitions/0/records", timeout=30).json()
    values = {record["offset"]: record["value"] for record in page["records"]}
    taken = {report["offset"]: report["line"] - 1 for report in reports if "error" not in report}
    assert len(taken) == end["records"]
    assert taken.items() <= values.items()
    assert max(taken.values()) == 599, "it went on at the new leader"
