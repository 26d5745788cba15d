"""Who is refused: members that are none, and those that come with what was true once.

GRP-5  A commit counts only with the member's epoch as stored, and only of partitions that it holds.
"""

from collections.abc import Iterable, Mapping

from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.state import JOIN_EPOCH, Member
from kafkalite.model.errors import (
    FencedInstanceIdError,
    FencedMemberEpochError,
    LogError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition


def member_with_instance(members: Mapping[str, Member], instance_id: str | None) -> Member | None:
    """The member that has an instance id; None: nobody."""
    if instance_id is None:
        return None
    found = (member for member in members.values() if member.instance_id == instance_id)
    return next(found, None)


def no_member(members: Mapping[str, Member], request: Heartbeat) -> LogError:
    """The error for whoever is not, or is no longer, in the group."""
    other = member_with_instance(members, request.instance_id)
    if other is not None and other.id != request.member_id:
        return FencedInstanceIdError(
            f"Member {other.id} has taken the place of instance {request.instance_id}"
        )
    return UnknownMemberIdError(f"{request.member_id!r} is no member of the group")


def check_heartbeat(member: Member, request: Heartbeat) -> None:
    """Raise unless a heartbeat fits what is known of its member.

    An epoch that is lower is that of a member whose last answer was lost, or of one that has not
    heard of the latest change yet; it is answered again. One from before the member joined, or one
    that owns what it does not hold, missed that it was taken for dead or that somebody else came
    in its name: it has to let go of everything, and join.

    Raises:
        FencedMemberEpochError: it has to join again.
        FencedInstanceIdError: it says to be another instance.
    """
    if request.instance_id is not None and request.instance_id != member.instance_id:
        raise FencedInstanceIdError(f"Member {member.id} is not instance {request.instance_id}")
    if request.member_epoch <= JOIN_EPOCH:
        return
    if request.member_epoch > member.epoch:
        raise FencedMemberEpochError(
            f"Member {member.id} is at epoch {member.epoch}, not yet at {request.member_epoch}"
        )
    check_life(member, request)
    if request.owned is not None and not request.owned <= member.held:
        raise FencedMemberEpochError(f"Member {member.id} owns what was taken from it")


def check_life(member: Member, request: Heartbeat) -> None:
    """Raise FencedMemberEpochError where a heartbeat is of a former life of its member."""
    if JOIN_EPOCH < request.member_epoch < member.joined_epoch:
        raise FencedMemberEpochError(
            f"Member {member.id} joined anew, at epoch {member.joined_epoch}"
        )


def commit_errors(
    members: Mapping[str, Member],
    member_id: str,
    member_epoch: int,
    partitions: Iterable[TopicPartition],
) -> dict[TopicPartition, LogError | None]:
    """Why each of these offsets must not be committed, or None (GRP-5)."""
    refused = _commit_error(members, member_id, member_epoch)
    if refused is not None or not members:
        return dict.fromkeys(partitions, refused)
    held = members[member_id].held
    return {
        partition: None
        if partition in held
        else FencedMemberEpochError(f"Member {member_id} does not hold {partition}")
        for partition in partitions
    }


def _commit_error(
    members: Mapping[str, Member], member_id: str, member_epoch: int
) -> LogError | None:
    if not members and not member_id and member_epoch < 0:
        return None
    member = members.get(member_id)
    if member is None:
        return UnknownMemberIdError(f"{member_id!r} is no member of the group")
    if member_epoch < member.epoch or member.is_away:
        return StaleMemberEpochError(f"Member {member_id} is at epoch {member.epoch} by now")
    if member_epoch > member.epoch:
        return FencedMemberEpochError(f"Member {member_id} is at epoch {member.epoch} only")
    return None
