"""What of the broker's settings concerns groups."""

from dataclasses import dataclass, field

from kafkalite.config.keys import BrokerSettings
from kafkalite.groups.limits import GroupLimits

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """Bounds and times of a coordinator."""

    limits: GroupLimits = field(default_factory=GroupLimits)
    max_metadata_bytes: int = 4_096
    """Of the text that is committed with an offset, in UTF-8."""
    retention_ms: int = 10_080 * _MINUTE_MS
    """A group without members goes when nothing was committed for so long."""
    check_interval_ms: int = 600_000
    """How often groups, and offsets of topics, that may go are looked for."""
    max_groups: int = 10_000
    """Held in memory at once."""
    max_waiting_heartbeats: int = 20_000
    max_gathered_offsets: int = 200_000
    """That wait to be committed."""


def group_options(settings: BrokerSettings) -> GroupOptions:
    """Take them out of the settings."""
    return GroupOptions(
        GroupLimits(
            max_members=settings.group_max_size,
            min_session_timeout_ms=settings.group_min_session_timeout_ms,
            max_session_timeout_ms=settings.group_max_session_timeout_ms,
            default_session_timeout_ms=settings.group_consumer_session_timeout_ms,
            heartbeat_interval_ms=settings.group_consumer_heartbeat_interval_ms,
        ),
        max_metadata_bytes=settings.offset_metadata_max_bytes,
        retention_ms=settings.offsets_retention_minutes * _MINUTE_MS,
        check_interval_ms=settings.offsets_retention_check_interval_ms,
        max_groups=settings.group_coordinator_max_groups,
        max_waiting_heartbeats=settings.group_coordinator_max_waiting_heartbeats,
        max_gathered_offsets=settings.group_coordinator_max_gathered_offsets,
    )
