"""Ids of events of tails."""

import pytest

from kafkalite.broker.tails.mark import MAX_MARK_CHARACTERS, MAX_PARTITIONS, TailMark


@pytest.mark.parametrize(
    "offsets",
    [{0: 5}, {3: 1, 4: 2**62, 5: 0}, {0: 1, 7: 9}, {2: 3, 1: 4, 0: 5}, {}],
)
def test_an_id_says_where_each_partition_goes_on(offsets: dict[int, int]) -> None:
    text = TailMark("abcdefghij", offsets).encode()
    assert text.isascii()
    assert set(text).isdisjoint("=+/\r\n")
    assert TailMark.decode(text) == TailMark("abcdefgh", offsets)


def test_an_id_of_as_many_partitions_as_may_be_fits_a_header() -> None:
    offsets = {2 * number: 2**62 + number for number in range(MAX_PARTITIONS)}
    mark = TailMark("abcdefgh", offsets)
    assert len(mark.encode()) <= MAX_MARK_CHARACTERS
    assert TailMark.decode(mark.encode()) == mark


def test_a_place_in_one_topic_is_none_in_another() -> None:
    mark = TailMark.decode(TailMark("abcdefghij", {0: 1}).encode())
    assert mark is not None
    assert mark.is_of("abcdefghij")
    assert not mark.is_of("abcdefgx")


@pytest.mark.parametrize(
    "text", ["", "x", "é", "AAAA", "lAGhYQCRww", "A" * (MAX_MARK_CHARACTERS + 1)]
)
def test_anything_else_is_no_id(text: str) -> None:
    assert TailMark.decode(text) is None
