"""All groups of the cluster, as if this broker coordinated them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from kafkalite.broker.groups.coordinator import GroupCoordinator
from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.broker.groups.routing import GroupRouting
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    LogError,
    NotCoordinatorError,
    error_by_code,
    error_by_name,
)
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
)

CLIENT_HOST_HEADER: Final = "kafkalite-client-host"
"""Tells, in a request that was sent on, whose it was."""

_GRACE_MS: Final = 10_000
"""How long a coordinator may take beyond the time that it was given to wait."""
_MAX_WAITING: Final = 64
"""Heartbeats that wait at other brokers: each has a connection to itself meanwhile."""
_OK: Final = 200
_HEADERS: Final = {"content-type": "application/msgpack", "accept": "application/msgpack"}

Answer = TypeVar("Answer")

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_heartbeat: Final = msgspec.msgpack.Decoder(HeartbeatResponse).decode
_decode_commit: Final = msgspec.msgpack.Decoder(OffsetCommitResponse).decode


class RoutedGroups:
    """Asks this broker's coordinator, or over HTTP that of the broker that is to answer.

    Implements the consumers' Groups. Lives on the loop; holds nothing of any group.
    """

    def __init__(self, groups: GroupCoordinator, routing: GroupRouting) -> None:
        self._groups = groups
        self._routing = routing
        self._waiting = 0

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        """See Groups. Of those that would wait elsewhere, some wait here before they ask."""
        check_group_id(group)
        if self._routing.is_here(group):
            return await _as_coordinator(self._groups.heartbeat(group, request, host))
        headers = {**_HEADERS, CLIENT_HOST_HEADER: host}
        if request.max_wait_ms and self._waiting >= _MAX_WAITING:
            await asyncio.sleep(request.max_wait_ms / 1000)
            request = msgspec.structs.replace(request, max_wait_ms=0)
        self._waiting += 1
        try:
            answer = await self._ask(
                group, "heartbeat", headers, request, request.max_wait_ms, _decode_heartbeat
            )
        finally:
            self._waiting -= 1
        if answer is None:
            return await _as_coordinator(self._groups.heartbeat(group, request, host))
        return answer

    async def commit(self, group: str, request: OffsetCommitRequest) -> Sequence[LogError | None]:
        """See Groups."""
        check_group_id(group)
        answer = None
        if not self._routing.is_here(group):
            answer = await self._ask(group, "offsets", _HEADERS, request, 0, _decode_commit)
        if answer is None:
            return await _as_coordinator(self._groups.commit(group, request))
        return [
            None if not each.error_code else error_by_code(each.error_code)(each.message)
            for each in answer.results
        ]

    async def committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        """See Groups. Any broker reads them as well as the coordinator."""
        return await self._groups.committed(group)

    async def _ask(
        self,
        group: str,
        end: str,
        headers: Mapping[str, str],
        request: HeartbeatRequest | OffsetCommitRequest,
        wait_ms: int,
        decode: Callable[[bytes], Answer],
    ) -> Answer | None:
        """The coordinator's answer; None where this broker is it by now."""
        target = f"/v1/groups/{quote(group, safe='')}/{end}"
        sent = await self._routing.forward(
            group, "POST", target, headers, _encode(request), wait_ms + _GRACE_MS
        )
        if sent is None:
            return None
        broker, reply = sent
        try:
            if reply.status == _OK:
                return decode(reply.body)
            problem = msgspec.json.decode(reply.body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CoordinatorNotAvailableError(
                f"The answer of broker {broker.id} cannot be read: {error}"
            ) from error
        raise _findable(error_by_name(str(problem.get("error")))(str(problem.get("detail"))))


async def _as_coordinator(work: Awaitable[Answer]) -> Answer:
    try:
        return await work
    except NotCoordinatorError as error:
        raise _findable(error) from error


def _findable(error: LogError) -> LogError:
    """An error for who does not care where the coordinator is: it is looked for again."""
    if isinstance(error, NotCoordinatorError):
        return CoordinatorNotAvailableError(error.detail)
    return error
