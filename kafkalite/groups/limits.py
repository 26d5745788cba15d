"""What a group may cost, and what its members get who ask for nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """Bounds and defaults, from the broker's settings."""

    max_members: int = 1_000
    """`group.max.size`"""
    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    default_session_timeout_ms: int = 45_000
    default_rebalance_timeout_ms: int = 300_000
    max_rebalance_timeout_ms: int = 3_600_000
    heartbeat_interval_ms: int = 3_000
    default_assignor: str = "sticky"
    max_topics: int = 1_000
    """That one member may name."""
    max_pattern_length: int = 1_024
    """Characters."""
    max_text_length: int = 255
    """Characters of a member's id, instance id, client id, host and rack, each."""
    max_state_bytes: int = 800_000
    """Of the stored state, roughly: ZooKeeper takes no more than 1 MiB."""
