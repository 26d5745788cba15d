"""Consumer groups in memory, and the way to them, as far as the API looks at either."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kafkalite.broker.groups.coordinator import GroupSummary
from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.groups.description import GroupDescription
from kafkalite.groups.state import GroupPhase, Member
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    LogError,
    NonEmptyGroupError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
)


@dataclass
class FakeGroup:
    """A group as a test describes it."""

    members: tuple[Member, ...] = ()
    offsets: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)
    refused: dict[TopicPartition, LogError] = field(default_factory=dict)
    """Why offsets of these are neither committed nor deleted."""

    @property
    def description(self) -> GroupDescription:
        phase = GroupPhase.STABLE if self.members else GroupPhase.EMPTY
        return GroupDescription(phase, 7, "sticky" if self.members else "", self.members)


class FakeGroups:
    """What GroupCoordinator is to those who ask it."""

    def __init__(self) -> None:
        self.groups: dict[str, FakeGroup] = {}
        self.heard: list[tuple[str, HeartbeatRequest, str]] = []
        self.answer: HeartbeatResponse | LogError | None = None
        """None: heartbeats wait for ever."""
        self.given_up = 0
        """Heartbeats that waited until somebody cancelled them."""

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        self.heard.append((group, request, host))
        if isinstance(self.answer, LogError):
            raise self.answer
        if self.answer is not None:
            return self.answer
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1
        raise AssertionError

    async def commit(self, group: str, request: OffsetCommitRequest) -> list[LogError | None]:
        found = self.groups.setdefault(group, FakeGroup())
        errors: list[LogError | None] = []
        for each in request.offsets:
            partition = TopicPartition(each.topic, each.partition)
            errors.append(found.refused.get(partition))
            if errors[-1] is None:
                found.offsets[partition] = CommittedOffset(
                    each.offset, each.leader_epoch, each.metadata
                )
        return errors

    async def committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        return self.groups[group].offsets if group in self.groups else {}

    async def delete_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> list[LogError | None]:
        found = self._existing(group)
        for each in partitions:
            if each not in found.refused:
                found.offsets.pop(each, None)
        return [found.refused.get(each) for each in partitions]

    async def describe(self, group: str) -> GroupDescription:
        return self._existing(group).description

    async def delete(self, group: str) -> None:
        if self._existing(group).members:
            raise NonEmptyGroupError(f"Group '{group}' has members")
        del self.groups[group]

    async def reset(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        self.groups.setdefault(group, FakeGroup()).offsets.update(offsets)

    async def group_ids(self) -> list[str]:
        return sorted(self.groups)

    async def summaries(self, groups: Sequence[str]) -> list[GroupSummary]:
        lines = []
        for group in groups:
            found = self.groups[group].description
            lines.append(GroupSummary(group, str(found.phase), found.assignor, len(found.members)))
        return lines

    def _existing(self, group: str) -> FakeGroup:
        if group not in self.groups:
            raise GroupIdNotFoundError(f"Group '{group}' does not exist")
        return self.groups[group]


@dataclass
class Forwarded:
    """One request that was sent on."""

    group: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class FakeRouting:
    """Sends the requests of `elsewhere` on to broker 1, which gives `reply`."""

    def __init__(self) -> None:
        self.elsewhere: set[str] = set()
        self.forwarded: list[Forwarded] = []
        self.reply: PeerReply | None = None
        self.own = Broker(BrokerId(0), "host-0", 9092)
        self.other = Broker(BrokerId(1), "host-1", 9092)

    def coordinator(self, group: str) -> Broker:
        return self.other if group in self.elsewhere else self.own

    async def forward(
        self,
        group: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_ms: int,
    ) -> tuple[Broker, PeerReply] | None:
        del timeout_ms
        if group not in self.elsewhere:
            return None
        self.forwarded.append(Forwarded(group, method, target, headers, body))
        if self.reply is None:
            raise CoordinatorNotAvailableError("Broker 1 cannot be reached")
        return self.other, self.reply
