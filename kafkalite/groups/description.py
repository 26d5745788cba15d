"""A group as administrators see it."""

from dataclasses import dataclass

from kafkalite.groups.state import GroupPhase, Member


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """As last stored."""

    phase: GroupPhase
    epoch: int
    assignor: str
    """Decides who consumes what; empty: the group has no members."""
    members: tuple[Member, ...]
    """By id."""
