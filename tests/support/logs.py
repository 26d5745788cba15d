"""Builders for tests of storage: a log on a faulty disk, what is put in and what comes out."""

from collections.abc import Sequence
from pathlib import Path

from kafkalite.config.views import LogOptions
from kafkalite.model.ids import TopicId, TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.model.record import Record
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.wire.batch import BatchHeader
from kafkalite.wire.records import decode_batches, encode_batch_with_header
from tests.support.faulty_disk import FaultyDisk

LOGS = Path("/logs")
PARTITION = TopicPartition("t", 0)
LOG_PATH = LOGS / str(PARTITION)
TOPIC_ID = TopicId("AAAAAAAAAAAAAAAAAAAAAA")
OPTIONS = LogOptions(segment_bytes=2000, index_interval_bytes=200)
MAX_BYTES = 1 << 20


def open_log(disk: FaultyDisk, options: LogOptions = OPTIONS) -> tuple[LogDirectories, Log]:
    """The one log of the tests, opened where it is there, made where it is not."""
    directories = LogDirectories([LOGS], disk)
    directories.open()
    directories.assign(0, "cluster")
    for directory, topic_partition, _ in directories.unopened():
        return directories, directory.open_log(topic_partition, options)
    return directories, directories.create_log(PARTITION, TOPIC_ID, options, is_new=True)


def batch(*values: bytes, timestamp: int = 1000) -> tuple[bytes, BatchHeader]:
    """One batch of records, all with the timestamp."""
    return encode_batch_with_header([Record(value) for value in values], now_ms=timestamp)


def append(log: Log, *values: bytes, timestamp: int = 1000, epoch: int = 0) -> int:
    """Append one batch; gives its base offset."""
    data, header = batch(*values, timestamp=timestamp)
    return log.append(data, [header], epoch)


def fill(log: Log, count: int, *, size: int = 100, epoch: int = 0) -> list[bytes]:
    """Append so many batches of one record, with timestamps 1000 + offset; gives their values."""
    values = [b"%06d" % (log.end_offset + index) + b"x" * size for index in range(count)]
    for value in values:
        append(log, value, timestamp=1000 + log.end_offset, epoch=epoch)
    return values


def flush(log: Log) -> None:
    job = log.flush_job()
    if job is not None:
        job.run()
        log.flushed(job, None)


def check(log: Log, step_bytes: int = 300) -> tuple[OffsetRange, ...]:
    """Check all of a log in small steps; gives what is damaged."""
    offset = log.start_offset
    while (segment := log.next_check(offset)) is not None:
        while segment.step(step_bytes):
            pass
        log.checked(segment)
        offset = segment.end_offset
    return log.damaged


def values(log: Log, offset: int | None = None, max_bytes: int = MAX_BYTES) -> list[bytes | None]:
    """The values of all records from `offset` on; fails on a damaged one."""
    offset = log.start_offset if offset is None else offset
    found: list[Record] = []
    while offset < log.end_offset:
        read = log.read(offset, max_bytes, log.end_offset)
        data = read.read()
        assert len(data) == read.size
        found += decode_batches(data, max_bytes=MAX_BYTES)
        assert read.next_offset > offset
        offset = read.next_offset
    assert [record.offset for record in found] == sorted({record.offset for record in found})
    return [record.value for record in found]


def segment_names(disk: FaultyDisk, suffix: str = ".log") -> Sequence[str]:
    return sorted(
        entry.name for entry in disk.list_directory(LOG_PATH) if entry.name.endswith(suffix)
    )


def log_file(base_offset: int) -> Path:
    return LOG_PATH / f"{base_offset:020d}.log"
