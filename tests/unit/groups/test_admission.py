"""What a member may say of itself, and how many there may be."""

from dataclasses import replace
from typing import Any

import pytest

from kafkalite.groups.admission import check_room, check_shape, described, new_member
from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.state import AWAY_EPOCH, JOIN_EPOCH, LEAVE_EPOCH, Member
from kafkalite.model.errors import (
    GroupMaxSizeReachedError,
    InvalidRequestError,
    InvalidSessionTimeoutError,
    InvalidTopicError,
    LogError,
    UnsupportedAssignorError,
)
from kafkalite.model.ids import TopicPartition

_LIMITS = GroupLimits(max_members=3, max_topics=2, max_pattern_length=10, max_text_length=20)
_ASSIGNORS = {"sticky", "range"}
_JOIN = Heartbeat("m", JOIN_EPOCH, topics=("a",))


@pytest.mark.parametrize(
    "request_",
    [
        Heartbeat("", JOIN_EPOCH),
        Heartbeat("m", -3),
        Heartbeat("m", AWAY_EPOCH),
        Heartbeat("m", JOIN_EPOCH, owned=frozenset({TopicPartition("a", 0)})),
    ],
    ids=["no id", "no such epoch", "away without an instance", "owns and joins"],
)
def test_contradictions_are_refused(request_: Heartbeat) -> None:
    with pytest.raises(InvalidRequestError):
        check_shape(request_)


@pytest.mark.parametrize(
    "request_",
    [
        Heartbeat("m", JOIN_EPOCH, owned=frozenset()),
        Heartbeat("m", LEAVE_EPOCH),
        Heartbeat("m", AWAY_EPOCH, instance_id="i"),
        Heartbeat("m", 7),
    ],
)
def test_what_makes_sense_is_not_refused(request_: Heartbeat) -> None:
    check_shape(request_)


def test_who_says_nothing_gets_the_defaults() -> None:
    member = new_member(_JOIN, _LIMITS, _ASSIGNORS)
    assert member == Member("m", JOIN_EPOCH, topics=("a",), assignor="sticky")


def test_who_joins_has_to_say_what_it_subscribes_to() -> None:
    with pytest.raises(InvalidRequestError, match="subscribes"):
        new_member(replace(_JOIN, topics=None), _LIMITS, _ASSIGNORS)
    assert new_member(replace(_JOIN, topics=()), _LIMITS, _ASSIGNORS).topics == ()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"topics": ("a", "b", "c")}, InvalidRequestError),
        ({"topics": ("a b",)}, InvalidTopicError),
        ({"pattern": "a" * 11}, InvalidRequestError),
        ({"pattern": "("}, InvalidRequestError),
        ({"assignor": "greedy"}, UnsupportedAssignorError),
        ({"session_timeout_ms": 5_999}, InvalidSessionTimeoutError),
        ({"session_timeout_ms": 1_800_001}, InvalidSessionTimeoutError),
        ({"rebalance_timeout_ms": 0}, InvalidRequestError),
        ({"rebalance_timeout_ms": 3_600_001}, InvalidRequestError),
        ({"member_id": "x" * 21}, InvalidRequestError),
        ({"instance_id": "x" * 21}, InvalidRequestError),
        ({"instance_id": ""}, InvalidRequestError),
        ({"client_id": "x" * 21}, InvalidRequestError),
        ({"host": "x" * 21}, InvalidRequestError),
        ({"rack": "x" * 21}, InvalidRequestError),
        ({"client_id": "\ud800"}, InvalidRequestError),
        ({"host": "a\nb"}, InvalidRequestError),
    ],
)
def test_what_is_out_of_bounds_is_refused(said: dict[str, Any], error: type[LogError]) -> None:
    with pytest.raises(error):
        new_member(replace(_JOIN, **said), _LIMITS, _ASSIGNORS)


def test_a_member_stays_the_same_object_when_nothing_is_new() -> None:
    member = Member("m", 3, topics=("a",), pattern="b", client_id="c", host="h")
    for request in (
        Heartbeat("m", 3),
        Heartbeat("m", 3, topics=("a",), pattern="b"),
        Heartbeat("m", 3, client_id="other", host="other"),
    ):
        assert described(member, request, _LIMITS, _ASSIGNORS) is member


def test_where_a_member_calls_from_is_noted_when_it_joins() -> None:
    member = Member("m", 3, assignor="range", host="h")
    request = Heartbeat("m", JOIN_EPOCH, client_id="c", host="g")
    assert described(member, request, _LIMITS, _ASSIGNORS) == replace(
        member, client_id="c", host="g"
    )


def test_an_empty_pattern_is_none() -> None:
    member = Member("m", 3, assignor="range", pattern="b")
    changed = described(member, Heartbeat("m", 3, pattern=""), _LIMITS, _ASSIGNORS)
    assert changed.pattern is None
    assert described(changed, Heartbeat("m", 3, pattern=""), _LIMITS, _ASSIGNORS) is changed


def test_a_group_is_full_when_it_has_its_members_or_its_bytes() -> None:
    members = {name: Member(name, 1) for name in "abcd"}
    with pytest.raises(GroupMaxSizeReachedError, match="3 members"):
        check_room(members, {}, _LIMITS)
    del members["d"]
    check_room(members, {"t": 1_000}, _LIMITS)
    with pytest.raises(GroupMaxSizeReachedError, match="bytes"):
        check_room(members, {"t": 1_000}, replace(_LIMITS, max_state_bytes=10_000))
    wordy = {name: replace(member, host="x" * 5_000) for name, member in members.items()}
    with pytest.raises(GroupMaxSizeReachedError, match="bytes"):
        check_room(wordy, {}, replace(_LIMITS, max_state_bytes=10_000))
