"""Produce requests in work are bounded, and every way out gives the place back."""

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
