"""Crash at every write and every fsync, and see what comes back.

INV-1 to INV-4 of docs/design/storage-format.md.

A workload of appends as a leader and as a follower, rolls, flushes, truncations, beginnings anew,
retention and checkpoints runs on a disk that crashes at its n-th operation, for every n. What the
disk then holds of unsynced data is drawn by lot. The log must come back with all that was durable,
nothing else than what was appended, and in order, and it must work on and come back again.
"""

import contextlib
import random
from collections import defaultdict
from pathlib import Path

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.ids import TopicId, TopicPartition
from kafkalite.model.record import Record
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.stamping import stamped
from kafkalite.wire.batch import BatchHeader, read_headers
from kafkalite.wire.records import decode_batches, encode_batch_with_header
from tests.support.faulty_disk import Crashed, FaultyDisk

_PATH = Path("/logs")
_PARTITION = TopicPartition("t", 0)
_TOPIC_ID = TopicId("AAAAAAAAAAAAAAAAAAAAAA")
_OPTIONS = LogOptions(segment_bytes=3000, index_interval_bytes=300, file_delete_delay_ms=0)
_MAX_BYTES = 1 << 20
_STEPS = 40


def _open(disk: FaultyDisk) -> tuple[LogDirectories, Log]:
    directories = LogDirectories([_PATH], disk, max_open_files=2)
    directories.open()
    directories.assign(0, "cluster")
    unopened = directories.unopened()
    for directory, topic_partition, topic_id in unopened:
        if topic_partition == _PARTITION and topic_id == _TOPIC_ID:
            return directories, directory.open_log(topic_partition, _OPTIONS)
    return directories, directories.create_log(_PARTITION, _TOPIC_ID, _OPTIONS, is_new=True)


def _records(log: Log) -> dict[int, bytes]:
    """Every readable record by its offset; fails where offsets are not in order."""
    found: dict[int, bytes] = {}
    offset = log.start_offset
    while offset < log.end_offset:
        damage = next((each for each in log.damaged if offset in each), None)
        if damage is not None:
            offset = damage.end
            continue
        read = log.read(offset, 700, log.end_offset)
        for record in decode_batches(read.read(), max_bytes=_MAX_BYTES):
            assert record.offset not in found
            assert not found or record.offset > max(found)
            found[record.offset] = record.value or b""
        assert read.next_offset > offset
        offset = read.next_offset
    return {offset: value for offset, value in found.items() if offset >= log.start_offset}


