"""What a log knows of producers through rolls, stops, kills, cuts, retention and full disks."""

import errno
from dataclasses import replace

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import KafkaStorageError, OutOfOrderSequenceNumberError
from kafkalite.storage import producers as producers_module
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.stamping import stamped
from kafkalite.wire.batch import BatchHeader, read_headers
from tests.support.faulty_disk import FaultyDisk
from tests.support.idempotent import idempotent, known_from, known_of
from tests.support.logs import LOG_PATH, OPTIONS, fill, flush, open_log, segment_names

_SNAPSHOT = ".snapshot"


class _Life:
    """A log on a disk, through its lives, and every batch that it was ever given."""

    def __init__(self, options: LogOptions = OPTIONS) -> None:
        self.options = options
        self.disk = FaultyDisk()
        self.batches: list[tuple[int, BatchHeader]] = []
        self.sequences: dict[int, int] = {}
        self.directories: LogDirectories
        self.log: Log
        self.directories, self.log = open_log(self.disk, options)

    def append(self, producer_id: int = 7, *, epoch: int = 0, size: int = 100) -> None:
        """The next batch of a producer, of two records."""
        sequence = self.sequences.get(producer_id, 0)
        value = b"x" * (size // 2)
        data, header = idempotent(
            value, value, sequence=sequence, producer_id=producer_id, epoch=epoch
        )
        base_offset = self.log.append(data, [header], 0)
        self.sequences[producer_id] = sequence + 2
        self.batches.append((base_offset, header))

    def append_many(self, count: int) -> None:
        """Enough, in turns of three producers, to roll now and then."""
        for index in range(count):
            self.append(index % 3)

    def truncate(self, offset: int) -> None:
        self.log.truncate_to(offset)
        self.batches = [each for each in self.batches if each[0] < self.log.end_offset]

    def retain(self, keeps_bytes: int) -> None:
        """Let retention delete old segments, and their files."""
        self.log.reconfigure(replace(self.options, retention_bytes=keeps_bytes))
        self.log.apply_retention(1_000, self.log.end_offset)
        self.log.delete_expired_files(10**15)
        self.log.reconfigure(self.options)

    def stop_and_start(self) -> None:
        flush(self.log)
        for directory in self.directories:
            directory.write_checkpoints({self.log.topic_partition: self.log.end_offset})
        self.directories.close()
        self.directories, self.log = open_log(self.disk, self.options)

    def kill_and_start(self) -> None:
        self.disk = self.disk.after_kill()
        self.directories, self.log = open_log(self.disk, self.options)

    def checkpoint(self) -> None:
        self.log.mark_producers()
        self.log.persist()

    def check(self) -> None:
        """It knows what follows from every batch there ever was (IDP-5)."""
        assert known_of(self.log.producers) == known_from(self.batches)

    @property
    def snapshots(self) -> list[int]:
        """Offsets of those on disk."""
        return [int(name.partition(".")[0]) for name in segment_names(self.disk, _SNAPSHOT)]

    @property
    def bases(self) -> list[int]:
        return [int(name.partition(".")[0]) for name in segment_names(self.disk)]


def test_a_snapshot_is_written_where_a_segment_begins() -> None:
    life = _Life()
    life.append_many(30)
    assert len(life.bases) > 2
    assert life.snapshots == life.bases[1:]


def test_a_clean_stop_writes_a_snapshot_and_the_start_reads_no_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = _Life()
    life.append_many(30)
    monkeypatch.setattr(producers_module, "OpenFile", None)  # with which batches are read
    life.stop_and_start()
    assert life.snapshots[-1] == life.log.end_offset
    life.check()


def test_after_a_kill_it_is_known_from_the_newest_snapshot_and_the_log() -> None:
    life = _Life()
    life.append_many(30)
    life.kill_and_start()
    life.check()
    life.append_many(3)
    life.check()


def test_after_a_kill_it_is_known_from_the_log_alone_when_there_is_no_snapshot() -> None:
    life = _Life()
    life.append_many(30)
    for name in segment_names(life.disk, _SNAPSHOT):
        life.disk.unlink(LOG_PATH / name)
    life.kill_and_start()
    life.check()


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_snapshot_that_is_not_sound_is_passed_over(is_clean: bool) -> None:
    life = _Life()
    life.append_many(30)
    flush(life.log)
    life.directories.close()
    newest = LOG_PATH / segment_names(life.disk, _SNAPSHOT)[-1]
    life.disk.flip_bit(newest, 12)
    if not is_clean:
        life.disk = life.disk.after_kill()
    life.directories, life.log = open_log(life.disk, life.options)
    life.check()
    assert int(newest.name.partition(".")[0]) not in life.snapshots


def test_a_log_that_grows_within_a_segment_gets_snapshots_there_and_few_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producers_module, "_BYTES_A_SNAPSHOT", 500)
    life = _Life(replace(OPTIONS, segment_bytes=100_000))
    for _ in range(10):
        life.append_many(4)
        life.checkpoint()
    assert life.bases == [0]
    assert life.snapshots == [72, 80]
    life.append_many(2)
    life.kill_and_start()
    life.check()
    life.truncate(74)
    life.check()


