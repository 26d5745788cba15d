"""The group's machine: what the scenarios do not tell; see test_scenarios."""

from dataclasses import replace

import pytest

from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.machine import GroupMachine
from kafkalite.groups.state import AWAY_EPOCH, JOIN_EPOCH, LEAVE_EPOCH, GroupPhase, GroupState
from kafkalite.model.errors import (
    FencedMemberEpochError,
    GroupMaxSizeReachedError,
    InvalidRequestError,
    UnknownMemberIdError,
    UnsupportedAssignorError,
)
from kafkalite.model.ids import TopicPartition
from tests.support.coordinated_group import Topics

_JOIN = Heartbeat("m", JOIN_EPOCH, topics=("t",))


def _machine(limits: GroupLimits | None = None) -> GroupMachine:
    return GroupMachine(GroupState(), Topics({"t": 2}), limits or GroupLimits(), 0)


def _store(machine: GroupMachine, now_ms: int = 0) -> None:
    state = machine.state_to_store()
    assert state is not None
    machine.stored(state.version + 1, now_ms)


def test_phases_go_from_empty_to_stable_and_back() -> None:
    machine = _machine()

    def phase() -> GroupPhase:
        return machine.phase

    assert phase() is GroupPhase.EMPTY
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    assert phase() is GroupPhase.STABLE
    machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    assert phase() is GroupPhase.ASSIGNING
    machine.state_to_store()
    assert phase() is GroupPhase.ASSIGNING
    machine.stored(1, 0)
    assert phase() is GroupPhase.RECONCILING
    machine.heartbeat(Heartbeat("m", 2, owned=frozenset({TopicPartition("t", 0)})), 0)
    _store(machine)
    assert phase() is GroupPhase.STABLE
    for member in ("m", "n"):
        machine.heartbeat(Heartbeat(member, LEAVE_EPOCH), 0)
    _store(machine)
    assert phase() is GroupPhase.EMPTY


def test_a_heartbeat_that_says_nothing_new_waits_for_nothing() -> None:
    machine = _machine()
    assert machine.heartbeat(_JOIN, 0), "the one that joins does"
    _store(machine)
    assert not machine.heartbeat(Heartbeat("m", 1, topics=("t",)), 0)
    assert machine.state_to_store() is None
    assert machine.answer(Heartbeat("m", 1)).member_epoch == 1


def test_changes_of_one_turn_are_one_state() -> None:
    machine = _machine()
    for number in range(5):
        machine.heartbeat(replace(_JOIN, member_id=f"m{number}"), 0)
    _store(machine)
    assert machine.stored_state.epoch == 1
    assert machine.state_to_store() is None


def test_one_state_is_in_flight_at_a_time() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    assert machine.state_to_store() is not None
    machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    assert machine.state_to_store() is None
    machine.stored(0, 0)
    assert machine.state_to_store() is not None


def test_nobody_is_answered_what_is_not_stored() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    machine.state_to_store()
    with pytest.raises(UnknownMemberIdError):
        machine.answer(_JOIN)
    machine.stored(0, 0)
    assert len(machine.answer(_JOIN).assignment) == 2


def test_those_whose_answers_change_have_news() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    assert machine.changed_members() == set()
    machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    assert not machine.has_news(Heartbeat("m", 1))
    _store(machine)
    assert machine.changed_members() == {"m"}
    assert machine.changed_members() == set()
    assert machine.has_news(Heartbeat("m", 1))
    assert not machine.has_news(Heartbeat("m", 2))
    machine.heartbeat(Heartbeat("m", LEAVE_EPOCH), 0)
    _store(machine)
    assert machine.changed_members() == {"m", "n"}
    assert machine.has_news(Heartbeat("m", 2)), "it is no member any more"


def test_members_whose_share_stays_have_no_news_of_a_rebalance() -> None:
    machine = GroupMachine(GroupState(), Topics({"t": 2, "u": 2}), GroupLimits(), 0)
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    machine.heartbeat(replace(_JOIN, member_id="n", topics=("u",)), 0)
    _store(machine)
    assert not machine.has_news(Heartbeat("m", 1))
    assert machine.check_commit("m", 1, [TopicPartition("t", 0)]) == {TopicPartition("t", 0): None}


