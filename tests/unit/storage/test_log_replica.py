"""A log that follows another: batches as their leader stored them, and beginning anew."""

import contextlib
import errno
from dataclasses import replace

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import CorruptMessageError, KafkaStorageError
from kafkalite.model.ids import NO_EPOCH
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.storage.log import Log
from kafkalite.wire.batch import BatchHeader, read_headers
from tests.support.faulty_disk import Crashed, FaultyDisk
from tests.support.logs import (
    OPTIONS,
    append,
    fill,
    flush,
    log_file,
    open_log,
    segment_names,
    values,
)

_ROOMY = LogOptions(segment_bytes=1 << 20, index_interval_bytes=200)


def _leader() -> Log:
    return open_log(FaultyDisk(), _ROOMY)[1]


def _stored(
    leader: Log, offset: int = 0, max_bytes: int = 1 << 20
) -> tuple[bytes, list[BatchHeader]]:
    """What a follower is sent: the bytes from `offset` on, and their headers."""
    data = leader.read(offset, max_bytes, leader.end_offset).read()
    return data, read_headers(data)


def test_a_follower_holds_the_same_bytes_in_its_own_segments() -> None:
    leader = _leader()
    wanted = fill(leader, 60)
    disk = FaultyDisk()
    directories, follower = open_log(disk)
    follower.append_replica(*_stored(leader))
    assert follower.end_offset == 60
    assert values(follower) == wanted
    assert len(segment_names(disk)) > 3
    together = b"".join(disk.content(log_file(int(name[:20]))) for name in segment_names(disk))
    assert together == _stored(leader)[0]
    flush(follower)
    directories.close()
    assert values(open_log(disk.after_crash(0, "nothing"))[1]) == wanted


def test_what_follows_goes_on_in_the_same_segment_while_there_is_room() -> None:
    leader, disk = _leader(), FaultyDisk()
    _, follower = open_log(disk)
    for _ in range(5):
        fill(leader, 1)
        follower.append_replica(*_stored(leader, follower.end_offset))
    assert len(segment_names(disk)) == 1
    assert len(values(follower)) == 5


def test_segments_end_where_records_are_too_much_younger() -> None:
    leader, disk = _leader(), FaultyDisk()
    for timestamp in (1000, 1500, 3000, 3100):
        append(leader, b"a", timestamp=timestamp)
    _, follower = open_log(disk, replace(OPTIONS, segment_ms=1000))
    data, headers = _stored(leader)
    follower.append_replica(data[: headers[0].size], headers[:1])
    follower.append_replica(data[headers[0].size :], headers[1:])
    assert segment_names(disk) == [log_file(0).name, log_file(2).name]


def test_a_batch_larger_than_a_segment_gets_one_of_its_own() -> None:
    leader, disk = _leader(), FaultyDisk()
    append(leader, b"a")
    append(leader, b"x" * 5000)
    append(leader, b"b")
    _, follower = open_log(disk)
    follower.append_replica(*_stored(leader))
    assert [int(name[:20]) for name in segment_names(disk)] == [0, 1, 2]
    assert values(follower) == [b"a", b"x" * 5000, b"b"]


def test_epochs_begin_as_they_come() -> None:
    leader = _leader()
    fill(leader, 3, epoch=1)
    fill(leader, 2, epoch=4)
    fill(leader, 2, epoch=6)
    _, follower = open_log(FaultyDisk())
    follower.append_replica(*_stored(leader))
    assert follower.leader_epoch == 6
    for epoch in range(8):
        assert follower.epoch_end_offset(epoch) == leader.epoch_end_offset(epoch)


def test_lookups_by_time_find_what_was_replicated() -> None:
    leader = _leader()
    fill(leader, 30)
    _, follower = open_log(FaultyDisk())
    follower.append_replica(*_stored(leader))
    assert follower.offset_for_timestamp(1017) == leader.offset_for_timestamp(1017)
    assert follower.max_timestamp_offset() == leader.max_timestamp_offset()


def test_nothing_is_taken_that_does_not_continue_the_log() -> None:
    leader = _leader()
    fill(leader, 6)
    _, follower = open_log(FaultyDisk())
    with pytest.raises(CorruptMessageError, match="do not continue"):
        follower.append_replica(*_stored(leader, 2))
    follower.append_replica(*_stored(leader))
    with pytest.raises(CorruptMessageError, match="do not continue"):
        follower.append_replica(*_stored(leader, 5))
    assert follower.end_offset == 6


def test_nothing_is_taken_of_an_epoch_below_the_last_records() -> None:
    older, newer = _leader(), _leader()
    fill(newer, 2, epoch=5)
    fill(older, 4, epoch=3)
    _, follower = open_log(FaultyDisk())
    follower.append_replica(*_stored(newer))
    with pytest.raises(CorruptMessageError, match="epoch 3"):
        follower.append_replica(*_stored(older, 2))
    assert follower.end_offset == 2


def test_an_epoch_without_records_is_in_nobodys_way() -> None:
    leader = _leader()
    fill(leader, 2, epoch=3)
    _, follower = open_log(FaultyDisk())
    follower.append_replica(*_stored(leader))
    follower.begin_epoch(5)
    fill(leader, 2, epoch=3)
    follower.append_replica(*_stored(leader, 2))
    assert follower.leader_epoch == 3
    assert follower.end_offset == 4


