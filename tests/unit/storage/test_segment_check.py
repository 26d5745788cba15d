"""Checking segments while their log goes on: what is found, what it leads to, what it ignores."""

import errno

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log import Log
from kafkalite.storage.segment_check import SegmentCheck
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import (
    LOG_PATH,
    MAX_BYTES,
    PARTITION,
    append,
    check,
    fill,
    flush,
    log_file,
    open_log,
    values,
)

_ONE_SEGMENT = LogOptions(segment_bytes=1 << 20, index_interval_bytes=1000)
"""Several batches lie between two entries of the index."""
_EPOCH_END = 15
"""Position, in a batch, of the last byte of its leader epoch, which no checksum covers."""
_HEADER_LENGTH = 9
"""Position, in a batch, of its length; the record's bytes are behind it."""


def _start(log: Log, offset: int = 0) -> SegmentCheck:
    found = log.next_check(offset)
    assert found is not None
    return found


def _run(segment: SegmentCheck) -> None:
    while segment.step(1):
        pass


def _names(disk: FaultyDisk) -> set[str]:
    return {entry.name for entry in disk.list_directory(LOG_PATH)}


def test_segments_are_checked_one_after_the_other_and_the_last_is_the_active_one() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 30)
    bases, offset = [], 0
    while (segment := log.next_check(offset)) is not None:
        bases.append((segment.segment.base_offset, segment.is_active))
        offset = segment.end_offset
    assert bases == [(0, False), (11, False), (22, True)]
    assert log.next_check(30) is None


def test_a_step_reads_no_more_than_it_may_but_one_batch() -> None:
    _, log = open_log(FaultyDisk(), _ONE_SEGMENT)
    fill(log, 10)
    size = log.size_bytes // 10
    segment = _start(log)
    positions = []
    while segment.step(2 * size):
        positions.append(segment.position)
    assert positions == [2 * size, 4 * size, 6 * size, 8 * size, 10 * size]
    assert segment.position == log.size_bytes
    assert segment.damaged == []


@pytest.mark.parametrize("within", [_HEADER_LENGTH, 100])
def test_damage_between_index_entries_costs_only_its_own_batches(within: int) -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _ONE_SEGMENT)
    kept = fill(log, 20)
    size = log.size_bytes // 20
    disk.flip_bit(log_file(0), size * 9 + within)
    assert check(log) == ((9, 10),)
    for first in range(10, 20):
        assert values(log, first) == kept[first:]
    assert log.read(8, MAX_BYTES, 20).next_offset == 9
    with pytest.raises(CorruptMessageError):
        log.read(9, MAX_BYTES, 20)


@pytest.mark.parametrize("within", [_HEADER_LENGTH, 100])
def test_inspecting_looks_around_one_offset_and_finds_the_same(within: int) -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _ONE_SEGMENT)
    kept = fill(log, 20)
    size = log.size_bytes // 20
    disk.flip_bit(log_file(0), size * 9 + within)
    log.inspect(19)
    assert not log.damaged
    log.inspect(9)
    assert [*log.damaged] == [(9, 10)]
    assert values(log, 10) == kept[10:]


@pytest.mark.parametrize("offset", [5, 6, 17, 29])
def test_inspecting_goes_on_where_more_than_one_index_interval_is_gone(offset: int) -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _ONE_SEGMENT)
    kept = fill(log, 40)
    size = log.size_bytes // 40
    data = bytearray(disk.content(log_file(0)))
    data[size * 5 : size * 30] = bytes(size * 25)
    disk.replace(log_file(0), bytes(data))
    log.inspect(offset)
    assert log.damaged == ((5, 30),)
    assert values(log, 30) == kept[30:]


def test_what_is_appended_meanwhile_is_none_of_the_checks_business() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _ONE_SEGMENT)
    fill(log, 10)
    disk.flip_bit(log_file(0), log.size_bytes - 1)
    segment = _start(log)
    assert segment.step(1)
    kept = fill(log, 10)
    _run(segment)
    log.checked(segment)
    assert log.damaged == ((9, 10),)
    assert values(log, 10) == kept
    append(log, b"more")
    assert values(log, 20) == [b"more"]


def test_outcome_counts_for_nothing_once_the_log_was_truncated() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _ONE_SEGMENT)
    fill(log, 10)
    disk.flip_bit(log_file(0), log.size_bytes // 2)
    segment = _start(log)
    log.truncate_to(3)
    kept = fill(log, 10)
    _run(segment)
    assert not log.is_current(segment)
    log.checked(segment)
    assert log.damaged == ()
    assert values(log, 3) == kept


def test_outcome_counts_for_nothing_once_the_segment_is_deleted() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 30)
    segment = _start(log)
    assert segment.step(1)
    log.apply_retention(10**9, 30)
    _run(segment)  # its file is its own
    assert not log.is_current(segment)
    assert disk.open_descriptors() <= 3


def test_disk_that_fails_ends_the_check_and_leaves_the_log_as_it_was() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 5)
    segment = _start(log)
    disk.fail_next("pread", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        segment.step(1)
    assert log.damaged == ()
    assert values(log) == kept


def test_new_damage_is_told_once_and_noted_until_it_is_healed() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    told: list[TopicPartition] = []
    directories.on_damage(told.append)
    fill(log, 10)
    flush(log)
    disk.flip_bit(log_file(0), log.size_bytes // 2)
    check(log)
    check(log)
    assert told == [PARTITION]
    assert "damaged-ranges" in _names(disk)
    log.truncate_to(log.damaged[0].start)
    assert log.damaged == ()
    assert "damaged-ranges" not in _names(disk)
    assert told == [PARTITION]


def test_damage_counts_where_a_full_disk_does_not_let_it_be_noted() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 10)
    flush(log)
    disk.flip_bit(log_file(0), log.size_bytes // 2)
    disk.fail_next("writev", errno.ENOSPC)
    assert check(log) == ((5, 6),)
    assert "damaged-ranges" not in _names(disk)


def test_closed_segments_are_read_from_the_disk_and_the_active_one_stays_cached() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 12)
    for offset, is_active in ((0, False), (11, True)):
        segment = _start(log, offset)
        disk.fail_next("drop_cached", errno.EIO)
        if is_active:
            segment.step(1)
        else:
            with pytest.raises(OSError, match="Input/output"):
                segment.step(1)


@pytest.mark.parametrize(
    ("position_of", "bit"), [("first", 1), ("second", 2), ("last", 0)], ids=str
)
def test_an_altered_epoch_is_found_wherever_in_its_segment_the_batch_is(
    position_of: str, bit: int
) -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 30, epoch=6)  # 0b110: a bit makes it 4, 2 or 7
    begin = 11
    data = disk.content(log_file(begin))
    size = len(data) // 11
    batch = {"first": 0, "second": 1, "last": 10}[position_of]
    disk.flip_bit(log_file(begin), batch * size + _EPOCH_END, bit)
    assert check(log) == ((begin + batch, begin + batch + 1),)


def test_an_altered_epoch_is_found_by_looking_at_its_offset() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _ONE_SEGMENT)
    fill(log, 20, epoch=1)
    disk.flip_bit(log_file(0), log.size_bytes // 20 * 19 + _EPOCH_END, 1)
    log.inspect(19)
    assert log.damaged == ((19, 20),)
