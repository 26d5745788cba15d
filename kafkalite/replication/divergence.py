"""Where the log of a follower leaves its leader's, found by leader epochs (KIP-101, 279, 595).

REP-1  A follower truncates where its log leaves its leader's, and never to a high watermark: its
       own may be behind what is acknowledged.
REP-2  Every answer that tells of a divergence makes the follower's log shorter, so that leader and
       follower come to agree after at most as many answers as there are epochs.
"""

from typing import NamedTuple, Protocol

from kafkalite.model.ids import NO_EPOCH
from kafkalite.replication.position import Position


class EpochEnds(Protocol):
    """The leader epochs of a log; storage's Log is one."""

    @property
    def start_offset(self) -> int:
        """First readable offset."""

    @property
    def end_offset(self) -> int:
        """What the next record will get."""

    @property
    def leader_epoch(self) -> int:
        """The latest epoch, NO_EPOCH before there is one."""

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above `epoch`, and its end; (NO_EPOCH, NO_OFFSET) if none."""


class Divergence(NamedTuple):
    """What a leader says to a follower whose log is not its own."""

    epoch: int
    """The latest epoch that both may have; NO_EPOCH: none that the leader still knows."""
    end_offset: int
    """Where it ends at the leader."""


def epoch_before(log: EpochEnds, offset: int) -> int:
    """Leader epoch of the record before `offset`; NO_EPOCH where `log` holds none.

    Not simply the latest: a leader begins its epoch before there is a record of it.
    """
    if offset <= log.start_offset:
        return NO_EPOCH
    epoch = log.leader_epoch
    while epoch != NO_EPOCH:
        earlier, begin = log.epoch_end_offset(epoch - 1)
        if begin < offset:
            break
        epoch = earlier
    return epoch


def divergence(leader: EpochEnds, position: Position) -> Divergence | None:
    """What the leader answers to a position at or above its start; None: go on from there."""
    asked = position.last_fetched_epoch
    if asked == NO_EPOCH:
        return None  # there is no record that could differ
    epoch, end_offset = leader.epoch_end_offset(asked)
    if epoch == NO_EPOCH:
        # All it had of that time is deleted: nothing can be compared but from its start on.
        end_offset = leader.start_offset
        return Divergence(epoch, end_offset) if end_offset < position.offset else None
    if epoch < asked or end_offset < position.offset:
        return Divergence(epoch, end_offset)
    return None


def truncation_offset(follower: EpochEnds, found: Divergence) -> int:
    """The first offset that a follower has to drop, as far as one answer tells."""
    if found.epoch == NO_EPOCH:
        return min(found.end_offset, follower.end_offset)
    epoch, own_end = follower.epoch_end_offset(found.epoch)
    if epoch == NO_EPOCH:
        return follower.start_offset
    return min(found.end_offset, own_end, follower.end_offset)