def test_truncating_at_the_end_forgets_epochs_without_records() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 2, epoch=3)
    log.begin_epoch(5)
    log.truncate_to(2)
    assert log.leader_epoch == 3
    assert log.epoch_end_offset(7) == (3, 2)


def test_a_full_disk_takes_what_fits_before_it_and_the_rest_later() -> None:
    leader, disk = _leader(), FaultyDisk()
    wanted = fill(leader, 60)
    _, follower = open_log(disk)
    disk.room = 4000
    with pytest.raises(KafkaStorageError):
        follower.append_replica(*_stored(leader))
    assert follower.failure is None
    assert 0 < follower.end_offset < 60
    disk.room = None
    follower.append_replica(*_stored(leader, follower.end_offset))
    assert values(follower) == wanted


# -- beginning anew -----------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 5, 12, 20, 100])
def test_a_log_that_begins_anew_is_empty_for_good(offset: int) -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 20, epoch=2)
    flush(log)
    log.advance_start_offset(7)
    for directory in directories:
        directory.write_checkpoints({log.topic_partition: 15})
    log.begin_anew_at(offset)
    assert (log.start_offset, log.durable_end_offset, log.end_offset) == (offset,) * 3
    assert log.leader_epoch == NO_EPOCH
    assert log.epoch_end_offset(9) == (NO_EPOCH, NO_OFFSET)
    assert segment_names(disk) == [log_file(offset).name]

    found = open_log(disk.after_crash(0, "nothing"))[1]
    assert (found.start_offset, found.end_offset) == (offset, offset)
    assert found.leader_epoch == NO_EPOCH
    assert found.damaged == ()


def test_records_go_on_where_the_log_began_anew() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 20)
    flush(log)
    log.begin_anew_at(50)
    wanted = fill(log, 3, epoch=1)
    assert log.flush_job() is not None
    flush(log)
    assert log.durable_end_offset == 53
    found = open_log(disk.after_crash(0, "nothing"))[1]
    assert values(found) == wanted
    assert found.epoch_end_offset(1) == (1, 53)


def test_a_flush_that_was_under_way_proves_nothing_of_what_comes_after() -> None:
    _, log = open_log(FaultyDisk())
    fill(log, 20)
    job = log.flush_job()
    assert job is not None
    log.begin_anew_at(5)
    fill(log, 2)
    job.run()
    log.flushed(job, None)
    assert log.durable_end_offset == 5


def test_damage_is_gone_with_the_log() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 6)
    flush(log)
    disk.flip_bit(log_file(0), 200)
    log.inspect(1)
    assert log.damaged
    log.begin_anew_at(0)
    assert log.damaged == ()
    assert open_log(disk.after_kill())[1].damaged == ()


def test_a_disk_that_fails_on_the_way_fails_the_log() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 6)
    disk.fail_next("sync_directory", errno.EIO)
    with pytest.raises(KafkaStorageError):
        log.begin_anew_at(9)
    assert log.failure is not None


# -- a leader's start inside of a batch ---------------------------------------------------------


def _begun_inside() -> tuple[FaultyDisk, Log, Log]:
    """A leader whose first batch is of 0 to 4, and an empty follower that begins at 3."""
    leader, disk = _leader(), FaultyDisk()
    append(leader, b"a", b"b", b"c", b"d", b"e")
    append(leader, b"f")
    _, follower = open_log(disk)
    follower.begin_anew_at(3)
    return disk, leader, follower


def test_the_first_batch_may_begin_before_an_empty_log() -> None:
    disk, leader, follower = _begun_inside()
    follower.append_replica(*_stored(leader))
    assert (follower.start_offset, follower.end_offset) == (3, 6)
    assert segment_names(disk) == [log_file(0).name]
    flush(follower)
    found = open_log(disk.after_crash(0, "nothing"))[1]
    assert (found.start_offset, found.end_offset) == (3, 6)
    assert values(found, 3)[-3:] == [b"d", b"e", b"f"]


def test_no_batch_begins_before_a_log_that_holds_records() -> None:
    _, leader, follower = _begun_inside()
    append(follower, b"x")
    with pytest.raises(CorruptMessageError, match="do not continue"):
        follower.append_replica(*_stored(leader))


def test_a_full_disk_leaves_an_empty_log_as_it_was() -> None:
    disk, leader, follower = _begun_inside()
    disk.room = 30
    with pytest.raises(KafkaStorageError):
        follower.append_replica(*_stored(leader))
    assert follower.failure is None
    assert (follower.start_offset, follower.end_offset) == (3, 3)
    assert segment_names(disk) == [log_file(3).name]
    disk.room = None
    follower.append_replica(*_stored(leader))
    assert follower.end_offset == 6


@pytest.mark.parametrize("crash_at", range(12))
def test_a_crash_leaves_it_empty_or_with_what_it_took(crash_at: int) -> None:
    for lot in range(6):
        disk, leader, follower = _begun_inside()
        disk.crash_at = disk.operations + crash_at
        with contextlib.suppress(Crashed):
            follower.append_replica(*_stored(leader))
            flush(follower)
        found = open_log(disk.after_crash(lot))[1]
        assert found.start_offset == 3
        assert found.end_offset in {3, 5, 6}
        assert found.damaged == ()
        if found.end_offset == 3:
            found.append_replica(*_stored(leader))
        all_of_it = [b"d", b"e", b"f"]
        assert values(found, 3)[3:] == all_of_it[: found.end_offset - 3]
