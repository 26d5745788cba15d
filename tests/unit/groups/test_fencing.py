"""Who is refused, and with which error."""

import pytest

from kafkalite.groups.fencing import check_heartbeat, commit_errors, no_member
from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.state import AWAY_EPOCH, JOIN_EPOCH, LEAVE_EPOCH, Member
from kafkalite.model.errors import (
    FencedInstanceIdError,
    FencedMemberEpochError,
    LogError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition

_HELD, _OTHER = TopicPartition("t", 0), TopicPartition("t", 1)
_MEMBER = Member("m", 5, joined_epoch=3, held=frozenset({_HELD}), target=frozenset({_HELD, _OTHER}))
_STATIC = Member("s", 5, joined_epoch=3, instance_id="i")
_MEMBERS = {"m": _MEMBER, "s": _STATIC}


@pytest.mark.parametrize(
    "request_",
    [
        Heartbeat("m", 5),
        Heartbeat("m", 5, owned=frozenset({_HELD})),
        Heartbeat("m", 3, owned=frozenset({_HELD})),
        Heartbeat("m", JOIN_EPOCH),
        Heartbeat("m", LEAVE_EPOCH),
    ],
)
def test_who_lost_an_answer_is_not_refused(request_: Heartbeat) -> None:
    check_heartbeat(_MEMBER, request_)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Heartbeat("m", 6), FencedMemberEpochError),
        (Heartbeat("m", 2), FencedMemberEpochError),
        (Heartbeat("m", 5, owned=frozenset({_OTHER})), FencedMemberEpochError),
        (Heartbeat("m", 4, owned=frozenset({_OTHER})), FencedMemberEpochError),
        (Heartbeat("m", 5, instance_id="i"), FencedInstanceIdError),
    ],
    ids=["from the future", "from a former life", "owns too much", "owned too much", "another"],
)
def test_who_cannot_go_on_has_to_join_anew(request_: Heartbeat, error: type[LogError]) -> None:
    with pytest.raises(error):
        check_heartbeat(_MEMBER, request_)


def test_who_is_away_may_leave_for_good() -> None:
    away = Member("s", AWAY_EPOCH, instance_id="i")
    check_heartbeat(away, Heartbeat("s", LEAVE_EPOCH))
    with pytest.raises(FencedMemberEpochError):
        check_heartbeat(away, Heartbeat("s", 5))


def test_who_is_no_member_is_told_whether_somebody_took_its_place() -> None:
    assert isinstance(no_member(_MEMBERS, Heartbeat("x", 5)), UnknownMemberIdError)
    taken = no_member(_MEMBERS, Heartbeat("x", 5, instance_id="i"))
    assert isinstance(taken, FencedInstanceIdError)
    unknown = no_member(_MEMBERS, Heartbeat("x", 5, instance_id="j"))
    assert isinstance(unknown, UnknownMemberIdError)


@pytest.mark.parametrize(
    ("member_id", "epoch", "error"),
    [
        ("m", 4, StaleMemberEpochError),
        ("m", -1, StaleMemberEpochError),
        ("m", 6, FencedMemberEpochError),
        ("x", 5, UnknownMemberIdError),
        ("", -1, UnknownMemberIdError),
    ],
)
def test_commits_of_others_are_refused(member_id: str, epoch: int, error: type[LogError]) -> None:
    errors = commit_errors(_MEMBERS, member_id, epoch, [_HELD])
    assert isinstance(errors[_HELD], error)


def test_members_commit_what_they_hold_and_nothing_else() -> None:
    errors = commit_errors(_MEMBERS, "m", 5, [_HELD, _OTHER])
    assert errors[_HELD] is None
    assert isinstance(errors[_OTHER], FencedMemberEpochError)


def test_nobody_commits_in_the_name_of_who_is_away() -> None:
    away = Member("s", AWAY_EPOCH, instance_id="i", held=frozenset({_HELD}))
    errors = commit_errors({"s": away}, "s", AWAY_EPOCH, [_HELD])
    assert isinstance(errors[_HELD], StaleMemberEpochError)


def test_simple_consumers_commit_while_there_are_no_members() -> None:
    assert commit_errors({}, "", -1, [_HELD]) == {_HELD: None}
    assert isinstance(commit_errors({}, "m", 5, [_HELD])[_HELD], UnknownMemberIdError)
    assert isinstance(commit_errors({}, "", 5, [_HELD])[_HELD], UnknownMemberIdError)
