"""From what members hold to what they are to hold: never two at a time hold a partition (GRP-1).

GRP-6  A partition is released by its holder's report that follows the answer which took it away,
       by its holder's leaving, or by its being given up; by nothing else.
"""

from collections.abc import Mapping
from dataclasses import replace

from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.state import AWAY_EPOCH, JOIN_EPOCH, Member, Partitions


def released(member: Member, request: Heartbeat, revoked_epoch: int) -> Member:
    """The member without what its report shows that it has let go of.

    Only a report with the epoch of the answer that took the partitions away, or a later one, tells
    of that. An older one may have been under way for long, and may tell of a time before they were
    granted; so may one that joins.

    Args:
        member: as it is known.
        request: its report.
        revoked_epoch: at which something was taken from its assignment last, or a later one.
    """
    is_older = request.member_epoch == JOIN_EPOCH or request.member_epoch < revoked_epoch
    if request.owned is None or is_older:
        return member
    gone = member.to_release - request.owned
    return replace(member, held=member.held - gone) if gone else member


def away(member: Member) -> Member:
    """A static member that leaves for a while: it consumes nothing, and keeps what it is to."""
    return replace(member, epoch=AWAY_EPOCH, held=member.assignment)


def with_targets(
    members: Mapping[str, Member], targets: Mapping[str, Partitions]
) -> dict[str, Member]:
    """The members, each with its new target; those who are away have let go of the rest."""
    changed = {}
    for member in members.values():
        target = targets[member.id]
        if target == member.target:
            changed[member.id] = member
        elif member.is_away:
            changed[member.id] = replace(member, target=target, held=member.held & target)
        else:
            changed[member.id] = replace(member, target=target)
    return changed


def with_grants(members: Mapping[str, Member]) -> dict[str, Member]:
    """The members, each granted all of its target that nobody else holds."""
    held = frozenset().union(*(member.held for member in members.values()))
    granted = {}
    for member in members.values():
        free = member.target - held
        granted[member.id] = replace(member, held=member.held | free) if free else member
    return granted
