"""Topics and probes as REST Proxy has them, where not all is well."""

import asyncio
import json
from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple, cast

import pytest

from kafkalite.api.rest.topics_admin import RestTopicAdmin
from kafkalite.api.rest.topics_endpoint import TopicsEndpoint
from kafkalite.api.rest.topics_metadata import RestMetadata
from kafkalite.api.rest.topics_produce import RestProduce
from kafkalite.api.rest.topics_records import RestRecords
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView, StateAt, TopicAt
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import (
    NO_LEADER,
    BrokerId,
    ControllerEpoch,
    LeaderEpoch,
    TopicId,
    TopicPartition,
)


class _Answer(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _ask(path: str, *, is_running: bool = True, reasons: Sequence[str] = ()) -> _Answer:
    """What a broker answers that knows one topic, of which nobody leads the second partition."""
    view = MetadataView()
    both = (BrokerId(1), BrokerId(2))
    topic = Topic("t", TopicId("AAAAAAAAAAAAAAAAAAAAAA"), {0: both, 1: both, 2: both})
    states = {
        TopicPartition("t", number): StateAt(
            PartitionState(leader, LeaderEpoch(1), (BrokerId(2),), ControllerEpoch(1)), 1
        )
        for number, leader in ((0, BrokerId(2)), (1, NO_LEADER))
    }
    view.replace(ClusterPicture("c", topics={"t": TopicAt(topic, 1)}, states=states))
    endpoint = TopicsEndpoint(
        cast("RestProduce", None),
        RestMetadata(
            view, cast("PartitionTable", None), cast("OffsetLookup", None), lambda _: {"a": "b"}
        ),
        cast("RestRecords", None),
        cast("RestTopicAdmin", None),
        is_running=lambda: is_running,
        not_ready_reasons=lambda: reasons,
    )
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"method": "GET", "path": path, "headers": [], "query_string": b""}
    asyncio.run(endpoint(scope, receive, send))
    start, *parts = sent
    body = b"".join(part["body"] for part in parts)
    return _Answer(start["status"], dict(start["headers"]), body)


def test_partition_without_leader_says_so() -> None:
    led, unled, unknown = _ask("/topics/t").json["partitions"]
    followers = [{"broker": number, "leader": False, "in_sync": number == 2} for number in (1, 2)]
    assert led["leader"] == 2
    assert led["replicas"][1] == {"broker": 2, "leader": True, "in_sync": True}
    assert unled == {"partition": 1, "leader": -1, "replicas": followers}
    assert unknown["leader"] == -1, "nobody knows of its state yet"
    assert not any(replica["in_sync"] for replica in unknown["replicas"])


def test_broker_that_is_not_ready_says_why_and_when_to_come_back() -> None:
    assert _ask("/ready").status == 200
    answer = _ask("/ready", reasons=["no ZooKeeper", "starting"])
    assert answer.status == 503
    assert answer.json == {
        "error_code": 50302,
        "message": "The broker is not ready: no ZooKeeper; starting",
    }
    assert int(answer.headers[b"retry-after"]) > 0
    assert _ask("/healthy", reasons=["no ZooKeeper"]).status == 200, "it lives"


@pytest.mark.parametrize("path", ["/topics", "/topics/t", "/brokers", "/topics/t/partitions/0"])
def test_nothing_is_told_of_a_cluster_that_may_be_another_by_now(path: str) -> None:
    answer = _ask(path, is_running=False)
    assert (answer.status, answer.json["error_code"]) == (503, 50302)
    assert int(answer.headers[b"retry-after"]) > 0
