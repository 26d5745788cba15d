"""Where partitions stand: asked of their leaders, many at once, whoever they are."""

import asyncio

import msgspec
import pytest

from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    LeaderNotAvailableError,
    LogError,
    NetworkError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET, OffsetRange
from kafkalite.transport.errors import PeerRefusedError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.messages import FetchRequest, FetchResponse, FetchResult
from tests.support.partitions import NOW_MS, Logs, OpenPartitions, batch_of, flush
from tests.support.sending_on import SendingOn

_HERE, _AT_1, _AT_2, _NOWHERE = (TopicPartition("t", number) for number in range(4))


class _Cluster:
    """Broker 0, which leads partition 0 with two records; 1 and 2 lead theirs."""

    def __init__(self, logs: Logs) -> None:
        self.sending = SendingOn(logs, patience_ms=0)
        self.peers = self.sending.peers
        self.peers.on_fetch = self.has_up_to_9
        partition = self.sending.partitions[0]
        batch, header = batch_of(b"a", b"b")
        partition.append(batch, [header], acks_all=False)
        flush(partition)
        table = OpenPartitions(*self.sending.partitions).table()
        self.lookup = OffsetLookup(table, self.sending.forwarding)

    async def has_up_to_9(self, _broker: Broker, request: FetchRequest) -> FetchResponse:
        assert request.max_wait_ms == 0
        return FetchResponse(
            partitions=[
                FetchResult(
                    each.topic,
                    each.partition,
                    error_code=OffsetOutOfRangeError.code,
                    high_watermark=9,
                    log_start_offset=3,
                )
                for each in request.partitions
            ]
        )


@pytest.fixture
def cluster(logs: Logs) -> _Cluster:
    return _Cluster(logs)


def test_every_leader_is_asked_once_and_this_broker_not_at_all(cluster: _Cluster) -> None:
    found = asyncio.run(cluster.lookup.readable([_HERE, _AT_1, _AT_2, _NOWHERE]))
    assert found[_HERE] == OffsetRange(0, 2)
    assert found[_AT_1] == found[_AT_2] == OffsetRange(3, 9)
    assert isinstance(found[_NOWHERE], LeaderNotAvailableError)
    assert sorted(each.broker_id for each in cluster.peers.sent) == [1, 2]


def test_what_cannot_be_told_says_why(cluster: _Cluster) -> None:
    async def refuse(broker: Broker, request: FetchRequest) -> FetchResponse:
        if broker.id == 1:
            raise PeerRefusedError("nobody listens")
        error = UnknownTopicOrPartitionError
        return FetchResponse(
            partitions=[
                FetchResult(each.topic, each.partition, error_code=error.code, message="which?")
                for each in request.partitions
            ]
        )

    cluster.peers.on_fetch = refuse
    unknown = TopicPartition("u", 0)
    found = asyncio.run(cluster.lookup.readable([_HERE, _AT_1, _AT_2, unknown]))
    assert found[_HERE] == OffsetRange(0, 2)
    assert isinstance(found[_AT_1], LeaderNotAvailableError)
    assert isinstance(found[_AT_2], UnknownTopicOrPartitionError)
    assert isinstance(found[unknown], LogError)


def test_points_in_time_are_asked_of_each_leader(cluster: _Cluster) -> None:
    async def answer(broker: Broker, method: str, target: str) -> PeerReply:
        assert method == "GET"
        assert target == f"/v1/topics/t/partitions/{broker.id}/offsets?at=1000"
        if broker.id == 1:
            return PeerReply(200, {}, msgspec.json.encode({"offset": 7, "timestamp": 1000}))
        problem = {"error": "LEADER_NOT_AVAILABLE", "detail": "not any more"}
        return PeerReply(503, {}, msgspec.json.encode(problem))

    cluster.peers.on_request = answer
    found = asyncio.run(cluster.lookup.at_time([_HERE, _AT_1, _AT_2], 1000))
    assert found[_HERE] == 0
    assert found[_AT_1] == 7
    refusal = found[_AT_2]
    assert isinstance(refusal, LeaderNotAvailableError)
    assert refusal.detail == "not any more"


def test_a_record_that_is_not_readable_yet_does_not_count(cluster: _Cluster) -> None:
    batch, header = batch_of(b"c", timestamp=NOW_MS + 5)
    cluster.sending.partitions[0].append(batch, [header], acks_all=False)
    assert asyncio.run(cluster.lookup.at_time([_HERE], NOW_MS + 5)) == {_HERE: NO_OFFSET}
    flush(cluster.sending.partitions[0])
    assert asyncio.run(cluster.lookup.at_time([_HERE], NOW_MS + 5)) == {_HERE: 2}


def test_an_answer_that_cannot_be_read_is_an_error(cluster: _Cluster) -> None:
    async def answer(_broker: Broker, _method: str, _target: str) -> PeerReply:
        return PeerReply(200, {}, b"<html>")

    cluster.peers.on_request = answer
    found = asyncio.run(cluster.lookup.at_time([_AT_1], 1000))
    assert isinstance(found[_AT_1], NetworkError)
