import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkalite.storage.time_index import TimeIndex


def _index(*entries: tuple[int, int]) -> TimeIndex:
    index = TimeIndex()
    for timestamp, offset in entries:
        index.append(timestamp, offset)
    return index


def test_entries_are_big_endian() -> None:
    assert _index((0x0102030405060708, 9)).encode().hex() == "010203040506070800000009"


def test_only_a_timestamp_that_grew_makes_an_entry() -> None:
    index = _index((5, 1), (5, 2), (4, 3), (6, 4))
    assert len(index) == 2
    assert index.last == (6, 4)


@pytest.mark.parametrize(("timestamp", "offset"), [(0, 0), (5, 0), (6, 1), (9, 1), (10, 4)])
def test_where_to_search_a_timestamp_from(timestamp: int, offset: int) -> None:
    assert _index((5, 1), (9, 4)).below(timestamp) == offset


def test_truncating_drops_entries_from_an_offset_on() -> None:
    index = _index((5, 1), (9, 4))
    index.truncate(4)
    assert index.last == (5, 1)
    index.truncate(0)
    assert index.last is None


@given(st.lists(st.tuples(st.integers(1, 2**40), st.integers(1, 2**20)), max_size=30))
def test_what_is_encoded_comes_back(steps: list[tuple[int, int]]) -> None:
    index, timestamp, offset = TimeIndex(), 0, 0
    for timestamp_step, offset_step in steps:
        timestamp, offset = timestamp + timestamp_step, offset + offset_step
        index.append(timestamp, offset)
    again = TimeIndex.decode(index.encode())
    assert again is not None
    assert again.encode() == index.encode()
    assert again.last == index.last


def test_entries_that_do_not_ascend_are_no_index() -> None:
    assert TimeIndex.decode(_index((5, 4)).encode() + _index((6, 3)).encode()) is None
    assert TimeIndex.decode(_index((5, 3)).encode() + _index((5, 4)).encode()) is None
