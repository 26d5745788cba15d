"""The log: appending, reading, flushing, rolling, truncating, deleting."""

import dataclasses
import errno

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import (
    CorruptMessageError,
    FencedLeaderEpochError,
    KafkaStorageError,
    OffsetOutOfRangeError,
    RecordListTooLargeError,
)
from kafkalite.storage.log import Log
from kafkalite.wire.batch import read_header
from kafkalite.wire.records import decode_batches
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import (
    LOG_PATH,
    MAX_BYTES,
    OPTIONS,
    append,
    batch,
    check,
    fill,
    flush,
    log_file,
    open_log,
    segment_names,
    values,
)

_LARGE = LogOptions(segment_bytes=1 << 20, segment_ms=10**6, index_interval_bytes=1)


def _let_go_of_large_indexes(log: Log) -> list[bytes]:
    """What the bound on open files does to a log that is idle for a while; gives its values."""
    kept = fill(log, 1100, size=1)
    active = log._segments.active
    active.release()
    assert active._indexes is None, "they are not large enough"
    return kept


# -- appending -------------------------------------------------------------------------------------


def test_offsets_are_dense_and_batches_carry_offset_and_epoch() -> None:
    _, log = open_log(FaultyDisk())
    assert append(log, b"a", b"b") == 0
    assert append(log, b"c", epoch=7) == 2
    assert log.end_offset == 3
    second = read_header(log.read(2, MAX_BYTES, 3).read())
    assert (second.base_offset, second.leader_epoch) == (2, 7)
    assert log.leader_epoch == 7


def test_several_batches_of_one_append_stay_together() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 12)
    parts = [batch(b"a" * 100, b"b"), batch(b"c"), batch(b"d" * 300)]
    base = log.append(b"".join(part for part, _ in parts), [header for _, header in parts], 0)
    assert base == 12
    assert values(log, 12) == [b"a" * 100, b"b", b"c", b"d" * 300]


def test_more_batches_than_one_system_call_takes() -> None:
    _, log = open_log(FaultyDisk(), LogOptions())
    data, header = batch(b"v")
    log.append(data * 1500, [header] * 1500, 0)
    assert len(values(log)) == log.end_offset == 1500


def test_an_older_epoch_may_not_append() -> None:
    _, log = open_log(FaultyDisk())
    append(log, b"a", epoch=5)
    with pytest.raises(FencedLeaderEpochError):
        append(log, b"b", epoch=4)


def test_batches_larger_than_a_segment_are_refused() -> None:
    _, log = open_log(FaultyDisk())
    with pytest.raises(RecordListTooLargeError, match=r"segment\.bytes"):
        append(log, b"x" * 2000)
    assert log.end_offset == 0


@pytest.mark.parametrize("operation", ["room", "short"])
def test_a_full_disk_takes_nothing_and_heals(operation: str) -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 3)
    disk.room, disk.short_writes = 70, operation == "short"
    with pytest.raises(KafkaStorageError, match="/logs is full") as raised:
        append(log, b"x" * 500)
    assert raised.value.retriable
    disk.room, disk.short_writes = None, False
    assert len(disk.content(log_file(0))) == log.size_bytes
    assert log.failure is None
    append(log, b"again")
    assert values(log) == [*kept, b"again"]


def test_a_full_disk_refuses_a_new_segment_and_heals() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 10)
    disk.fail_next("open", errno.ENOSPC)
    with pytest.raises(KafkaStorageError, match="is full"):
        append(log, b"x" * 500)
    append(log, b"y" * 500)
    assert values(log) == [*kept, b"y" * 500]
    assert len(segment_names(disk)) == 2


def test_too_many_open_files_pass_too() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    disk.fail_next("open", errno.EMFILE)
    with pytest.raises(KafkaStorageError, match="limits"):
        append(log, b"a")
    assert append(log, b"a") == 0


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("operation", ["open", "pread"])
def test_an_index_that_cannot_be_read_refuses_the_append_before_it_is_written(
    operation: str, error: int
) -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _LARGE)
    kept = _let_go_of_large_indexes(log)
    size = len(disk.content(log_file(0)))
    disk.fail_next(operation, error)
    with pytest.raises(KafkaStorageError):
        append(log, b"refused")
    assert len(disk.content(log_file(0))) == size == log.size_bytes
    assert values(log) == kept
    if error == errno.EMFILE:
        assert append(log, b"taken") == len(kept)
        assert values(log) == [*kept, b"taken"]


