from kafkalite.config.views import LogOptions
from kafkalite.storage.timestamps import TimestampOffset
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import append, fill, flush, log_file, open_log


def test_the_earliest_record_at_or_above_a_timestamp_is_found_in_its_batch() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 30)
    assert log.offset_for_timestamp(0) == TimestampOffset(1000, 0)
    assert log.offset_for_timestamp(1017) == TimestampOffset(1017, 17)
    assert log.offset_for_timestamp(1030) is None
    log.advance_start_offset(20)
    assert log.offset_for_timestamp(1017) == TimestampOffset(1020, 20)


def test_timestamps_out_of_order_are_found_by_offset() -> None:
    _, log = open_log(FaultyDisk())
    for timestamp in (50, 90, 20, 70, 90):
        append(log, b"a", b"b", timestamp=timestamp)
    assert log.offset_for_timestamp(60) == TimestampOffset(90, 2)
    assert log.max_timestamp_offset() == TimestampOffset(90, 2)
    log.advance_start_offset(4)
    assert log.offset_for_timestamp(60) == TimestampOffset(70, 6)
    assert log.max_timestamp_offset() == TimestampOffset(90, 8)


def test_an_empty_log_has_no_timestamps() -> None:
    _, log = open_log(FaultyDisk())
    assert log.offset_for_timestamp(0) is None
    assert log.max_timestamp_offset() is None


def test_look_ups_pass_over_what_is_damaged() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk, LogOptions(index_interval_bytes=100))
    fill(log, 20)
    flush(log)
    size = log.size_bytes // 20
    disk.flip_bit(log_file(0), size * 7 + 9)  # a header
    disk.flip_bit(log_file(0), size * 11 + 100)  # a payload
    assert log.offset_for_timestamp(1007) == TimestampOffset(1008, 8)
    assert log.offset_for_timestamp(1011) == TimestampOffset(1012, 12)
    assert log.offset_for_timestamp(1015) == TimestampOffset(1015, 15)


def test_look_ups_work_after_a_clean_restart() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 30)
    flush(log)
    directories.close()
    _, log = open_log(disk)
    assert log.offset_for_timestamp(1010) == TimestampOffset(1010, 10)
    assert log.max_timestamp_offset() == TimestampOffset(1029, 29)
