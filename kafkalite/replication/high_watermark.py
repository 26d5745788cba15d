"""The one function that advances a high watermark."""

from collections.abc import Collection


def advance(current: int, leader_end: int, follower_ends: Collection[int] = ()) -> int:
    """The high watermark after the maximal ISR has reached these ends.

    Args:
        current: the high watermark so far; it never goes back on one replica.
        leader_end: the leader's own end offset, durable or appended as the flush policy says.
        follower_ends: the same of every other member of the maximal ISR.
    """
    end = min(leader_end, *follower_ends) if follower_ends else leader_end
    return max(current, end)
