"""How long members are waited for."""

from dataclasses import replace

from kafkalite.groups.state import Member
from kafkalite.groups.timers import MemberTimers
from kafkalite.model.ids import TopicPartition

_SETTLED = Member("m", 1, session_timeout_ms=100, rebalance_timeout_ms=250)
_BUSY = replace(_SETTLED, held=frozenset({TopicPartition("t", 0)}))


def test_who_is_not_heard_of_is_given_up() -> None:
    timers = MemberTimers()
    timers.heard(_SETTLED, 0)
    assert timers.next_ms == 100
    assert timers.expired({"m": _SETTLED}, 99) == []
    assert timers.expired({"m": _SETTLED}, 100) == ["m"]


def test_who_is_heard_of_is_not_given_up() -> None:
    timers = MemberTimers()
    timers.heard(_SETTLED, 0)
    timers.heard(_SETTLED, 60)
    assert timers.next_ms == 100, "a moment too early is harmless"
    assert timers.expired({"m": _SETTLED}, 100) == []
    assert timers.next_ms == 160


def test_who_lets_go_of_nothing_is_given_up_though_it_lives() -> None:
    timers = MemberTimers()
    timers.heard(_BUSY, 0)
    timers.asked_to_release(_BUSY, 0)
    timers.heard(_BUSY, 200)
    timers.asked_to_release(_BUSY, 200)
    assert timers.expired({"m": _BUSY}, 249) == []
    assert timers.next_ms == 250
    assert timers.expired({"m": _BUSY}, 250) == ["m"]


def test_who_lets_go_of_some_has_its_time_anew_for_the_rest() -> None:
    timers = MemberTimers()
    timers.asked_to_release(_BUSY, 0)
    timers.has_released(_BUSY)
    timers.asked_to_release(_BUSY, 200)
    timers.heard(_BUSY, 400)
    assert timers.expired({"m": _BUSY}, 449) == []
    assert timers.expired({"m": _BUSY}, 450) == ["m"]


def test_nothing_is_waited_for_when_all_is_released_or_the_member_is_forgotten() -> None:
    timers = MemberTimers()
    timers.heard(_BUSY, 0)
    timers.asked_to_release(_BUSY, 0)
    timers.asked_to_release(_SETTLED, 10)
    timers.heard(_SETTLED, 1_000)
    assert timers.expired({"m": _SETTLED}, 1_001) == []
    timers.forget("m")
    assert timers.expired({}, 5_000) == []
    assert timers.next_ms is None


def test_only_newcomers_have_their_time_anew_when_a_state_is_read_again() -> None:
    timers = MemberTimers()
    timers.begin([_BUSY], 0)
    other = replace(_SETTLED, id="other")
    timers.begin([_BUSY, other], 80)
    timers.heard(_BUSY, 80)
    assert timers.expired({"m": _BUSY, "other": other}, 179) == []
    assert timers.expired({"m": _BUSY, "other": other}, 180) == ["m", "other"]
