"""From what is held to what is to be held."""

import pytest

from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.reconciliation import away, released, with_grants, with_targets
from kafkalite.groups.state import AWAY_EPOCH, JOIN_EPOCH, Member
from kafkalite.model.ids import TopicPartition

_A, _B, _C = (TopicPartition("t", number) for number in range(3))
_KEEPS_A = Member("m", 5, held=frozenset({_A, _B, _C}), target=frozenset({_A}))


def test_what_is_reported_no_more_is_released() -> None:
    report = Heartbeat("m", 5, owned=frozenset({_A, _C}))
    assert released(_KEEPS_A, report, 5).held == {_A, _C}


def test_what_it_is_to_keep_is_not_released() -> None:
    assert released(_KEEPS_A, Heartbeat("m", 5, owned=frozenset()), 5).held == {_A}


def test_a_report_from_before_a_later_grant_tells_of_what_was_taken_before() -> None:
    report = Heartbeat("m", 4, owned=frozenset({_A}))
    assert released(_KEEPS_A, report, revoked_epoch=4).held == {_A}
    assert released(_KEEPS_A, report, revoked_epoch=5) is _KEEPS_A


@pytest.mark.parametrize(
    "report",
    [
        Heartbeat("m", 5, owned=None),
        Heartbeat("m", 4, owned=frozenset()),
        Heartbeat("m", JOIN_EPOCH, owned=frozenset()),
        Heartbeat("m", 5, owned=frozenset({_A, _B, _C})),
    ],
    ids=["says nothing", "has not been told", "joins", "still owns all"],
)
def test_nothing_is_released_by_other_reports(report: Heartbeat) -> None:
    assert released(_KEEPS_A, report, 5) is _KEEPS_A


def test_a_join_of_one_that_just_joined_releases_nothing() -> None:
    joining = Member("m", JOIN_EPOCH, held=frozenset({_A}))
    report = Heartbeat("m", JOIN_EPOCH, owned=frozenset())
    assert released(joining, report, JOIN_EPOCH) is joining


def test_who_goes_away_keeps_its_place_and_nothing_else() -> None:
    gone = away(_KEEPS_A)
    assert gone.epoch == AWAY_EPOCH
    assert gone.held == gone.target == {_A}


def test_new_targets_take_nothing_from_who_has_not_let_go() -> None:
    members = {
        "m": _KEEPS_A,
        "away": Member("away", AWAY_EPOCH, held=frozenset(), target=frozenset()),
    }
    targets = {"m": frozenset({_B}), "away": frozenset({_A})}
    changed = with_targets(members, targets)
    assert changed["m"].held == _KEEPS_A.held
    assert changed["m"].assignment == {_B}
    away_before = Member("away", AWAY_EPOCH, held=frozenset({_A}), target=frozenset({_A}))
    assert with_targets({"away": away_before}, {"away": frozenset()})["away"].held == frozenset()


def test_members_stay_the_same_objects_when_their_targets_do() -> None:
    assert with_targets({"m": _KEEPS_A}, {"m": frozenset({_A})})["m"] is _KEEPS_A
    assert with_grants({"m": _KEEPS_A})["m"] is _KEEPS_A


def test_only_what_nobody_holds_is_granted() -> None:
    waits = Member("w", 5, target=frozenset({_B, _C}))
    holds = Member("m", 5, held=frozenset({_A, _B}), target=frozenset({_A}))
    granted = with_grants({"w": waits, "m": holds})
    assert granted["w"].held == {_C}
    assert granted["m"] is holds
