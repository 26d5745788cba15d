"""The ids of a stream's events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.broker.consumers.stream_mark import (
    MAX_MARK_CHARACTERS,
    MarkRoom,
    Progress,
    StreamMark,
)
from kafkalite.model.ids import BrokerId, TopicPartition

_URL_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_offsets = st.integers(0, 2**62)
_progress = st.builds(
    lambda committed, more: Progress(committed, committed + more, "12345678"), _offsets, _offsets
)
_partitions = st.builds(
    TopicPartition, st.sampled_from(["t", "topic-2", "x" * 249]), st.integers(0, 2**31 - 1)
)


def _mark(progress: dict[TopicPartition, Progress]) -> StreamMark:
    return StreamMark(BrokerId(3), "stream-i", "m", 7, progress)


@settings(max_examples=50, derandomize=True)
@given(st.dictionaries(_partitions, _progress, max_size=5))
def test_an_id_says_what_was_put_into_it(progress: dict[TopicPartition, Progress]) -> None:
    mark = _mark(progress)
    text = mark.encode()
    assert StreamMark.decode(text) == mark
    assert set(text) <= _URL_SAFE


@settings(max_examples=200, derandomize=True)
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda data: data.hex()))
def test_anything_else_is_no_id(text: str) -> None:
    assert StreamMark.decode(text) is None


@pytest.mark.parametrize("cut", [1, 5, -1])
def test_a_part_of_an_id_is_none(cut: int) -> None:
    assert StreamMark.decode(_mark({TopicPartition("t", 0): Progress(1, 2)}).encode()[cut:]) is None


def test_a_committed_offset_beyond_all_is_no_id() -> None:
    far = _mark({TopicPartition("t", 0): Progress(2**63 - 1, 2**63 + 5)})
    assert StreamMark.decode(far.encode()) is None


def test_an_id_of_all_that_there_is_room_for_fits_into_a_header() -> None:
    room = MarkRoom(())
    wanted = [TopicPartition(f"{'x' * 240}{n}", 2**31 - 1) for n in range(1_000)]
    admitted = [partition for partition in wanted if room.admits(partition)]
    assert room.was_refused
    assert 10 < len(admitted) < 100
    progress = Progress(2**62, 2**62 + 2**61, "12345678")
    text = _mark(dict.fromkeys(admitted, progress)).encode()
    assert len(text) < 8_000 < MAX_MARK_CHARACTERS


def test_what_has_room_already_keeps_it() -> None:
    many = [TopicPartition("t", n) for n in range(1_000)]
    room = MarkRoom(many)
    assert room.admits(many[0])
    assert not room.admits(TopicPartition("t", 1_000))
