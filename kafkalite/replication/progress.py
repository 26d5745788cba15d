"""How far one follower has come, as its leader knows."""

from dataclasses import dataclass
from typing import Final

from kafkalite.model.offsets import NO_OFFSET

NO_BROKER_EPOCH: Final = -1
NEVER_MS: Final = -(2**62)
"""A moment before every other."""


@dataclass(slots=True, eq=False)
class Progress:
    """One follower, in one epoch of its leader; moments are of the leader's monotonic clock."""

    caught_up_ms: int
    """The last moment at which it is known to have had all that the leader had."""
    end_offset: int = NO_OFFSET
    """It has everything below, as the leader has it; NO_OFFSET until it has fetched."""
    broker_epoch: int = NO_BROKER_EPOCH
    """Which incarnation of the broker that is true of."""
    is_damaged: bool = False
    """Whether it had more, of which something cannot be read."""
    fetched_ms: int = NEVER_MS
    """When it fetched last, and ..."""
    leader_end_then: int = 0
    """... the end of the leader's log at that moment."""
    left_ms: int = NEVER_MS
    """When it left the ISR: only what it does afterwards counts for its return."""
    has_fetched_since: bool = False
    """Whether it fetched after that, naming this partition."""

    def note(self, broker_epoch: int, offset: int, leader_end: int, now_ms: int) -> bool:
        """It fetches from `offset` on, which may be lower than before: it lost something.

        Gives whether it is caught up, but for what came after it had asked before.
        """
        is_caught_up = True
        if offset >= leader_end:
            self.caught_up_ms = now_ms
        elif self.has_fetched_since and offset >= self.leader_end_then:
            self.caught_up_ms = max(self.caught_up_ms, self.fetched_ms)
        else:
            is_caught_up = False
        self.broker_epoch = broker_epoch
        self.end_offset = offset
        self.fetched_ms = now_ms
        self.leader_end_then = leader_end
        self.has_fetched_since = True
        return is_caught_up

    def leave(self, now_ms: int) -> None:
        """It is in sync no more."""
        self.left_ms = now_ms
        self.has_fetched_since = False
