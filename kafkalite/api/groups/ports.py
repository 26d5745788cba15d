"""What the API of consumer groups needs of the broker: the groups it coordinates, and the others.

`broker/groups/coordinator.py` and `broker/groups/routing.py` are these; tests have their own.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
)


class GroupDataPlane(Protocol):
    """What members and simple consumers ask of a group's coordinator; errors are LogErrors."""

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        """Take in what a member says; waits as long as it asks for, or until there is news."""

    async def commit(self, group: str, request: OffsetCommitRequest) -> Sequence[LogError | None]:
        """Commit offsets; gives why each was refused, in their order."""

    async def committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        """All committed offsets of a group; none of one that does not exist."""

    async def delete_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> Sequence[LogError | None]:
        """Forget offsets; gives why each was not, in their order."""


class Routing(Protocol):
    """The way to the coordinators of groups."""

    async def forward(
        self,
        group: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_ms: int,
    ) -> tuple[Broker, PeerReply] | None:
        """Have the group's coordinator answer; None where this broker is it.

        Raises:
            LogError: it is another one, and there is no answer.
        """