def test_a_snapshot_that_a_cut_overtook_is_never_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producers_module, "_BYTES_A_SNAPSHOT", 1)
    life = _Life()
    life.append_many(9)
    life.log.mark_producers()
    life.truncate(10)
    life.log.persist()
    assert life.snapshots == []
    life.check()


@pytest.mark.parametrize("offset", [58, 57, 41, 30, 12, 1, 0])
def test_a_cut_log_knows_what_it_knew_there(offset: int) -> None:
    """IDP-6: also where more than the last five batches of a producer went."""
    life = _Life()
    life.append_many(30)
    life.truncate(offset)
    life.check()
    assert all(each <= life.log.end_offset for each in life.snapshots)
    life.kill_and_start()
    life.check()


def test_a_cut_gives_back_the_epoch_before() -> None:
    life = _Life()
    life.append_many(9)
    life.sequences[0] = 0
    for _ in range(7):
        life.append(0, epoch=1)
    life.truncate(18)
    known = life.log.producers.get(0)
    assert known is not None
    assert known.epoch == 0
    life.check()


def test_other_batches_after_a_cut_do_not_meet_a_snapshot_from_before_it() -> None:
    life = _Life()
    life.append_many(30)
    life.truncate(20)
    life.sequences = {}
    for producer_id in (11, 12, 13):
        for _ in range(7):
            life.append(producer_id)
    life.kill_and_start()
    life.check()


def test_what_is_known_outlives_the_batches_that_retention_deletes() -> None:
    """IDP-7: producer 99 has no batch left in the log."""
    life = _Life()
    life.append(99)
    life.append_many(60)
    life.retain(300)
    assert life.log.start_offset > 60
    life.check()
    assert life.snapshots[0] == life.bases[0]
    life.kill_and_start()
    life.check()
    life.stop_and_start()
    life.check()


def test_what_is_known_outlives_a_log_that_retention_has_emptied() -> None:
    life = _Life()
    life.append_many(20)
    life.log.reconfigure(replace(OPTIONS, retention_ms=1))
    life.log.apply_retention(10**15, life.log.end_offset)
    assert life.log.start_offset == life.log.end_offset
    assert life.snapshots == [40]
    life.check()
    life.kill_and_start()
    life.check()


def test_what_is_known_outlives_deleted_records() -> None:
    life = _Life()
    life.append_many(20)
    life.log.advance_start_offset(40)
    life.check()
    life.kill_and_start()
    life.check()


def test_snapshots_are_durable_before_the_segments_below_them_go() -> None:
    life = _Life()
    life.append(99)
    life.append_many(60)
    life.retain(300)
    for seed in range(20):
        disk = life.disk.after_crash(seed)
        _, log = open_log(disk, life.options)
        known = log.producers.get(99)
        assert known is not None, seed


def test_a_log_that_is_cut_within_the_batch_of_its_start_knows_what_was_before() -> None:
    life = _Life()
    life.append_many(20)
    life.log.advance_start_offset(21)
    life.truncate(21)
    assert life.log.end_offset == 21
    life.batches = [each for each in life.batches if each[0] < 20]
    life.check()
    life.kill_and_start()
    life.check()


def test_a_log_that_begins_anew_knows_nothing() -> None:
    life = _Life()
    life.append_many(30)
    life.log.begin_anew_at(100)
    assert len(life.log.producers) == 0
    assert life.snapshots == []
    life.kill_and_start()
    assert len(life.log.producers) == 0


def test_followers_know_what_their_leader_knows() -> None:
    """IDP-4."""
    leader, follower = _Life(), _Life()
    leader.append_many(40)
    while follower.log.end_offset < leader.log.end_offset:
        data = leader.log.read(follower.log.end_offset, 700, leader.log.end_offset).read()
        follower.log.append_replica(data, read_headers(data))
    assert known_of(follower.log.producers) == known_of(leader.log.producers)
    follower.batches = leader.batches
    follower.kill_and_start()
    follower.check()


def test_a_follower_that_begins_within_a_batch_knows_it() -> None:
    life = _Life()
    life.append_many(10)
    life.log.begin_anew_at(13)
    data, header = idempotent(b"1", b"2", b"3", sequence=5)
    stored = b"".join(stamped(data, [header], 12, 0)[0])
    life.log.append_replica(stored, read_headers(stored))
    life.batches = [(12, header)]
    life.check()
    life.kill_and_start()
    life.check()