def test_indexes_that_could_not_be_made_anew_leave_the_segment_as_it_was() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _LARGE)
    kept = _let_go_of_large_indexes(log)
    for suffix in (".index", ".timeindex"):
        disk.unlink(log_file(0).with_suffix(suffix))
    size = log.size_bytes
    newest = log._segments.active.max_timestamp
    disk.fail_next("pread", errno.EMFILE)
    with pytest.raises(KafkaStorageError, match="limits"):
        append(log, b"refused")
    assert (log.size_bytes, log._segments.active.max_timestamp) == (size, newest)
    assert append(log, b"taken") == len(kept)
    assert values(log) == [*kept, b"taken"]


def test_a_roll_that_cannot_read_the_indexes_rolls_nothing() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, _LARGE)
    kept = _let_go_of_large_indexes(log)
    disk.fail_next("pread", errno.EMFILE)
    with pytest.raises(KafkaStorageError, match="limits"):
        log.apply_retention(10**12, log.end_offset)
    assert segment_names(disk) == [log_file(0).name]
    assert values(log) == kept
    assert log.apply_retention(10**12, log.end_offset) == 1
    assert append(log, b"taken") == len(kept)
    assert values(log) == [b"taken"]


def test_a_short_write_without_an_error_is_completed() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    disk.short_writes = True
    kept = fill(log, 3)
    assert values(log) == kept


def test_a_failed_write_takes_the_directory_out_of_use_but_not_its_records() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    kept = fill(log, 3)
    disk.fail_next("writev", errno.EIO)
    with pytest.raises(KafkaStorageError, match=r"/logs failed: Input/output error"):
        append(log, b"x")
    with pytest.raises(KafkaStorageError, match="started again"):
        append(log, b"x")
    assert values(log) == kept
    assert not list(directories)


def test_torn_bytes_that_cannot_be_cut_back_end_the_appends() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    append(log, b"a")
    disk.room = 10
    disk.fail_next("truncate", errno.EIO)
    with pytest.raises(KafkaStorageError, match="started again"):
        append(log, b"b")
    assert log.failure is not None


# -- rolling ---------------------------------------------------------------------------------------


def test_a_segment_rolls_by_size() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 30)
    assert len(segment_names(disk)) == 3
    assert all(len(disk.content(LOG_PATH / name)) <= 2000 for name in segment_names(disk))
    assert values(log) == kept


def test_a_segment_rolls_by_the_time_of_its_first_record() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, dataclasses.replace(OPTIONS, segment_ms=100))
    append(log, b"a", timestamp=1000)
    append(log, b"b", timestamp=1100)
    append(log, b"older than the first", timestamp=10)
    assert len(segment_names(disk)) == 1
    append(log, b"c", timestamp=1101)
    assert len(segment_names(disk)) == 2
    append(log, b"d", timestamp=1201)
    assert len(segment_names(disk)) == 2


def test_a_segment_rolls_by_time_as_before_when_it_was_opened_again() -> None:
    disk = FaultyDisk()
    options = dataclasses.replace(OPTIONS, segment_ms=100, index_interval_bytes=1)
    directories, log = open_log(disk, options)
    for timestamp in (1000, 1040, 1080):
        append(log, b"a", timestamp=timestamp)
    directories.close()
    _, log = open_log(disk, options)
    append(log, b"b", timestamp=1100)
    assert len(segment_names(disk)) == 1
    append(log, b"c", timestamp=1101)
    assert len(segment_names(disk)) == 2


def test_a_segment_rolls_by_the_newest_record_when_several_batches_come_together() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, dataclasses.replace(OPTIONS, segment_ms=100))
    append(log, b"a", timestamp=1000)
    (new, new_header), (old, old_header) = batch(b"b", timestamp=1101), batch(b"c", timestamp=1000)
    log.append(new + old, [new_header, old_header], 0)
    assert len(segment_names(disk)) == 2


