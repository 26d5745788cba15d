"""Where a follower stands in its log: all that its leader needs to know."""

from typing import NamedTuple


class Position(NamedTuple):
    """What a follower says in a fetch."""

    offset: int
    """It has everything below, durably where the flush policy is `commit`; it asks from here on."""
    last_fetched_epoch: int
    """Leader epoch of the record before `offset`; NO_EPOCH where its log has none."""
    leader_epoch: int
    """Of the leader it follows; any other leader refuses it."""
    is_damaged: bool = False
    """Whether its log goes on at `offset`, with what cannot be read: it may be counted for more."""
