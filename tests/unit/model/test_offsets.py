"""Tests for kafkalite.model.offsets."""

from kafkalite.model.offsets import OffsetRange


def test_range_holds_its_start_and_not_its_end() -> None:
    offsets = OffsetRange(3, 5)
    assert [offset in offsets for offset in (2, 3, 4, 5)] == [False, True, True, False]
    not_an_offset: object = "3"
    assert not_an_offset not in offsets


def test_range_prints_as_half_open() -> None:
    assert str(OffsetRange(3, 5)) == "[3, 5)"
