"""What a member says, and what it is answered."""

from dataclasses import dataclass

from kafkalite.groups.state import AWAY_EPOCH, LEAVE_EPOCH, GroupPhase, Partitions


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A member joins, lives, lets go of partitions or leaves. None: as it said before."""

    member_id: str
    """Chosen by the client or by whoever takes the request, at random; never empty."""
    member_epoch: int
    """As last answered; JOIN_EPOCH, LEAVE_EPOCH, AWAY_EPOCH."""
    instance_id: str | None = None
    client_id: str | None = None
    host: str | None = None
    rack: str | None = None
    topics: tuple[str, ...] | None = None
    pattern: str | None = None
    """Empty: none any more."""
    assignor: str | None = None
    session_timeout_ms: int | None = None
    rebalance_timeout_ms: int | None = None
    owned: Partitions | None = None
    """All that it may be consuming as it sends this."""

    @property
    def is_leaving(self) -> bool:
        """Whether it is the last of its member, or the last for a while."""
        return self.member_epoch in {LEAVE_EPOCH, AWAY_EPOCH}


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """What a member may consume from now on; all else it has to let go of."""

    member_id: str
    member_epoch: int
    """For its next heartbeats and commits."""
    assignment: Partitions
    heartbeat_interval_ms: int
    """After how long it is to be heard of again."""
    group_epoch: int
    phase: GroupPhase