def test_a_segment_rolls_when_its_index_is_full() -> None:
    options = LogOptions(segment_index_bytes=36, index_interval_bytes=100)
    disk = FaultyDisk()
    _, log = open_log(disk, options)
    fill(log, 6)
    assert len(segment_names(disk)) == 2


def test_a_segment_rolls_before_its_relative_offsets_overflow() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    data, header = batch(b"a")
    for _ in range(2):
        log.append(data, [header._replace(last_offset_delta=2**31 - 2)], 0)
    assert len(segment_names(disk)) == 2


# -- flushing --------------------------------------------------------------------------------------


def test_a_flush_covers_what_was_appended_when_it_was_asked_for() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 3)
    job = log.flush_job()
    assert job is not None
    fill(log, 2)
    job.run()
    log.flushed(job, None)
    assert (log.durable_end_offset, log.end_offset) == (3, 5)
    assert log.records_since_flush == 2
    flush(log)
    assert log.flush_job() is None
    assert log.records_since_flush == 0


def test_a_flush_across_a_roll_syncs_both_segments_their_snapshot_and_directory() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 15)
    disk.syncs.clear()
    flush(log)
    # The producers' snapshot, too: once the first segment is gone, nothing else tells of them.
    assert sorted(disk.syncs) == sorted([*segment_names(disk), *segment_names(disk, ".snapshot")])
    assert len(segment_names(disk.after_crash(0))) == 2


def test_after_a_failed_flush_nothing_is_durable_any_more() -> None:
    """The pages that a failed fsync was about are gone, and the next fsync says nothing of them."""
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 2)
    flush(log)
    fill(log, 2)
    job = log.flush_job()
    assert job is not None
    disk.fail_next("sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output") as raised:
        job.run()
    log.flushed(job, raised.value)
    assert log.durable_end_offset == 2
    assert log.flush_job() is None
    with pytest.raises(KafkaStorageError):
        append(log, b"x")
    _, log = open_log(disk.after_kill())
    assert log.end_offset == 2


def test_a_flush_that_a_truncation_overtook_makes_nothing_durable() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 4)
    job = log.flush_job()
    assert job is not None
    log.truncate_to(1)
    fill(log, 5)
    job.run()
    log.flushed(job, None)
    assert log.durable_end_offset == 0
    flush(log)
    assert log.durable_end_offset == 6


def test_a_segment_deleted_before_its_flush_needs_none() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 15)
    job = log.flush_job()
    assert job is not None
    for name in segment_names(disk):
        disk.unlink(LOG_PATH / name)
    log.close()
    job.run()


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_bytes", [1, 180, 500, MAX_BYTES])
def test_reads_of_any_size_from_any_offset_give_whole_batches(max_bytes: int) -> None:
    _, log = open_log(FaultyDisk())
    kept: list[bytes] = []
    while log.end_offset < 60:
        pair = [b"%d" % log.end_offset + b"x" * 50, b"%d" % (log.end_offset + 1)]
        append(log, *pair)
        kept += pair
    for offset in range(60):
        read = log.read(offset, max_bytes, 60)
        records = list(decode_batches(read.read(), max_bytes=MAX_BYTES))
        assert records[0].offset == offset // 2 * 2
        assert read.next_offset == records[-1].offset + 1
        assert read.size <= max(max_bytes, 200)
    assert values(log, max_bytes=max_bytes) == kept


def test_a_read_stops_below_the_end_that_is_asked_for() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 9)
    for end in range(1, 10):
        assert log.read(0, MAX_BYTES, end).next_offset <= end
        assert log.read(end - 1, MAX_BYTES, end).next_offset == end
    with pytest.raises(OffsetOutOfRangeError):
        log.read(4, MAX_BYTES, 4)
    with pytest.raises(OffsetOutOfRangeError):
        log.read(9, MAX_BYTES, 100)


def test_a_read_takes_no_batch_that_passes_the_end() -> None:
    _, log = open_log(FaultyDisk())
    append(log, b"a")
    append(log, b"b", b"c")
    append(log, b"d")
    assert log.read(0, MAX_BYTES, 2).next_offset == 1