def test_who_leaves_is_told_so_once_it_is_stored() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    request = Heartbeat("m", LEAVE_EPOCH)
    assert machine.heartbeat(request, 0)
    _store(machine, now_ms=7)
    answer = machine.answer(request)
    assert (answer.member_epoch, answer.assignment) == (LEAVE_EPOCH, frozenset())
    assert machine.is_empty
    assert machine.empty_since_ms == 7
    with pytest.raises(UnknownMemberIdError):
        machine.heartbeat(request, 0)


def test_who_is_refused_has_changed_nothing() -> None:
    machine = _machine(GroupLimits(max_members=1))
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    with pytest.raises(GroupMaxSizeReachedError):
        machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    with pytest.raises(InvalidRequestError):
        machine.heartbeat(replace(_JOIN, pattern="("), 0)
    with pytest.raises(UnsupportedAssignorError):
        machine.heartbeat(replace(_JOIN, assignor="greedy"), 0)
    with pytest.raises(FencedMemberEpochError):
        machine.heartbeat(Heartbeat("m", 2, topics=("u",)), 0)
    assert machine.state_to_store() is None


def test_a_refused_heartbeat_is_no_sign_of_life() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    with pytest.raises(FencedMemberEpochError):
        machine.heartbeat(Heartbeat("m", 9), 44_000)
    machine.tick(45_000)
    _store(machine)
    assert machine.is_empty


def test_the_next_tick_is_when_the_first_member_may_be_dead() -> None:
    machine = _machine()
    assert machine.next_tick_ms is None
    machine.heartbeat(_JOIN, 0)
    assert machine.next_tick_ms == 45_000
    machine.heartbeat(replace(_JOIN, member_id="n", session_timeout_ms=6_000), 0)
    assert machine.next_tick_ms == 6_000


def test_who_lets_go_one_by_one_is_not_given_up() -> None:
    machine = GroupMachine(GroupState(), Topics({"t": 6}), GroupLimits(), 0)
    machine.heartbeat(replace(_JOIN, rebalance_timeout_ms=10_000), 0)
    _store(machine)
    machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    _store(machine)
    owned = machine.stored_state.members["m"].held
    for now_ms, partition in zip((9_000, 18_000), sorted(owned)[-2:], strict=True):
        owned -= {partition}
        machine.heartbeat(Heartbeat("m", 2, owned=owned), now_ms)
        machine.tick(now_ms)
        _store(machine, now_ms)
    assert set(machine.stored_state.members) == {"m", "n"}
    machine.tick(28_000)
    _store(machine, 28_000)
    assert set(machine.stored_state.members) == {"n"}, "one is left, and it keeps it"


def test_a_grant_meanwhile_does_not_void_a_report() -> None:
    """m lets go of one partition while it is granted another one, which it has not heard of."""
    topics = Topics({"t": 2})
    machine = GroupMachine(GroupState(), topics, GroupLimits(), 0)
    machine.heartbeat(replace(_JOIN, topics=("t", "u")), 0)
    _store(machine)
    machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    _store(machine)
    (stays,) = machine.answer(Heartbeat("m", 2)).assignment
    topics.counts["u"] = 1
    machine.topics_changed(["u"])
    _store(machine)
    assert machine.stored_state.members["m"].epoch == 3
    machine.heartbeat(Heartbeat("m", 2, owned=frozenset({stays})), 0)
    _store(machine)
    assert not machine.stored_state.members["m"].to_release


