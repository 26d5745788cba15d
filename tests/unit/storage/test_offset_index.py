import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkalite.storage.offset_index import OffsetIndex


def _index(*entries: tuple[int, int]) -> OffsetIndex:
    index = OffsetIndex()
    for offset, position in entries:
        index.append(offset, position)
    return index


_INDEX = _index((10, 100), (20, 250), (35, 400))


def test_entries_are_big_endian_pairs() -> None:
    assert _index((1, 2), (3, 0x01020304)).encode().hex() == "00000001000000020000000301020304"


@pytest.mark.parametrize(
    ("offset", "found"),
    [(0, (0, 0)), (9, (0, 0)), (10, (10, 100)), (34, (20, 250)), (99, (35, 400))],
)
def test_the_entry_at_or_below_an_offset(offset: int, found: tuple[int, int]) -> None:
    assert _INDEX.at_or_below(offset) == found


def test_the_last_entry_within_an_offset_and_a_position() -> None:
    assert _INDEX.last_within(35, 399) == (20, 250)
    assert _INDEX.last_within(34, 999) == (20, 250)
    assert _INDEX.last_within(35, 400) == (35, 400)
    assert _INDEX.last_within(9, 999) == (0, 0)


def test_the_entry_after_a_position() -> None:
    assert _INDEX.after(99) == (10, 100)
    assert _INDEX.after(100) == (20, 250)
    assert _INDEX.after(400) is None


def test_truncating_drops_entries_from_an_offset_on() -> None:
    index = _index((10, 100), (20, 250))
    index.truncate(20)
    assert index.last == (10, 100)
    index.truncate(0)
    assert index.last == (0, 0)


@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(1, 2**20)), max_size=30))
def test_what_is_encoded_comes_back(steps: list[tuple[int, int]]) -> None:
    index, offset, position = OffsetIndex(), 0, 0
    for offset_step, position_step in steps:
        offset, position = offset + offset_step, position + position_step
        index.append(offset, position)
    again = OffsetIndex.decode(index.encode(), position)
    assert again is not None
    assert again.encode() == index.encode()
    assert len(again) == len(steps)


@pytest.mark.parametrize("entries", [[(10, 100), (10, 200)], [(10, 200), (20, 100)], [(10, 501)]])
def test_entries_that_do_not_ascend_within_the_segment_are_no_index(
    entries: list[tuple[int, int]],
) -> None:
    assert OffsetIndex.decode(_index(*entries).encode(), 500) is None