class _Workload:
    """Drives a log through one life of its broker after the other, and knows what it must hold."""

    def __init__(self, disk: FaultyDisk, seed: int) -> None:
        self.disk = disk
        self._chance = random.Random(seed)
        self._count = 0
        self._epoch = 0
        self.values: dict[int, bytes] = {}
        """What was appended, by offset."""
        self.epochs: dict[int, int] = {}
        """In which leader epoch."""
        self.history: dict[int, set[bytes]] = defaultdict(set)
        """Everything that was ever appended at an offset."""
        self.durable_end = 0
        self.starts = (0, 0)
        """The start offset that is durable, and one that may be."""

    def run(self, steps: int) -> None:
        """Open the log, do so many random things, flush and close it."""
        self.directories, self.log = _open(self.disk)
        self._epoch = max(self._epoch, self.log.leader_epoch) + 1
        actions = [
            self._append, self._append, self._append, self._append, self._append, self._flush,
            self._flush, self._checkpoint, self._truncate, self._retain, self._delete_records,
            self._next_epoch, self._replicate, self._replicate, self._begin_anew,
        ]  # fmt: skip
        for _ in range(steps):
            self._chance.choice(actions)()
        self._flush()
        self.directories.close()

    def live_on(self, disk: FaultyDisk) -> None:
        """Check what the next life finds on `disk`, and take it for what there is."""
        self.disk = disk
        _, log = _open(disk)
        self.check(log)
        self.values = _records(log)
        self.epochs = {offset: self.epochs.get(offset, -1) for offset in self.values}
        self.durable_end = log.end_offset
        self.starts = (log.start_offset, log.start_offset)
        # That life ends as soon as it has begun, and loses nothing by it.
        self.disk = disk.after_crash(self._chance.randrange(1000))

    def check(self, log: Log) -> None:
        """The log holds all that is durable, and nothing else than what was appended, in order."""
        found = _records(log)
        assert self.starts[0] <= log.start_offset <= self.starts[1]
        assert log.end_offset >= self.durable_end
        assert log.durable_end_offset == log.end_offset
        for offset, value in self.values.items():
            if log.start_offset <= offset < self.durable_end:
                assert found.get(offset) == value, f"durable offset {offset}"
                if self.epochs[offset] >= 0:
                    epoch, end_offset = log.epoch_end_offset(self.epochs[offset])
                    assert epoch == self.epochs[offset]
                    assert offset < end_offset
        for offset, value in found.items():
            assert value in self.history[offset], f"offset {offset} was never that"

    def _append(self) -> None:
        batches, headers, values = self._batches()
        if headers:
            self._note(self.log.end_offset, values)
            self.log.append(batches, headers, self._epoch)

    def _replicate(self) -> None:
        """Append as a follower; to an empty log sometimes from before its end on."""
        batches, headers, values = self._batches()
        if not headers:
            return
        log = self.log
        base = log.end_offset
        if log.start_offset == base and headers[0].record_count > 1 and base:
            base -= 1
        self._note(base, values)
        data = b"".join(stamped(batches, headers, base, self._epoch)[0])
        log.append_replica(data, read_headers(data))

    def _batches(self) -> tuple[bytes, list[BatchHeader], list[bytes]]:
        """Some batches, and the values of their records."""
        batches, headers = bytearray(), []
        values: list[bytes] = []
        for _ in range(self._chance.choice([1, 1, 1, 3])):
            records = []
            for _ in range(self._chance.choice([1, 1, 4])):
                self._count += 1
                size = self._chance.choice([1, 40, 300, 1100])
                records.append(Record(b"%d:" % self._count + self._chance.randbytes(size)))
            batch, header = encode_batch_with_header(records, now_ms=self._count)
            if len(batches) + len(batch) > _OPTIONS.segment_bytes:
                break
            batches += batch
            headers.append(header)
            values += [record.value or b"" for record in records]
        return bytes(batches), headers, values

    def _note(self, base_offset: int, values: list[bytes]) -> None:
        """These records are about to be appended."""
        for offset, value in enumerate(values, base_offset):
            self.history[offset].add(value)
            if offset >= self.log.end_offset:
                self.values[offset] = value
                self.epochs[offset] = self._epoch

    def _begin_anew(self) -> None:
        if self._chance.random() < 0.7:
            return
        log = self.log
        offset = self._chance.randint(max(log.start_offset - 5, 0), log.end_offset + 5)
        # Until it is done, any of it may be there.
        self.durable_end = 0
        self.starts = min(offset, log.start_offset), max(offset, log.end_offset)
        log.begin_anew_at(offset)
        self.durable_end = offset
        self.starts = (offset, offset)
        self.values.clear()
        self.epochs.clear()
        assert _records(log) == {}

    def _flush(self) -> None:
        job = self.log.flush_job()
        if job is not None:
            job.run()
            self.log.flushed(job, None)
        self.durable_end = self.log.durable_end_offset

    def _checkpoint(self) -> None:
        for directory in self.directories:
            directory.write_checkpoints({_PARTITION: self.log.durable_end_offset})

    def _truncate(self) -> None:
        if self._chance.random() < 0.7:
            return
        offset = self._chance.randint(self.log.start_offset, self.log.end_offset)
        # Until it is done, it may be done or not, down to the start of the batch.
        self.durable_end = self.log.start_offset
        self.log.truncate_to(offset)
        self.durable_end = self.log.durable_end_offset
        for gone in [each for each in self.values if each >= self.log.end_offset]:
            del self.values[gone], self.epochs[gone]

    def _retain(self) -> None:
        self.starts = (self.log.start_offset, self.log.end_offset)
        now = self._chance.choice([0, self._count + _OPTIONS.retention_ms - 10])
        self.log.apply_retention(now, self.log.durable_end_offset)
        self.log.delete_expired_files(now)
        self.starts = (self.log.start_offset, self.log.start_offset)

    def _delete_records(self) -> None:
        highest = min(self.log.durable_end_offset, self.log.start_offset + 2)
        offset = self._chance.randint(self.log.start_offset, highest)
        self.starts = (self.log.start_offset, offset)
        self.log.advance_start_offset(offset)
        self.starts = (offset, offset)

    def _next_epoch(self) -> None:
        self._epoch += 1
        self.log.begin_epoch(self._epoch)


def _operations(seed: int) -> int:
    """How many operations the first life takes when nothing happens to it."""
    disk = FaultyDisk()
    workload = _Workload(disk, seed)
    workload.run(_STEPS)
    workload.check(_open(disk.after_kill())[1])
    return disk.operations


def _run_until(workload: _Workload, crash_at: int) -> None:
    """One life, cut short at its operation `crash_at`; a life that is shorter ends well."""
    workload.disk.crash_at = crash_at
    with contextlib.suppress(Crashed):
        workload.run(_STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_crash_of_the_machine_at_any_operation_loses_nothing_durable(seed: int) -> None:
    for crash_at in range(_operations(seed)):
        for lot in range(2):
            workload = _Workload(FaultyDisk(), seed)
            _run_until(workload, crash_at)
            workload.live_on(workload.disk.after_crash(2 * crash_at + lot))
            workload.run(3)
            workload.check(_open(workload.disk.after_kill())[1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 12))
def test_one_crash_after_the_other_loses_nothing_durable(seed: int) -> None:
    chance = random.Random(seed)
    for crash_at in range(0, _operations(seed), 3):
        workload = _Workload(FaultyDisk(), seed)
        _run_until(workload, crash_at)
        for _ in range(3):
            workload.live_on(workload.disk.after_crash(chance.randrange(1000)))
            _run_until(workload, chance.randrange(40))
        workload.live_on(workload.disk.after_kill())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 16))
def test_a_crash_during_recovery_does_no_harm_either(seed: int) -> None:
    chance = random.Random(seed)
    for crash_at in range(0, _operations(seed), 2):
        workload = _Workload(FaultyDisk(), seed)
        _run_until(workload, crash_at)
        disk = workload.disk.after_crash(crash_at)
        disk.crash_at = chance.randrange(12)
        with contextlib.suppress(Crashed):
            _open(disk)
        workload.live_on(disk.after_crash(crash_at + 1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16, 19))
def test_a_process_killed_at_any_operation_loses_nothing_written(seed: int) -> None:
    for crash_at in range(_operations(seed)):
        workload = _Workload(FaultyDisk(), seed)
        _run_until(workload, crash_at)
        _, log = _open(workload.disk.after_kill())
        workload.check(log)
        assert log.damaged == ()
