"""Groups of other brokers, asked as if they were this one's."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import pytest

from kafkalite.broker.groups.coordinator import GroupCoordinator
from kafkalite.broker.groups.routed_groups import CLIENT_HOST_HEADER, RoutedGroups
from kafkalite.broker.groups.routing import GroupRouting
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedMemberEpochError,
    LogError,
    NotCoordinatorError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import BrokerId
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResult,
    OffsetToCommit,
)

_ANSWER = HeartbeatResponse("m", 3, 1_000, 3, "Stable", [], 2, "http://b2")
_COMMIT = OffsetCommitRequest([OffsetToCommit("t", 0, 5), OffsetToCommit("t", 1, 6)], "m", 3)


class _Cluster:
    """Stands for both GroupCoordinator and GroupRouting."""

    def __init__(self) -> None:
        self.is_ours = False
        self.reply: PeerReply | None = None
        self.sent: list[tuple[str, Mapping[str, str], Any, int]] = []
        self.waiting = asyncio.Event()
        self.refusal: LogError | None = None

    def is_here(self, group: str) -> bool:
        return self.is_ours

    async def forward(
        self,
        group: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_ms: int,
    ) -> tuple[Broker, PeerReply] | None:
        assert method == "POST"
        request = msgspec.msgpack.decode(body)
        self.sent.append((target, headers, request, timeout_ms))
        if request.get("max_wait_ms"):
            await self.waiting.wait()
        if self.reply is None:
            return None
        return Broker(BrokerId(2), "b2", 1), self.reply

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        if self.refusal is not None:
            raise self.refusal
        return msgspec.structs.replace(_ANSWER, coordinator_id=1)

    async def commit(self, group: str, request: OffsetCommitRequest) -> Sequence[LogError | None]:
        return [None] * len(request.offsets)

    def groups(self) -> RoutedGroups:
        return RoutedGroups(cast("GroupCoordinator", self), cast("GroupRouting", self))


def _ok(body: object) -> PeerReply:
    return PeerReply(200, {}, msgspec.msgpack.encode(body))


def _problem(status: int, name: str) -> PeerReply:
    return PeerReply(status, {}, msgspec.json.encode({"error": name, "detail": "so it is"}))


def test_the_coordinator_elsewhere_is_asked_over_http() -> None:
    async def scenario() -> None:
        cluster = _Cluster()
        cluster.reply = _ok(_ANSWER)
        answer = await cluster.groups().heartbeat("a b", HeartbeatRequest("m", 3), "1.2.3.4")
        assert answer == _ANSWER
        target, headers, request, _ = cluster.sent[0]
        assert target == "/v1/groups/a%20b/heartbeat"
        assert headers[CLIENT_HOST_HEADER] == "1.2.3.4"
        assert request["member_epoch"] == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "found out"])
def test_this_broker_answers_where_it_coordinates(is_known: bool) -> None:
    async def scenario() -> None:
        cluster = _Cluster()
        cluster.is_ours = is_known
        answer = await cluster.groups().heartbeat("g", HeartbeatRequest(), "")
        assert answer.coordinator_id == 1
        assert len(cluster.sent) == (not is_known)
        assert await cluster.groups().commit("g", _COMMIT) == [None, None]

    asyncio.run(scenario())


def test_refusals_come_as_they_are() -> None:
    async def scenario() -> None:
        cluster = _Cluster()
        cluster.reply = _problem(404, "UNKNOWN_MEMBER_ID")
        with pytest.raises(UnknownMemberIdError, match="so it is"):
            await cluster.groups().heartbeat("g", HeartbeatRequest("m", 3), "")
        refused = OffsetCommitResult("t", 1, FencedMemberEpochError.code, "X", "not yours")
        cluster.reply = _ok(OffsetCommitResponse([OffsetCommitResult("t", 0), refused]))
        first, second = await cluster.groups().commit("g", _COMMIT)
        assert first is None
        assert isinstance(second, FencedMemberEpochError)
        assert second.detail == "not yours"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "reply",
    [_problem(421, "NOT_COORDINATOR"), PeerReply(200, {}, b"\xc1"), PeerReply(500, {}, b"oh")],
    ids=["moved", "not msgpack", "not a problem"],
)
def test_a_coordinator_that_cannot_be_made_out_is_looked_for_again(reply: PeerReply) -> None:
    async def scenario() -> None:
        cluster = _Cluster()
        cluster.reply = reply
        with pytest.raises(CoordinatorNotAvailableError):
            await cluster.groups().heartbeat("g", HeartbeatRequest("m", 3), "")
        cluster.is_ours, cluster.refusal = True, NotCoordinatorError()
        with pytest.raises(CoordinatorNotAvailableError):
            await cluster.groups().heartbeat("g", HeartbeatRequest("m", 3), "")

    asyncio.run(scenario())


def test_only_some_heartbeats_wait_at_other_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafkalite.broker.groups.routed_groups._MAX_WAITING", 2)

    async def scenario() -> None:
        cluster = _Cluster()
        cluster.reply = _ok(_ANSWER)
        groups = cluster.groups()
        asking = [
            asyncio.create_task(groups.heartbeat("g", HeartbeatRequest("m", 3, max_wait_ms=1), ""))
            for _ in range(3)
        ]
        async with asyncio.timeout(5):
            done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        assert done == {asking[2]}
        assert sorted(request["max_wait_ms"] for _, _, request, _ in cluster.sent) == [0, 1, 1]
        cluster.waiting.set()
        await asyncio.gather(*asking)

    asyncio.run(scenario())
