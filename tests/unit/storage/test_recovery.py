"""What opening a log makes of torn, lost and altered files."""

import struct

import pytest

from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.wire.batch import STAMP_SIZE, checksum, read_headers, stamp
from tests.support.faulty_disk import PAGE, FaultyDisk
from tests.support.logs import (
    LOG_PATH,
    LOGS,
    MAX_BYTES,
    PARTITION,
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

_SIZE = 174
"""Bytes of a batch that `fill` makes."""


def _filled(count: int, disk: FaultyDisk) -> tuple[LogDirectories, Log, list[bytes]]:
    directories, log = open_log(disk)
    kept = fill(log, count)
    flush(log)
    assert log.size_bytes == count * _SIZE
    return directories, log, kept


def _checkpoint(directories: LogDirectories, high_watermark: int = 0) -> None:
    for directory in directories:
        directory.write_checkpoints({PARTITION: high_watermark})


# -- the torn end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", range(1, _SIZE, 7))
def test_a_torn_last_batch_is_cut(torn: int) -> None:
    disk = FaultyDisk()
    _, _, kept = _filled(5, disk)
    disk.replace(log_file(0), disk.content(log_file(0))[: 4 * _SIZE + torn])
    _, log = open_log(disk.after_kill())
    assert values(log) == kept[:4]
    assert log.end_offset == 4
    assert log.damaged == ()
    assert append(log, b"next") == 4


@pytest.mark.parametrize("tail", [b"\0" * 700, b"garbage" * 30, b"x"])
def test_garbage_at_the_end_is_cut(tail: bytes) -> None:
    disk = FaultyDisk()
    _, _, kept = _filled(5, disk)
    disk.replace(log_file(0), disk.content(log_file(0)) + tail)
    survivor = disk.after_kill()
    _, log = open_log(survivor)
    assert values(log) == kept
    assert len(survivor.content(log_file(0))) == log.size_bytes


def test_lost_pages_cut_the_log_when_nothing_after_them_was_durable() -> None:
    """Writes may reach the disk in any order; records behind a hole were never acknowledged."""
    disk = FaultyDisk()
    _, _, kept = _filled(10, disk)
    data = bytearray(disk.content(log_file(0)))
    data[PAGE : 2 * PAGE] = bytes(PAGE)
    disk.replace(log_file(0), bytes(data))
    _, log = open_log(disk.after_kill())
    assert values(log) == kept[: PAGE // _SIZE]
    assert log.damaged == ()


def test_segments_behind_a_torn_one_go() -> None:
    disk = FaultyDisk()
    _, _, kept = _filled(30, disk)
    disk.replace(log_file(11), disk.content(log_file(11))[:-3])
    survivor = disk.after_kill()
    _, log = open_log(survivor)
    assert values(log) == kept[:21]
    assert list(segment_names(survivor)) == [log_file(0).name, log_file(11).name]


def test_a_missing_segment_above_the_recovery_point_ends_the_log() -> None:
    disk = FaultyDisk()
    _, _, kept = _filled(30, disk)
    disk.unlink(log_file(11))
    _, log = open_log(disk.after_kill())
    assert values(log) == kept[:11]


# -- what was durable ------------------------------------------------------------------------------


def _with_bound(bound: str, count: int) -> tuple[FaultyDisk, list[bytes]]:
    """A log whose first `count` records are known to have been durable, by either checkpoint."""
    disk = FaultyDisk()
    directories, _, kept = _filled(count, disk)
    _checkpoint(directories, high_watermark=count)
    other = {"recovery point": "replication-offset", "high watermark": "recovery-point-offset"}
    disk.unlink(LOGS / f"{other[bound]}-checkpoint")
    return disk, kept


@pytest.mark.parametrize("bound", ["recovery point", "high watermark"])
@pytest.mark.parametrize("hole", [False, True], ids=["flipped", "zeroed"])
def test_below_what_was_durable_nothing_is_dropped(bound: str, hole: bool) -> None:
    disk, kept = _with_bound(bound, 9)
    if hole:
        data = bytearray(disk.content(log_file(0)))
        data[PAGE : 2 * PAGE] = bytes(PAGE)
        disk.replace(log_file(0), bytes(data))
    else:
        disk.flip_bit(log_file(0), 3 * _SIZE + 120)
    _, log = open_log(disk.after_kill())
    # Of what is below the recovery point, only the last segment is looked at without being asked.
    (damage,) = log.damaged
    assert damage == ((PAGE // _SIZE, 2 * PAGE // _SIZE + 1) if hole else (3, 4))
    assert values(log, damage.end) == kept[damage.end :]
    assert log.read(0, 1, log.end_offset).next_offset == 1
    with pytest.raises(CorruptMessageError):
        log.read(damage.start, MAX_BYTES, log.end_offset)
    assert append(log, b"next") == 9


def test_altered_bytes_are_damage_even_where_nothing_is_known_to_be_durable() -> None:
    """No lost write flips a bit: these records may have been acknowledged a moment ago."""
    disk = FaultyDisk()
    _, _, kept = _filled(10, disk)
    disk.flip_bit(log_file(0), 3 * _SIZE + 120)
    _, log = open_log(disk.after_kill())
    assert log.damaged == (OffsetRange(3, 4),)
    assert values(log, 4) == kept[4:]


@pytest.mark.parametrize("field", [0, 7, 8, 11, 16, 20, 40])
def test_a_header_broken_anywhere_costs_one_batch(field: int) -> None:
    disk = FaultyDisk()
    _, _, kept = _filled(10, disk)
    disk.flip_bit(log_file(0), 3 * _SIZE + field, 2)
    _, log = open_log(disk.after_kill())
    assert log.damaged == (OffsetRange(3, 4),)
    assert values(log, 4) == kept[4:]
    assert log.read(2, MAX_BYTES, 10).next_offset == 3


def test_a_batch_inside_of_a_record_is_not_taken_for_one_of_the_log() -> None:
    """Someone may keep copies of segments in records; a broken header must not bring them up."""
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 3, size=10)
    inner, header = batch(b"inner")
    stamped = stamp(8, header.batch_length, 0) + inner[STAMP_SIZE:]
    append(log, stamped + b"and more")
    kept += [b"", *fill(log, 3, size=10)]
    flush(log)
    position = log.read(3, 1, 4)._position
    disk.flip_bit(log_file(0), position + 9, 4)
    _, log = open_log(disk.after_kill())
    assert log.damaged == (OffsetRange(3, 4),)
    assert values(log, 4) == kept[4:]


def test_an_epoch_altered_upwards_costs_one_batch() -> None:
    disk = FaultyDisk()
    _, _, kept = _filled(10, disk)
    disk.flip_bit(log_file(0), 3 * _SIZE + 13)
    _, log = open_log(disk.after_kill())
    assert log.damaged == (OffsetRange(3, 4),)
    assert values(log, 4) == kept[4:]
    assert log.leader_epoch == 0


def test_an_epoch_altered_upwards_at_the_end_of_a_segment_costs_one_batch() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 30)
    flush(log)
    size = len(disk.content(log_file(0))) // 11
    disk.flip_bit(log_file(0), 10 * size + 13)
    _, log = open_log(disk.after_kill())
    assert log.damaged == (OffsetRange(10, 11),)
    assert values(log, 11) == kept[11:]
    assert log.leader_epoch == 0


def test_durable_records_missing_at_the_end_keep_their_offsets() -> None:
    disk, _ = _with_bound("high watermark", 9)
    disk.replace(log_file(0), disk.content(log_file(0))[: 6 * _SIZE + 50])
    _, log = open_log(disk.after_kill())
    assert log.damaged == (OffsetRange(6, 9),)
    assert (log.start_offset, log.end_offset) == (0, 9)
    assert append(log, b"next") == 9
    assert values(log, 9) == [b"next"]
    assert log.read(0, MAX_BYTES, 10).next_offset <= 6
    with pytest.raises(CorruptMessageError):
        log.read(8, MAX_BYTES, 10)


def test_a_missing_segment_below_the_recovery_point_is_damage() -> None:
    disk = FaultyDisk()
    directories, _, kept = _filled(30, disk)
    _checkpoint(directories)
    for suffix in (".log", ".index", ".timeindex"):
        disk.unlink(log_file(11).with_suffix(suffix))
    _, log = open_log(disk.after_kill())
    with pytest.raises(CorruptMessageError, match="from 22"):
        log.read(11, MAX_BYTES, 30)
    assert log.damaged == (OffsetRange(11, 22),)
    assert values(log, 22) == kept[22:]
    assert log.read(10, MAX_BYTES, 30).next_offset == 11


def test_damage_is_remembered_over_a_clean_stop() -> None:
    disk = FaultyDisk()
    _filled(10, disk)
    disk.flip_bit(log_file(0), 3 * _SIZE + 120)
    directories, _ = open_log(disk.after_kill())
    disk = disk.after_kill()
    directories, log = open_log(disk)
    flush(log)
    directories.close()
    _, log = open_log(disk)
    assert log.damaged == (OffsetRange(3, 4),)


# -- what recovery itself makes durable ------------------------------------------------------------


def test_what_a_killed_process_left_is_durable_once_recovered() -> None:
    """A clean mark of an earlier life says nothing of it."""
    disk = FaultyDisk()
    directories, log, kept = _filled(3, disk)
    directories.close()
    _, log = open_log(disk)
    kept += fill(log, 20)
    disk = disk.after_kill()
    _, log = open_log(disk)
    assert log.durable_end_offset == 23
    _, log = open_log(disk.after_crash(0, style="nothing"))
    assert values(log) == kept


def test_an_unsound_index_is_made_anew_and_misleads_nobody() -> None:
    disk = FaultyDisk()
    directories, _, kept = _filled(30, disk)
    directories.close()
    for suffix in (".index", ".timeindex"):
        path = log_file(11).with_suffix(suffix)
        sound = disk.content(path)
        for position in range(len(sound)):
            disk.replace(path, sound)
            disk.flip_bit(path, position, position % 8)
            copy = disk.after_kill()
            _, log = open_log(copy)
            for offset in (11, 15, 21):
                assert values(log, offset)[0] == kept[offset]
            found = log.offset_for_timestamp(1016)
            assert found is not None
            assert found.offset == 16
            assert copy.content(path) == sound


def test_an_index_of_other_batches_is_made_anew() -> None:
    """Whole and ascending, but not of this segment."""
    disk = FaultyDisk()
    directories, _, kept = _filled(30, disk)
    directories.close()
    entry = struct.pack(">iI", 2, _SIZE * 3)
    trailer = struct.pack(">iI", -1, checksum(entry))
    disk.replace(log_file(11).with_suffix(".index"), entry + trailer)
    _, log = open_log(disk)
    assert values(log) == kept


def test_missing_or_malformed_checkpoints_cost_time_but_no_record() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    kept = fill(log, 15, epoch=1) + fill(log, 15, epoch=2)
    flush(log)
    directories.close()
    disk.replace(LOGS / "recovery-point-offset-checkpoint", b"0\n1\nt 0 thirty\n")
    disk.replace(LOG_PATH / "leader-epoch-checkpoint", b"\xff")
    _, log = open_log(disk)
    assert values(log) == kept
    assert log.epoch_end_offset(1) == (1, 15)
    assert log.leader_epoch == 2


def test_epochs_above_the_recovery_point_are_found_in_the_batches() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 15, epoch=1)
    flush(log)
    _checkpoint(directories)
    fill(log, 5, epoch=3)
    flush(log)
    _, log = open_log(disk.after_crash(0))
    assert log.epoch_end_offset(2) == (1, 15)
    assert log.epoch_end_offset(3) == (3, 20)


def test_an_epoch_that_was_cut_off_misleads_nobody_about_what_came_instead() -> None:
    """After an unclean election the older epoch goes on where a later one began."""
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 10, epoch=1)
    fill(log, 5, epoch=2)
    flush(log)
    _checkpoint(directories)
    log.truncate_to(10)
    _, leader = open_log(FaultyDisk())
    fill(leader, 15, epoch=1)
    while log.end_offset < 15:
        data = leader.read(log.end_offset, MAX_BYTES, leader.end_offset).read()
        log.append_replica(data, read_headers(data))
    assert log.epoch_end_offset(2) == (1, 15)
    _, log = open_log(disk.after_kill())
    assert log.end_offset == 15
    assert log.epoch_end_offset(2) == (1, 15)
    assert check(log) == ()


def test_a_new_log_begins_at_zero_whatever_its_namesake_had() -> None:
    disk = FaultyDisk()
    directories, log, _ = _filled(10, disk)
    _checkpoint(directories, high_watermark=10)
    log.advance_start_offset(5)
    directories.remove_log(log)
    options = open_log(FaultyDisk())[1]._options
    assert directories.create_log(PARTITION, log.topic_id, options, is_new=True)
    _, log = open_log(disk.after_crash(1))
    assert (log.start_offset, log.end_offset, log.damaged) == (0, 0, ())


def test_other_logs_checkpoints_stay_when_one_is_removed() -> None:
    disk = FaultyDisk()
    directories, log, _ = _filled(10, disk)
    other = directories.create_log(TopicPartition("u", 1), log.topic_id, log._options, is_new=True)
    fill(other, 4)
    flush(other)
    _checkpoint(directories)
    directories.remove_log(log)
    content = disk.content(LOGS / "recovery-point-offset-checkpoint")
    assert content == b"0\n1\nu 1 4\n"
