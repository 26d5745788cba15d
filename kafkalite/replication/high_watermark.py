"""The one function that advances a high watermark."""

from collections.abc import Iterable


def advance(current: int, leader_end: int, follower_ends: Iterable[int] = ()) -> int:
    """The high watermark after the maximal ISR has reached these ends.

    Args:
        current: the high watermark so far; it never goes back on one replica.
        leader_end: the leader's own end offset, durable or appended as the flush policy says.
        follower_ends: the same of every other member of the maximal ISR.
    """
    return max(current, min((leader_end, *follower_ends)))