def test_what_is_taken_in_a_second_attempt_to_store_is_taken_all_the_same() -> None:
    """The first attempt would have granted something, and did not take anything away."""
    topics = Topics({"t": 1})
    machine = GroupMachine(GroupState(), topics, GroupLimits(), 0)
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    topics.counts["t"] = 2
    machine.topics_changed(["t"])
    _store(machine)
    topics.counts["t"] = 3
    machine.topics_changed(["t"])
    assert machine.state_to_store() is not None
    machine.not_stored()
    topics.counts["t"] = 1
    machine.topics_changed(["t"])
    _store(machine)
    machine.heartbeat(Heartbeat("m", 2, owned=frozenset({TopicPartition("t", 0)})), 0)
    assert machine.state_to_store() is None, "nothing is released"


def test_who_takes_a_place_may_want_something_else() -> None:
    machine = GroupMachine(GroupState(), Topics({"t": 1, "u": 1}), GroupLimits(), 0)
    machine.heartbeat(replace(_JOIN, instance_id="i"), 0)
    _store(machine)
    machine.heartbeat(replace(_JOIN, member_id="n", instance_id="i", topics=("u",)), 0)
    _store(machine)
    assert machine.stored_state.members["n"].held == {TopicPartition("u", 0)}


def test_a_new_coordinator_gives_everybody_its_whole_time() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    successor = GroupMachine(machine.stored_state, Topics({"t": 2}), GroupLimits(), 40_000)
    assert successor.next_tick_ms == 85_000
    assert successor.state_to_store() is None, "there is nothing to decide"


def test_a_new_coordinator_decides_anew_when_topics_have_changed_meanwhile() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    successor = GroupMachine(machine.stored_state, Topics({"t": 3}), GroupLimits(), 0)
    state = successor.state_to_store()
    assert state is not None
    assert len(state.members["m"].held) == 3
    assert successor.subscribed_topics == {"t": 2}
    successor.stored(1, 0)
    assert successor.subscribed_topics == {"t": 3}


def test_what_was_not_stored_is_void_when_somebody_else_stored_something() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    machine.heartbeat(replace(_JOIN, member_id="n"), 0)
    machine.state_to_store()
    machine.superseded(None, 9)
    assert machine.is_empty
    assert machine.empty_since_ms == 9
    assert machine.changed_members() == {"m"}
    assert machine.state_to_store() is None
    assert machine.next_tick_ms is None


def test_what_was_not_stored_is_to_be_stored_again() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    assert machine.state_to_store() is not None
    machine.not_stored()
    state = machine.state_to_store()
    assert state is not None
    assert (state.epoch, state.members["m"].epoch) == (1, 1)


def test_a_state_is_confirmed_once() -> None:
    with pytest.raises(AssertionError):
        _machine().stored(0, 0)


def test_a_join_and_a_leave_in_one_turn_are_nothing() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    machine.heartbeat(Heartbeat("m", LEAVE_EPOCH), 0)
    assert machine.state_to_store() is None


def test_who_is_away_is_not_answered_as_if_it_were_there() -> None:
    machine = _machine()
    machine.heartbeat(replace(_JOIN, instance_id="i"), 0)
    _store(machine)
    machine.heartbeat(Heartbeat("m", AWAY_EPOCH, instance_id="i"), 0)
    _store(machine)
    with pytest.raises(UnknownMemberIdError):
        machine.answer(Heartbeat("m", 1))


def test_who_waits_while_its_member_joins_anew_is_fenced() -> None:
    machine = _machine()
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    waiting = Heartbeat("m", 1, topics=("t", "u"))
    assert machine.heartbeat(waiting, 0)
    machine.heartbeat(_JOIN, 0)
    _store(machine)
    with pytest.raises(FencedMemberEpochError):
        machine.answer(waiting)
    assert machine.answer(_JOIN).member_epoch == 2


def test_a_description_shows_what_is_stored() -> None:
    machine = _machine()
    assert machine.describe().assignor == ""
    machine.heartbeat(replace(_JOIN, member_id="n", assignor="range"), 0)
    machine.heartbeat(replace(_JOIN, assignor="range"), 0)
    assert machine.describe().members == ()
    _store(machine)
    description = machine.describe()
    assert (description.phase, description.epoch) == (GroupPhase.STABLE, 1)
    assert description.assignor == "range"
    assert [member.id for member in description.members] == ["m", "n"]