def test_a_read_outlives_its_segment() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, dataclasses.replace(OPTIONS, file_delete_delay_ms=0))
    kept = fill(log, 30)
    read = log.read(0, 100, 30)
    assert log.apply_retention(10**12, 30) == 3
    log.delete_expired_files(10**12)
    assert [record.value for record in decode_batches(read.read(), max_bytes=MAX_BYTES)] == kept[:1]
    del read
    assert disk.open_descriptors() <= 2


def test_a_broken_header_met_while_reading_is_isolated() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 10)
    flush(log)
    position = log.size_bytes // 10
    disk.flip_bit(log_file(0), position * 4 + 9, 3)  # the length of offset 4
    with pytest.raises(CorruptMessageError, match=r"\[4, 5\).*from 5") as raised:
        log.read(4, MAX_BYTES, 10)
    assert raised.value.extra == {"damaged_start": 4, "damaged_end": 5}
    assert values(log, 5) == kept[5:]
    assert log.read(3, MAX_BYTES, 10).next_offset == 4


def test_verifying_finds_altered_payloads() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 30)
    flush(log)
    assert check(log) == ()
    for offset in (7, 8, 20):
        segment = max(base for base in (0, 11, 22) if base <= offset)
        disk.flip_bit(log_file(segment), (offset - segment) * (log.size_bytes // 30) + 100)
    assert [tuple(each) for each in check(log)] == [(7, 9), (20, 21)]
    directories.close()
    _, log = open_log(disk)
    assert [tuple(each) for each in log.damaged] == [(7, 9), (20, 21)]
    append(log, b"more")
    assert len(values(log, 21)) == 10


# -- truncating ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1, 10, 11, 12, 29, 30])
def test_truncating_leaves_what_is_below_and_appends_go_on(offset: int) -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    kept = fill(log, 30)
    flush(log)
    log.truncate_to(offset)
    assert (log.end_offset, log.durable_end_offset) == (offset, offset)
    kept[offset:] = fill(log, 5, size=70)
    assert values(log) == kept
    directories.close()
    assert values(open_log(disk.after_crash(0))[1])[:offset] == kept[:offset]


def test_where_a_read_ended_is_forgotten_when_the_log_is_truncated() -> None:
    _, log = open_log(FaultyDisk(), LogOptions())
    fill(log, 10, size=100)
    assert log.read(0, 1000, 5).next_offset == 5
    log.truncate_to(2)
    expected = fill(log, 8, size=10)
    assert values(log, 5) == expected[3:]


def test_truncating_inside_a_batch_drops_the_batch() -> None:
    _, log = open_log(FaultyDisk())
    append(log, b"a", b"b")
    append(log, b"c", b"d", b"e")
    log.truncate_to(3)
    assert log.end_offset == 2


def test_truncating_takes_epochs_and_damage_along() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 5, epoch=1)
    fill(log, 5, epoch=4)
    disk.flip_bit(log_file(0), log.size_bytes - 1)
    check(log)
    log.truncate_to(9)
    assert log.damaged == ()
    log.truncate_to(5)
    assert log.leader_epoch == 1
    assert log.epoch_end_offset(4) == (1, 5)


# -- deleting --------------------------------------------------------------------------------------


def test_retention_deletes_old_segments_but_not_above_the_high_watermark() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, dataclasses.replace(OPTIONS, retention_ms=100, file_delete_delay_ms=50))
    kept = fill(log, 30)
    assert log.apply_retention(1115, 30) == 1
    assert log.start_offset == 11
    assert values(log) == kept[11:]
    assert log.apply_retention(10**9, 21) == 0
    assert log.apply_retention(10**9, 22) == 1
    with pytest.raises(OffsetOutOfRangeError):
        log.read(11, MAX_BYTES, 30)
    assert len(segment_names(disk, ".deleted")) == 6
    log.delete_expired_files(1164)
    assert len(segment_names(disk, ".deleted")) == 6
    log.delete_expired_files(1165)
    assert len(segment_names(disk, ".deleted")) == 3
    log.delete_expired_files(10**9 + 50)
    assert not segment_names(disk, ".deleted")


