"""Produces for partitions that other brokers lead: sent on once, or not at all."""

import asyncio

import msgspec
import pytest

from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    InvalidRequestError,
    LeaderNotAvailableError,
    LogError,
    MessageTooLargeError,
    NetworkError,
    NotLeaderOrFollowerError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
)
from kafkalite.transport.errors import (
    PeerBrokenError,
    PeerBusyError,
    PeerError,
    PeerProblemError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from kafkalite.wire.messages import (
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from tests.support.leading_peers import appends_all
from tests.support.partitions import Logs, batch_of
from tests.support.sending_on import SendingOn


def _entry(number: int, value: bytes = b"x") -> PartitionBatches:
    return PartitionBatches("t", number, memoryview(batch_of(value)[0]))


def _request(*entries: PartitionBatches, timeout_ms: int = 30_000) -> ProduceRequest:
    return ProduceRequest(list(entries), 1, timeout_ms)


def _append(sending: SendingOn, *entries: PartitionBatches) -> list[ProduceResult]:
    return asyncio.run(sending.append_path.append(_request(*entries)))


def _refusal(request: ProduceRequest, error: type[LogError], offset: int = -1) -> ProduceResponse:
    return ProduceResponse(
        [
            ProduceResult(
                each.topic,
                each.partition,
                error_code=error.code,
                error=error.name,
                message="as said there",
                base_offset=offset,
            )
            for each in request.partitions
        ]
    )


def test_each_leader_is_asked_once_for_all_that_it_leads(logs: Logs) -> None:
    sending = SendingOn(logs)
    results = _append(sending, _entry(1), _entry(2), _entry(0), _entry(1))
    assert [result.partition for result in results] == [1, 2, 0, 1]
    assert [result.base_offset for result in results] == [100, 100, 0, 101]
    assert [result.leader_id for result in results] == [1, 2, -1, 1]
    assert [result.leader_url for result in results][:3] == [
        "http://host1:9092",
        "http://host2:9092",
        "",
    ]
    asked = {sent.broker_id: sent.request for sent in sending.peers.sent}
    assert len(sending.peers.sent) == len(asked) == 2
    first = asked[1]
    assert isinstance(first, ProduceRequest)
    assert [each.partition for each in first.partitions] == [1, 1]
    assert first.forwarded
    assert first.acks == 1


def test_what_was_sent_on_already_is_refused_and_the_leader_named(logs: Logs) -> None:
    sending = SendingOn(logs)
    request = msgspec.structs.replace(_request(_entry(1)), forwarded=True)
    (result,) = asyncio.run(sending.append_path.append(request))
    assert (result.error, result.leader_id) == ("NOT_LEADER_OR_FOLLOWER", 1)
    assert result.leader_url == "http://host1:9092"
    assert sending.peers.sent == []


@pytest.mark.parametrize("error", [PeerRefusedError, PeerUnreachableError])
def test_a_leader_that_cannot_be_reached_is_waited_for_to_be_replaced(
    logs: Logs, error: type[PeerError]
) -> None:
    sending = SendingOn(logs)

    async def dies(broker: Broker, request: ProduceRequest) -> ProduceResponse:
        if broker.id == 1:
            asyncio.get_running_loop().call_soon(lambda: sending.elect(1, 2, epoch=1))
            raise error("gone")
        return await appends_all(broker, request)

    sending.peers.on_produce = dies
    (result,) = _append(sending, _entry(1))
    assert (result.error, result.base_offset, result.leader_id) == ("", 100, 2)
    assert [sent.broker_id for sent in sending.peers.sent] == [1, 2]
    assert sending.refused == ([1] if error is PeerRefusedError else [])
    assert sending.probe.produce_errors == 0


def test_this_broker_appends_itself_when_it_is_elected_meanwhile(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def dies(_broker: Broker, _request: ProduceRequest) -> ProduceResponse:
        asyncio.get_running_loop().call_soon(lambda: sending.elect(1, 0, epoch=1))
        raise PeerRefusedError("gone")

    sending.peers.on_produce = dies
    results = _append(sending, _entry(1, b"first"), _entry(1, b"second"))
    assert [(result.error, result.base_offset) for result in results] == [("", 0), ("", 1)]
    assert len(sending.peers.sent) == 1


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (PeerBrokenError("reset"), NetworkError),
        (PeerTimeoutError("silent"), RequestTimedOutError),
        (PeerProblemError("no", MessageTooLargeError("large")), MessageTooLargeError),
        (PeerProblemError("no", InvalidRequestError("bad")), InvalidRequestError),
        (PeerBusyError("many"), ThrottlingQuotaExceededError),
    ],
)
def test_nothing_is_sent_a_second_time_when_it_may_have_been_appended_or_is_refused(
    logs: Logs, failure: PeerError, told: type[LogError]
) -> None:
    sending = SendingOn(logs)

    async def fails(_broker: Broker, _request: ProduceRequest) -> ProduceResponse:
        sending.elect(1, 2, epoch=1)
        raise failure

    sending.peers.on_produce = fails
    (result,) = _append(sending, _entry(1))
    assert (result.error, result.base_offset) == (told.name, -1)
    assert len(sending.peers.sent) == 1
    assert sending.probe.produce_errors == 1


def test_a_broker_that_does_not_lead_yet_is_asked_again_until_it_does(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def learns(broker: Broker, request: ProduceRequest) -> ProduceResponse:
        if len(sending.peers.sent) < 3:
            return _refusal(request, NotLeaderOrFollowerError)
        return await appends_all(broker, request)

    sending.peers.on_produce = learns
    (result,) = _append(sending, _entry(1))
    assert (result.error, result.base_offset) == ("", 100)
    assert len(sending.peers.sent) == 3


def test_nothing_is_sent_again_when_a_leader_stepped_down_after_it_appended(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def steps_down(_broker: Broker, request: ProduceRequest) -> ProduceResponse:
        return _refusal(request, NotLeaderOrFollowerError, offset=7)

    sending.peers.on_produce = steps_down
    (result,) = _append(sending, _entry(1))
    assert (result.error, result.base_offset) == ("NOT_LEADER_OR_FOLLOWER", 7)
    assert len(sending.peers.sent) == 1


def test_the_offset_is_told_when_this_broker_steps_down_after_it_appended(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def scenario() -> ProduceResult:
        request = ProduceRequest([_entry(0, b"a"), _entry(0, b"b")], -1, 30_000)
        waiting = asyncio.create_task(sending.append_path.append(request))
        await asyncio.sleep(0)
        assert sending.partitions[0].log.end_offset == 2
        sending.elect(0, 1, epoch=1)
        return (await waiting)[1]

    result = asyncio.run(scenario())
    assert (result.error, result.base_offset) == ("NOT_LEADER_OR_FOLLOWER", 1)
    assert sending.peers.sent == []


def test_patience_ends_when_nobody_is_elected(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def refuses(_broker: Broker, _request: ProduceRequest) -> ProduceResponse:
        raise PeerRefusedError("gone")

    sending.peers.on_produce = refuses
    results = _append(sending, _entry(1), _entry(3), _entry(0))
    assert [result.error for result in results] == [
        "LEADER_NOT_AVAILABLE",
        "LEADER_NOT_AVAILABLE",
        "",
    ]
    assert sending.partitions[0].log.end_offset == 1


def test_a_request_is_not_held_longer_than_it_may_take(logs: Logs) -> None:
    sending = SendingOn(logs, patience_ms=3_600_000)
    (result,) = asyncio.run(sending.append_path.append(_request(_entry(3), timeout_ms=20)))
    assert result.error == "LEADER_NOT_AVAILABLE"


def test_batches_of_a_partition_keep_their_order_when_its_leader_moves_between_them(
    logs: Logs,
) -> None:
    sending = SendingOn(logs)
    # It comes here while the loop turns between the batches of another entry.
    between = PartitionBatches("t", 0, memoryview(batch_of(b"x")[0] * 2))

    async def scenario() -> list[ProduceResult]:
        asyncio.get_running_loop().call_soon(lambda: sending.elect(1, 0, epoch=1))
        return await sending.append_path.append(
            _request(_entry(1, b"first"), between, _entry(1, b"second"))
        )

    first, _, second = asyncio.run(scenario())
    assert [first.error, second.error] == ["", ""]
    assert first.base_offset < second.base_offset


def test_answers_for_other_partitions_are_none(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def confuses(_broker: Broker, _request: ProduceRequest) -> ProduceResponse:
        return ProduceResponse([ProduceResult("t", 2, base_offset=0)])

    sending.peers.on_produce = confuses
    (result,) = _append(sending, _entry(1))
    assert (result.partition, result.error) == (1, "NETWORK_EXCEPTION")


@pytest.mark.parametrize("bounds", [{"max_requests": 1}, {"max_bytes": 100}])
def test_no_more_is_sent_on_than_may_be_at_a_time(logs: Logs, bounds: dict[str, int]) -> None:
    sending = SendingOn(logs, **bounds)
    go_on = asyncio.Event()

    async def waits(broker: Broker, request: ProduceRequest) -> ProduceResponse:
        await go_on.wait()
        return await appends_all(broker, request)

    sending.peers.on_produce = waits

    async def scenario() -> None:
        append = sending.append_path.append
        first = asyncio.create_task(append(_request(_entry(1))))
        given_up = asyncio.create_task(append(_request(_entry(2))))
        await asyncio.sleep(0)
        (refused,) = await given_up
        assert refused.error == "THROTTLING_QUOTA_EXCEEDED"
        go_on.set()
        assert (await first)[0].error == ""
        (again,) = await append(_request(_entry(2)))
        assert again.error == ""

    asyncio.run(scenario())


def test_a_refusal_says_where_the_leader_is_as_far_as_that_is_known(logs: Logs) -> None:
    named = SendingOn(logs).forwarding.named
    known = named(NotLeaderOrFollowerError("no", leader_id=2))
    assert known.extra == {"leader_id": 2, "leader_url": "http://host2:9092"}
    assert named(NotLeaderOrFollowerError("no", leader_id=9)).extra == {"leader_id": 9}
    assert named(LeaderNotAvailableError("no")).extra == {}
