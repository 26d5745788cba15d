"""Produce requests in work are bounded, and every way out gives the place back."""

from collections.abc import Callable

import pytest

from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.model.errors import ThrottlingQuotaExceededError


def test_one_request_too_many_is_told_to_come_back() -> None:
    slots = ProduceSlots(1)
    with slots, pytest.raises(ThrottlingQuotaExceededError), slots:
        pass
    with slots:
        pass


def test_slot_that_was_taken_is_free_again_when_it_is_given_back() -> None:
    slots = ProduceSlots(1)
    assert slots.try_take()
    assert not slots.try_take()
    slots.give_back()
    assert slots.try_take()


def test_request_that_fails_gives_its_place_back() -> None:
    slots = ProduceSlots(1)
    with pytest.raises(RuntimeError, match="a bug"), slots:
        raise RuntimeError("a bug")
    with slots:
        pass


def test_slot_of_work_without_a_task_is_given_back_before_its_outcome_is_told() -> None:
    slots = ProduceSlots(1)
    ends: list[Callable[[str], None]] = []
    told: list[tuple[str, bool]] = []

    def begin(*, then: Callable[[str], None]) -> bool:
        ends.append(then)
        return True

    assert slots.begin(begin, lambda outcome: told.append((outcome, slots.try_take())))
    assert not slots.begin(begin, lambda outcome: told.append((outcome, False)))
    assert not told
    ends[0]("done")
    assert told == [("done", True)]
    assert len(ends) == 1


def test_slot_of_work_that_does_not_begin_is_free_again() -> None:
    slots = ProduceSlots(1)

    def fail(*, then: Callable[[str], None]) -> bool:
        raise RuntimeError(f"a bug before {then}")

    assert not slots.begin(lambda then: not then, print)
    with pytest.raises(RuntimeError, match="a bug"):
        slots.begin(fail, print)
    assert slots.try_take()
