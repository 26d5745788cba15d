"""Fetches of replicas go to their sessions; one that leaves while it waits is reported."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, cast

import msgspec
import pytest

from kafkalite.api.exchange import ClientGoneError, Exchange
from kafkalite.api.fetch import FetchEndpoint
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.replication.replica_sessions import ReplicaAnswer, ReplicaSessions
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import FetchSessionIdNotFoundError, NotLeaderOrFollowerError
from kafkalite.model.ids import BrokerId
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResponse, FetchResult


class _Sessions:
    def __init__(self, answer: ReplicaAnswer | None) -> None:
        self._answer = answer
        self.asked: list[FetchRequest] = []

    async def fetch(self, request: FetchRequest) -> ReplicaAnswer:
        self.asked.append(request)
        if self._answer is None:
            await asyncio.Event().wait()
        assert self._answer is not None
        return self._answer


class _Readers:
    """A fetch path that finds what it was given."""

    def __init__(self, reads: list[PartitionRead]) -> None:
        self._reads = reads

    def try_fetch(self, _request: FetchRequest) -> list[PartitionRead]:
        return self._reads


def _post(
    request: FetchRequest,
    *,
    answer: ReplicaAnswer | None = None,
    reads: list[PartitionRead] | None = None,
    gone: list[int] | None = None,
) -> FetchResponse:
    """What is answered; the client goes away as soon as its request is read."""
    sent: list[MutableMapping[str, Any]] = []
    pending = [
        {"type": "http.request", "body": msgspec.msgpack.encode(request), "more_body": False}
    ]

    async def receive() -> MutableMapping[str, Any]:
        if pending:
            return pending.pop()
        if gone is None:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    endpoint = FetchEndpoint(
        cast("FetchPath", _Readers(reads or [])),
        cast("ReplicaSessions", _Sessions(answer)),
        (gone if gone is not None else []).append,
    )
    exchange = Exchange({"headers": [], "query_string": b""}, receive, send)
    asyncio.run(endpoint.post(exchange))
    answered = b"".join(message["body"] for message in sent[1:])
    assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(answered)
    return msgspec.msgpack.decode(answered, type=FetchResponse)


_REPLICA = FetchRequest([FetchPartition("t", 0, 5)], replica_id=7)


def test_a_replica_is_told_what_its_session_has_to_say() -> None:
    reads = [
        PartitionRead("t", 0, (), 3, 1, None, 4),
        PartitionRead(
            "t", 1, leader_epoch=4, diverging_epoch=2, diverging_end_offset=17, high_watermark=3
        ),
        PartitionRead("t", 2, error=NotLeaderOrFollowerError("no", leader_id=2)),
    ]
    assert _post(_REPLICA, answer=ReplicaAnswer(reads)) == FetchResponse(
        partitions=[
            FetchResult("t", 0, high_watermark=3, log_start_offset=1, leader_epoch=4),
            FetchResult(
                "t",
                1,
                high_watermark=3,
                leader_epoch=4,
                diverging_epoch=2,
                diverging_end_offset=17,
            ),
            FetchResult(
                "t",
                2,
                error_code=6,
                error="NOT_LEADER_OR_FOLLOWER",
                message="no",
                leader_id=2,
            ),
        ]
    )


def test_a_replica_is_told_why_its_session_is_over() -> None:
    answer = ReplicaAnswer(error=FetchSessionIdNotFoundError("begin anew"))
    assert _post(_REPLICA, answer=answer) == FetchResponse(
        error_code=70, error="FETCH_SESSION_ID_NOT_FOUND", message="begin anew", partitions=[]
    )


def test_a_replica_that_leaves_while_it_waits_is_reported() -> None:
    gone: list[int] = []
    with pytest.raises(ClientGoneError):
        _post(_REPLICA, gone=gone)
    assert gone == [7]


def test_a_reader_is_told_who_leads_where_another_broker_answered() -> None:
    leader = Broker(BrokerId(3), "host3", 9092)
    reads = [PartitionRead("t", 0, (), 3, 1, leader=leader)]
    (result,) = _post(FetchRequest([FetchPartition("t", 0, 5)]), reads=reads).partitions
    assert (result.leader_id, result.leader_url) == (3, "http://host3:9092")