def test_a_failed_append_leaves_what_is_known_as_it_was() -> None:
    """IDP-3: with the disk full, half of the batch written."""
    life = _Life(replace(OPTIONS, segment_bytes=100_000))
    life.append_many(6)
    life.disk.room = 150
    with pytest.raises(KafkaStorageError):
        life.append(0, size=400)
    life.check()
    life.disk.heal()
    life.append(0, size=400)
    life.check()
    assert life.batches[-1][0] == 12


def test_a_roll_that_fails_on_a_full_disk_leaves_what_is_known_as_it_was() -> None:
    life = _Life()
    while len(life.bases) == 1 and life.log.size_bytes < 1_800:
        life.append_many(1)
    life.disk.room = 3
    with pytest.raises(KafkaStorageError):
        life.append(0)
    life.check()
    assert life.snapshots == []
    life.disk.heal()
    life.append(0)
    assert len(life.bases) == 2
    life.check()


def test_a_disk_that_fails_at_the_append_leaves_what_is_known_as_it_was() -> None:
    life = _Life()
    life.append_many(6)
    life.disk.fail_next("writev", errno.EIO)
    with pytest.raises(KafkaStorageError):
        life.append(0)
    life.check()


def test_a_full_disk_is_emptied_by_retention_whatever_is_known_of_producers() -> None:
    life = _Life(replace(OPTIONS, segment_bytes=100_000))
    life.append_many(20)
    for directory in life.directories:
        directory.write_checkpoints({})
    life.disk.room = 0
    life.log.reconfigure(replace(life.options, retention_ms=1))
    life.log.apply_retention(10**15, life.log.end_offset)
    assert life.log.start_offset == life.log.end_offset
    life.check()


def test_a_replica_that_is_full_half_way_knows_what_it_has() -> None:
    leader, follower = _Life(), _Life()
    leader.append_many(11)
    data = leader.log.read(0, 10_000, leader.log.end_offset).read()
    headers = read_headers(data)
    follower.disk.room = sum(each.size for each in headers[:4]) + 10
    with pytest.raises(KafkaStorageError):
        follower.log.append_replica(data, headers)
    follower.batches = [each for each in leader.batches if each[0] < follower.log.end_offset]
    follower.check()


def test_batches_of_no_producer_are_not_known() -> None:
    life = _Life()
    fill(life.log, 20)
    assert len(life.log.producers) == 0
    life.kill_and_start()
    assert len(life.log.producers) == 0


def test_a_header_that_cannot_be_read_costs_what_is_known_of_its_batch_only() -> None:
    life = _Life(replace(OPTIONS, segment_bytes=100_000))
    life.append_many(20)
    flush(life.log)
    size = life.batches[0][1].size
    life.disk.flip_bit(LOG_PATH / segment_names(life.disk)[0], size * 12 + 3)
    life.kill_and_start()
    assert life.log.damaged
    life.batches = [each for each in life.batches if each[0] != 24]
    life.check()


def test_a_log_remembers_no_more_producers_than_it_may() -> None:
    life = _Life(replace(OPTIONS, max_producer_ids=2))
    for producer_id in range(5):
        life.append(producer_id)
    assert [each for each, _ in life.log.producers] == [3, 4]
    life.kill_and_start()
    assert [each for each, _ in life.log.producers] == [3, 4]
    life.log.reconfigure(replace(OPTIONS, max_producer_ids=3))
    life.append(9)
    assert len(life.log.producers) == 3


def test_a_retry_after_a_restart_is_found() -> None:
    life = _Life()
    life.append_many(30)
    base_offset, header = life.batches[-1]
    life.kill_and_start()
    (stored,) = life.log.producers.stored([header])
    assert stored.base_offset == base_offset
    with pytest.raises(OutOfOrderSequenceNumberError):
        life.log.producers.stored([header._replace(base_sequence=header.base_sequence + 4)])


def test_a_snapshot_that_rolls_overtook_takes_none_of_those_between_segments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """IDP-6, IDP-7: producer 99 has no batch left, and is known from such a snapshot alone."""
    monkeypatch.setattr(producers_module, "_BYTES_A_SNAPSHOT", 1)
    life = _Life()
    life.append(99)
    life.log.mark_producers()
    life.append_many(60)
    assert len(life.bases) > 4
    life.log.persist()
    assert life.snapshots == life.bases[1:]
    life.log.advance_start_offset(life.bases[2])
    life.retain(life.log.size_bytes - 2_000)
    life.truncate(life.bases[1])
    life.check()


def test_a_cut_does_not_make_a_producer_look_silent_that_was_read_before_time_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A snapshot was written by a broker that stopped before it knew of its partitions."""
    monkeypatch.setattr(producers_module, "_BYTES_A_SNAPSHOT", 1)
    life = _Life(replace(OPTIONS, segment_bytes=100_000))
    life.append_many(3)
    life.kill_and_start()
    life.stop_and_start()
    life.log.producers.begin(1_000_000)
    life.append_many(3)
    life.truncate(6)
    life.log.producers.expire(1_000_001, 60_000)
    life.check()