def test_retention_rolls_the_active_segment_when_all_of_it_has_expired() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk, dataclasses.replace(OPTIONS, retention_ms=100))
    fill(log, 5)
    flush(log)
    assert log.apply_retention(10**9, 5) == 1
    assert (log.start_offset, log.end_offset, log.size_bytes) == (5, 5, 0)
    flush(log)
    directories.close()
    _, log = open_log(disk)
    assert (log.start_offset, log.end_offset) == (5, 5)
    assert append(log, b"a") == 5


def test_a_timestamp_that_was_truncated_keeps_nothing() -> None:
    _, log = open_log(FaultyDisk(), dataclasses.replace(OPTIONS, retention_ms=100))
    fill(log, 3)
    append(log, b"x" * 300, timestamp=10**6)
    fill(log, 3)
    log.truncate_to(3)
    assert log.apply_retention(5000, 3) == 1


def test_retention_by_size_keeps_at_least_so_many_bytes() -> None:
    _, log = open_log(FaultyDisk(), dataclasses.replace(OPTIONS, retention_bytes=2500))
    fill(log, 30)
    assert log.apply_retention(0, 30) == 1
    assert log.size_bytes >= 2500


def test_deleted_records_stay_deleted() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 30)
    flush(log)
    log.advance_start_offset(13)
    log.advance_start_offset(5)
    assert values(log, 13) == kept[13:]
    disk = disk.after_crash(0)
    _, log = open_log(disk)
    assert log.start_offset == 13
    assert segment_names(disk)[0] == log_file(11).name
    with pytest.raises(OffsetOutOfRangeError):
        log.read(12, MAX_BYTES, 30)


def test_a_start_offset_that_cannot_be_made_durable_does_not_move() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 5)
    disk.unlink(LOG_PATH.parent / ".reserve")
    disk.fail_next("rename", errno.ENOSPC)
    with pytest.raises(KafkaStorageError, match="is full"):
        log.advance_start_offset(3)
    assert log.start_offset == 0


def test_retention_goes_on_while_the_disk_is_full() -> None:
    disk = FaultyDisk()
    options = dataclasses.replace(OPTIONS, retention_ms=100, file_delete_delay_ms=50)
    directories, log = open_log(disk, options)
    kept = fill(log, 30)
    disk.room = 0
    with pytest.raises(KafkaStorageError, match="is full"):
        append(log, b"x")
    assert log.apply_retention(1115, 30) == 1
    assert log.apply_retention(10**9, 22) == 1
    log.delete_expired_files(10**9 + 50)
    assert not segment_names(disk, ".deleted")
    append(log, b"x")
    assert values(log) == [*kept[22:], b"x"]
    _, log = open_log(disk.after_crash(0, "nothing"))
    assert log.start_offset == 22
    directories.close()


def test_a_file_that_is_gone_already_keeps_no_other_from_being_removed() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, dataclasses.replace(OPTIONS, retention_ms=100, file_delete_delay_ms=50))
    fill(log, 30)
    log.apply_retention(1115, 30)
    gone, *_ = segment_names(disk, ".deleted")
    disk.unlink(LOG_PATH / gone)
    log.delete_expired_files(1165)
    assert not segment_names(disk, ".deleted")


def test_a_file_that_cannot_be_removed_is_tried_again_and_holds_up_no_other() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, dataclasses.replace(OPTIONS, retention_ms=100, file_delete_delay_ms=50))
    fill(log, 30)
    log.apply_retention(1115, 30)
    disk.fail_next("unlink", errno.EPERM)
    with pytest.raises(PermissionError):
        log.delete_expired_files(1165)
    assert len(segment_names(disk, ".deleted")) == 1
    log.delete_expired_files(1165)
    assert not segment_names(disk, ".deleted")


def test_read_goes_on_in_the_next_segment_after_the_last_one_ended_where_it_stood() -> None:
    log = open_log(FaultyDisk(), OPTIONS)[1]
    append(log, b"first")
    assert log.read(0, 1000, 1).next_offset == 1  # remembered as the end of the active segment
    log.reconfigure(LogOptions(segment_bytes=2000, segment_index_bytes=1))
    append(log, b"second")
    read = log.read(1, 1000, 2)
    assert (read.size > 0, read.next_offset) == (True, 2)
