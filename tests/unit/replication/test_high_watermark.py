"""Tests for kafkalite.replication.high_watermark."""

from kafkalite.replication.high_watermark import advance


def test_leader_alone_decides_when_nobody_follows() -> None:
    assert advance(3, 7) == 7


def test_slowest_member_decides() -> None:
    assert advance(3, 7, [9, 5]) == 5
    assert advance(3, 4, [9, 5]) == 4


def test_it_never_goes_back() -> None:
    assert advance(6, 5) == 6
    assert advance(6, 9, [2]) == 6
