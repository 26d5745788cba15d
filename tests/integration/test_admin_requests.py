"""What tools of older Kafkas, and people with zkCli.sh, write into ZooKeeper is carried out."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kazoo.client import KazooClient

from tests.support.cluster import Cluster
from tests.support.waiting import wait_until
from tests.support.zookeeper import ZooKeeperProcess

pytestmark = pytest.mark.slow

_MOVES = "/admin/reassign_partitions"
_ELECTION = "/admin/preferred_replica_election"


@pytest.fixture
def connect(zookeeper: ZooKeeperProcess, tmp_path: Path) -> str:
    return f"{zookeeper.hosts}/{tmp_path.name}"


@pytest.fixture
def cluster(connect: str, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, connect) as running:
        yield running


@contextlib.contextmanager
def _tool(connect: str) -> Iterator[Any]:
    client = KazooClient(connect)
    client.start()
    try:
        yield client
    finally:
        client.stop()
        client.close()


def _create(cluster: Cluster, name: str, assignment: list[list[int]]) -> None:
    body = {"name": name, "replica_assignment": assignment}
    assert httpx.post(f"{cluster.alive[0].url}/v1/topics", json=body).status_code == 201
    cluster.wait_until_in_sync(name)


def _entry(topic: str, partition: int, *replicas: int) -> dict[str, Any]:
    named: dict[str, Any] = {"topic": topic, "partition": partition}
    return {**named, "replicas": list(replicas)} if replicas else named


def _request(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"version": 1, "partitions": entries}).encode()


def _wait_until_gone(client: Any, path: str) -> None:
    wait_until(lambda: client.exists(path) is None, f"{path} is carried out", 30.0)


def _replicas(cluster: Cluster, topic: str) -> list[list[int]]:
    return [each["replicas"] for each in cluster.partitions(topic)]


def test_partitions_that_a_tool_lists_move_and_the_list_goes(
    connect: str, cluster: Cluster
) -> None:
    _create(cluster, "t", [[0, 1], [1, 2]])
    with _tool(connect) as client:
        client.create(
            _MOVES, _request(_entry("t", 0, 2, 1), _entry("t", 1, 0), _entry("no-such", 0, 1))
        )
        _wait_until_gone(client, _MOVES)
        assert _replicas(cluster, "t") == [[2, 1], [0]]
        stored = json.loads(client.get("/brokers/topics/t")[0])
        assert stored["partitions"] == {"0": [2, 1], "1": [0]}
        assert stored["adding_replicas"] == stored["removing_replicas"] == {}
        cluster.wait_until_in_sync("t")

        client.create(_MOVES, b"what is this")
        _wait_until_gone(client, _MOVES)


def test_a_topic_that_a_tool_makes_is_there_and_takes_records(
    connect: str, cluster: Cluster
) -> None:
    with _tool(connect) as client:
        client.create("/config/topics/old", b'{"version":1,"config":{"cleanup.policy":"delete"}}')
        client.create(
            "/brokers/topics/old",
            b'{"version":2,"partitions":{"0":[2,0]},"adding_replicas":{},"removing_replicas":{}}',
        )
    asked = cluster[1].url
    wait_until(
        lambda: httpx.get(f"{asked}/v1/topics/old").status_code == 200, "the topic is there", 30.0
    )
    cluster.wait_until_in_sync("old")
    sent = httpx.post(f"{asked}/v1/topics/old/records", json={"records": [{"value": "x"}]})
    assert sent.status_code == 200, sent.text


def test_preferred_leaders_that_a_tool_asks_for_are_elected(connect: str, cluster: Cluster) -> None:
    _create(cluster, "t", [[0, 1], [1, 0]])
    with _tool(connect) as client:
        # The order of the replicas alone: nobody moves, and nobody is elected by that.
        client.create(_MOVES, _request(_entry("t", 0, 1, 0), _entry("t", 1, 0, 1)))
        _wait_until_gone(client, _MOVES)
        assert [each["leader"] for each in cluster.partitions("t")] == [0, 1]
        client.create(_ELECTION, _request(_entry("t", 0), _entry("t", 7)))
        _wait_until_gone(client, _ELECTION)
        wait_until(lambda: cluster.leader_of("t") == 1, "1 leads", 30.0)
        assert cluster.leader_of("t", 1) == 1


def test_the_next_controller_goes_on_with_what_is_listed(connect: str, cluster: Cluster) -> None:
    ruler = cluster.controller
    one, two = sorted({0, 1, 2} - {ruler})
    _create(cluster, "t", [[one], [one]])
    with _tool(connect) as client:
        # Its session is still there, so it may be moved to; until it is back, nothing arrives.
        cluster[two].kill()
        client.create(_MOVES, _request(_entry("t", 0, two), _entry("t", 1, one, two)))
        wait_until(lambda: _replicas(cluster, "t") == [[two, one], [one, two]], "it begins", 30.0)
        cluster[ruler].kill()
        cluster[two].start()
        _wait_until_gone(client, _MOVES)
        assert _replicas(cluster, "t") == [[two], [one, two]]
        assert cluster.controller != ruler
