"""A log: the records of one partition, in segments, with offsets that only grow."""

import contextlib
import errno
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import (
    CorruptMessageError,
    FencedLeaderEpochError,
    KafkaStorageError,
    OffsetOutOfRangeError,
)
from kafkalite.model.ids import NO_EPOCH, TopicId, TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.storage import disk_errors, timestamps
from kafkalite.storage.damage import DamagedRanges
from kafkalite.storage.deleted_files import DeletedFiles
from kafkalite.storage.flush import FlushJob, FlushProgress, Mark
from kafkalite.storage.leader_epochs import LeaderEpochs
from kafkalite.storage.log_home import LogHome
from kafkalite.storage.log_read import LogRead, LogReader
from kafkalite.storage.open_files import OpenFiles
from kafkalite.storage.producer_state import ProducerState
from kafkalite.storage.producers import Producers
from kafkalite.storage.recent_batches import RecentBatches
from kafkalite.storage.recovery import KnownOffsets, Recovery
from kafkalite.storage.replica_batches import check_continues, first_run
from kafkalite.storage.retention import expired_segments
from kafkalite.storage.scan import BrokenBatchError, DamagedStretch
from kafkalite.storage.segment import Segment
from kafkalite.storage.segment_check import SegmentCheck
from kafkalite.storage.segment_writer import SegmentWriter, check_size
from kafkalite.storage.segments import Segments
from kafkalite.storage.stamping import stamped
from kafkalite.storage.timestamps import TimestampOffset
from kafkalite.wire.batch import LENGTH_END, BatchHeader, Buffer

_SAVED_ENTRIES: Final = 256
"""A segment's indexes are written at a checkpoint when so many entries are new."""

_max_timestamp = attrgetter("max_timestamp")


class Log:
    """The log of one partition.

    One owner, one thread, no locks: only `FlushJob.run`, `LogRead.read`, `SegmentCheck.step` and
    `persist` may run on another. Opened by its log directory, usable until `close()`. After a
    failed flush or a write that could not be undone it refuses appends until the broker is started
    again: what the system's cache then says is durable may not be.
    """

    __slots__ = (
        "_damage", "_deleted", "_disk", "_epochs", "_flushing", "_home", "_open_files", "_options",
        "_producers", "_reader", "_segments", "_writer", "directory", "durable_end_offset",
        "end_offset", "failure", "leader_epoch", "producers", "recent", "start_offset", "topic_id",
        "topic_partition",
    )  # fmt: skip

    def __init__(
        self,
        topic_partition: TopicPartition,
        topic_id: TopicId,
        directory: Path,
        home: LogHome,
        open_files: OpenFiles,
        options: LogOptions,
    ) -> None:
        self.topic_partition = topic_partition
        self.topic_id = topic_id
        self.directory = directory
        self.start_offset = 0
        """First readable offset; start_offset <= durable_end_offset <= end_offset."""
        self.end_offset = 0
        """What the next record will get."""
        self.durable_end_offset = 0
        """Everything below survives a crash of the machine."""
        self.leader_epoch = NO_EPOCH
        """Latest epoch, NO_EPOCH before there is one."""
        self._home = home
        self._open_files = open_files
        self._disk = open_files.disk
        self._options = options
        self._epochs = LeaderEpochs(self._disk, directory)
        self._damage = DamagedRanges(self._disk, directory)
        self.producers = ProducerState(options.max_producer_ids)
        """What is known of the idempotent producers of its batches."""
        self._producers = Producers(self._disk, directory, self.producers)
        self._segments = Segments()
        self._writer = SegmentWriter(
            directory, open_files, self._segments, options.index_interval_bytes, self._failed
        )
        self._reader = LogReader(self._disk, topic_partition, self._segments)
        self.failure: KafkaStorageError | None = None
        """Why the log refuses appends, if it does."""
        self._deleted = DeletedFiles(self._disk)
        self.recent: RecentBatches | None = None
        """Keeps what is appended, while there are followers who will want it soon."""

    # -- life -----------------------------------------------------------------------------------

    def open(self, known: KnownOffsets, *, is_clean: bool) -> None:
        """Read and, after an unclean stop, mend what is on disk. May run in any thread.

        Raises:
            OSError: the disk failed.
        """
        found = Recovery(
            self.directory,
            self._open_files,
            self._options.index_interval_bytes,
            self._epochs,
            self._damage,
            known,
            is_clean=is_clean,
        ).run()
        for segment in found.segments:
            self._segments.add(segment)
        active = self._segments.active
        self.start_offset = found.start_offset
        self.end_offset = self.durable_end_offset = found.end_offset
        self._flushing = FlushProgress(Mark(found.end_offset, active, active.size))
        self.leader_epoch = self._epochs.latest
        self._producers.open(found.segments, found.end_offset)

    def mark_producers(self) -> None:
        """Have the next `persist` write down the producers, if the log has grown by much."""
        self._producers.mark(self._segments.active, self.end_offset)

    def persist(self) -> None:
        """Write what a recovery is shorter with, or needs: epochs, grown indexes, producers.

        To be called, in any thread, before a recovery point of this log becomes durable.

        Raises:
            OSError: the disk failed.
        """
        self._epochs.save(self.end_offset)
        active = self._segments.active
        if active.unsaved_entries >= _SAVED_ENTRIES:
            active.save_indexes()
        self._producers.save()

    def close(self) -> None:
        """Let go of the files; what is not flushed is not durable."""
        if self.failure is None:
            self._producers.close(self.end_offset)
        for segment in self._segments:
            if self.failure is None:
                segment.save_indexes()
            segment.close()
        self._reader.forget()

    def fail(self, error: KafkaStorageError) -> None:
        """Refuse appends from now on; reads go on."""
        if self.failure is None:
            self.failure = error

    @property
    def size_bytes(self) -> int:
        return self._segments.size_bytes

    @property
    def damaged(self) -> tuple[OffsetRange, ...]:
        """Offsets that were given to records which can no longer be read, ascending."""
        return self._damage.ranges

    def reconfigure(self, options: LogOptions) -> None:
        """Go by other options from the next roll on."""
        self._options = options
        self.producers.max_producers = options.max_producer_ids
        self._writer.index_interval_bytes = options.index_interval_bytes

    # -- epochs ---------------------------------------------------------------------------------

    def begin_epoch(self, leader_epoch: int) -> None:
        """Begin a leader epoch at the end of the log; an older or the same one changes nothing."""
        self._epochs.assign(leader_epoch, self.end_offset)
        self.leader_epoch = self._epochs.latest

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above `epoch`, and its end; (NO_EPOCH, NO_OFFSET) if none."""
        return self._epochs.end_offset_for(epoch, self.end_offset)

    def _forget_empty_epochs(self) -> None:
        self._epochs.truncate_to(self.end_offset)
        self.leader_epoch = self._epochs.latest

    # -- appending ------------------------------------------------------------------------------

    def append(self, batches: Buffer, headers: Sequence[BatchHeader], leader_epoch: int) -> int:
        """Write whole batches at the end, with a leader's epoch; gives the first one's offset.

        Args:
            batches: one or more batches back to back, bytes-like.
            headers: the header of each.
            leader_epoch: not below the log's.

        Raises:
            RecordListTooLargeError: more bytes than a segment holds.
            FencedLeaderEpochError: the log has records of a later epoch.
            KafkaStorageError: the disk is full or failed; nothing was appended.
        """
        if self.failure is not None:
            raise KafkaStorageError(self.failure.detail)
        if leader_epoch < self.leader_epoch:
            latest = f"{self.topic_partition} has records of epoch {self.leader_epoch}"
            raise FencedLeaderEpochError(f"{latest}, later than {leader_epoch}")
        if leader_epoch > self.leader_epoch:
            self.begin_epoch(leader_epoch)
        size = len(batches)
        base_offset = self.end_offset
        buffers, next_offset = stamped(batches, headers, base_offset, leader_epoch)
        segment = self._writer.ready()
        newest = max(map(_max_timestamp, headers))
        if segment.is_full(size, next_offset, newest, self._options):
            check_size(size, self._options, self.topic_partition)
            segment = self._roll()
        self._writer.write(segment, buffers, size)
        offset = base_offset
        for header in headers:
            next_offset = offset + header.last_offset_delta + 1
            size_of_batch = header.batch_length + LENGTH_END
            segment.note(offset, next_offset, size_of_batch, header.max_timestamp)
            if header.producer_id >= 0:
                self.producers.note(header, offset)
            offset = next_offset
        self.end_offset = offset
        if self.recent is not None:
            self.recent.note(base_offset, headers, buffers)
        return base_offset

    def append_replica(self, batches: Buffer, headers: Sequence[BatchHeader]) -> None:
        """Write batches as their leader stored them, with its offsets and epochs, at the end.

        Each segment takes as many as it has room for, and one batch however large it is. Where the
        log holds nothing, the first batch may begin before its end: the leader deleted records up
        to the middle of a batch.

        Args:
            batches: one or more intact batches back to back, bytes-like.
            headers: the header of each; each continues the offsets of the one before.

        Raises:
            CorruptMessageError: they do not continue the log, or an epoch is below an earlier one.
            KafkaStorageError: the disk is full or failed; what fits before the failure is appended.
        """
        if self.failure is not None:
            raise KafkaStorageError(self.failure.detail)
        first = headers[0]
        if first.leader_epoch < self.leader_epoch:
            self._forget_empty_epochs()
        check_continues(headers, self.start_offset, self.end_offset, self.leader_epoch)
        view = memoryview(batches)
        if first.base_offset < self.end_offset:
            self._append_straddling(view[: first.size], first)
            view, headers = view[first.size :], headers[1:]
        while headers:
            segment = self._writer.ready()
            count, size = first_run(segment, headers, self._options)
            if count:
                self._writer.write(segment, (view[:size],), size)
                for header in headers[:count]:
                    self._count(segment, header)
                view, headers = view[size:], headers[count:]
            else:
                self._roll()

    def _count(self, segment: Segment, header: BatchHeader) -> None:
        """Take in a replicated batch that was written at the end of `segment`."""
        if header.leader_epoch > self.leader_epoch:
            self._epochs.assign(header.leader_epoch, header.base_offset)
            self.leader_epoch = header.leader_epoch
        next_offset = header.base_offset + header.last_offset_delta + 1
        segment.note(
            header.base_offset, next_offset, header.batch_length + LENGTH_END, header.max_timestamp
        )
        if header.producer_id >= 0:
            self.producers.note(header, header.base_offset)
        self.end_offset = next_offset

    def _append_straddling(self, batch: memoryview, header: BatchHeader) -> None:
        """Write the batch that holds the end of an empty log: a segment has to begin with it."""
        segment = self._writer.write_first(header.base_offset, batch)
        self._reader.forget()
        before = self._segments.replace_all(segment)
        self._flushing.rolls += 1
        self._producers.begin_within(header.base_offset)
        # Until the next flush the machine may come back without it: the log is empty again then.
        self._count(segment, header)
        try:
            for dropped in before:
                dropped.remove()
        except OSError as error:
            raise self._failed(error, is_final=True) from error

    def _failed(self, error: OSError, *, is_final: bool = False) -> KafkaStorageError:
        """What to raise for an error of the disk; the log fails unless the trouble passes."""
        if not is_final and disk_errors.passes(error):
            return disk_errors.passing(error, self.topic_partition, self.directory.parent)
        self.fail(disk_errors.final(error, self.directory.parent))
        assert self.failure is not None
        self._home.disk_failed(error)
        return self.failure

    # -- rolling --------------------------------------------------------------------------------

    def _roll(self) -> Segment:
        """A new active segment; the present one if it is empty."""
        if self._writer.roll(self.end_offset, self._producers.begin_segment):
            self._flushing.rolls += 1
        return self._segments.active

    # -- flushing -------------------------------------------------------------------------------

    @property
    def records_since_flush(self) -> int:
        return self.end_offset - self.durable_end_offset

    def flush_job(self) -> FlushJob | None:
        """What makes everything appended so far durable; None when it is, or no longer can be."""
        if self.failure is not None:
            return None
        job = self._flushing.job(self._disk, self.directory, self._segments, self.end_offset)
        if job is not None:
            job.add(self._producers.unsynced())
        return job

    def flushed(self, job: FlushJob, error: Exception | None) -> None:
        """Take in the outcome of a job: the durable end advances, or the log fails.

        After a failed fsync the system may have thrown the pages away and call the next one a
        success. So there is no second try.
        """
        if error is not None:
            as_os_error = error if isinstance(error, OSError) else OSError(errno.EIO, str(error))
            self._failed(as_os_error, is_final=True)
            return
        self._flushing.done(job.covers)
        self.durable_end_offset = self._flushing.durable.offset

    # -- reading --------------------------------------------------------------------------------

    def read(self, offset: int, max_bytes: int, end_offset: int) -> LogRead:
        """Whole batches from the one that holds `offset`, all below `end_offset`.

        As many as fit in `max_bytes`, or a little fewer, of one segment; at least one.

        Raises:
            OffsetOutOfRangeError: not start_offset <= offset < end_offset.
            CorruptMessageError: `offset` is in a damaged range; the text says where it ends.
            KafkaStorageError: the disk failed.
        """
        end_offset = min(end_offset, self.end_offset)
        if not self.start_offset <= offset < end_offset:
            raise OffsetOutOfRangeError(
                f"{self.topic_partition} can be read from {self.start_offset} to {end_offset}, "
                f"not at {offset}"
            )
        try:
            try:
                return self._find(offset, max_bytes, end_offset)
            except BrokenBatchError:
                # An index that misled, or bytes that changed: the second look knows which.
                self.inspect(offset)
                return self._find(offset, max_bytes, end_offset)
        except BrokenBatchError as error:
            raise CorruptMessageError(f"{self.topic_partition} at {offset}: {error}") from error
        except OSError as error:
            directory = self.directory.parent
            raise disk_errors.unreadable(error, self.topic_partition, directory) from error

    def _find(self, offset: int, max_bytes: int, end_offset: int) -> LogRead:
        return self._reader.find(
            offset,
            max_bytes,
            end_offset,
            damaged=self._damage.ranges,
            durable=self._flushing.durable,
        )

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        return disk_errors.reading(self.topic_partition, self.directory.parent)

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record, from the start offset on, with a timestamp at or above `timestamp`.

        Raises:
            KafkaStorageError: the disk failed.
        """
        with self._reading():
            return timestamps.first_at_or_above(self._segments, timestamp, self.start_offset)

    def max_timestamp_offset(self) -> TimestampOffset | None:
        """The first record among those with the largest timestamp; None in an empty log.

        Raises:
            KafkaStorageError: the disk failed.
        """
        with self._reading():
            return timestamps.largest(self._segments, self.start_offset)

    # -- damage ---------------------------------------------------------------------------------

    def next_check(self, offset: int) -> SegmentCheck | None:
        """What checks the first segment with records at or above `offset`; None: there is none."""
        for segment in self._segments:
            if segment.size and segment.end_offset > offset:
                known, truncations = self._epochs.entries, self._flushing.truncations
                is_active = segment is self._segments.active
                return SegmentCheck(self._disk, segment, known, truncations, is_active=is_active)
        return None

    def is_current(self, check: SegmentCheck) -> bool:
        """Whether what a check looks at is still there, and still the same."""
        return check.truncations == self._flushing.truncations and check.segment in self._segments

    def checked(self, check: SegmentCheck) -> None:
        """Take in the outcome of a check: what is damaged is refused from now on.

        Raises:
            KafkaStorageError: the disk failed.
        """
        if self.is_current(check):
            self._take_damage(check.segment, check.damaged)

    def inspect(self, offset: int) -> None:
        """Check the batches around `offset`, one of which a reader could not make sense of.

        What is damaged is refused from now on.

        Raises:
            KafkaStorageError: the disk failed.
        """
        with self._reading():
            segment = self._segments.holding(offset)
            damaged = segment.inspect(offset, self._epochs.entries)
        self._take_damage(segment, damaged)

    def _take_damage(self, segment: Segment, damaged: Sequence[DamagedStretch]) -> None:
        with self._reading():
            for stretch in damaged:
                segment.pass_over(stretch)
        found = (stretch.offsets for stretch in damaged)
        if self._damage.note(found, self.start_offset, self.end_offset):
            self._home.damage_found(self.topic_partition)

    # -- deleting -------------------------------------------------------------------------------

    def advance_start_offset(self, offset: int) -> None:
        """Let nobody read below `offset` any more, for good; at most the end offset.

        Raises:
            KafkaStorageError: it could not be made durable, and was not done.
        """
        before = self.start_offset
        if offset <= before:
            return
        self.start_offset = min(offset, self.end_offset)
        try:
            self._producers.rely_on(self.start_offset)
            self._home.start_offset_moved()
        except OSError as error:
            self.start_offset = before
            raise self._failed(error) from error
        self._epochs.drop_before(self.start_offset)
        self._damage.clip(self.start_offset, self.end_offset)

    def apply_retention(self, now_ms: int, high_watermark: int) -> int:
        """Delete the segments that are no longer kept; gives how many.

        Their files stay, renamed, for `file_delete_delay_ms`.

        Raises:
            KafkaStorageError: the disk is full or failed.
        """
        with self._reading():
            count = expired_segments(
                (segment.age() for segment in self._segments),
                self._options,
                total_bytes=self.size_bytes,
                now_ms=now_ms,
                start_offset=self.start_offset,
                high_watermark=high_watermark,
            )
        if not count:
            return 0
        if count == len(self._segments):
            with contextlib.suppress(OSError):  # the roll tells of it
                self._home.write_though_full(lambda: self._producers.snapshot(self.end_offset))
            self._roll()
        first = self._segments[count].base_offset
        due = now_ms + self._options.file_delete_delay_ms
        try:
            self.advance_start_offset(first)
            self._reader.forget()
            for segment in self._segments.drop_first(count):
                self._deleted.add(segment.rename_deleted(), due)
            self._producers.drop_before(first)
        except OSError as error:
            raise self._failed(error) from error
        return count

    def delete_expired_files(self, now_ms: int) -> None:
        """Remove the files of deleted segments whose delay is over. Raises OSError."""
        self._deleted.remove_due(now_ms)

    def truncate_to(self, offset: int) -> None:
        """Drop the records from `offset` on, and the whole batch that holds it; durable on return.

        Epochs that began at the end and have no records go in any case: the next leader may never
        have heard of them.

        Raises:
            KafkaStorageError: the disk failed.
        """
        offset = max(offset, self.start_offset)
        if offset >= self.end_offset:
            self._forget_empty_epochs()
            return
        for damage in self.damaged:
            if offset in damage:
                offset = damage.start
        try:
            segment = self._segments.holding(offset)
            position, offset = segment.boundary_at(offset)
            self._home.lower_checkpoints(self, max(offset, self.start_offset))
            self._truncate(segment, position, offset)
        except OSError as error:
            raise self._failed(error, is_final=True) from error

    def _truncate(self, segment: Segment, position: int, offset: int) -> None:
        self._reader.forget()
        self._producers.restore(self._segments, offset)  # while the batches below are there
        if offset < self.start_offset:
            # The batch that holds the start offset goes; nothing is left, and it begins there.
            self._producers.snapshot(self.start_offset, durable=True)
            segment, position, offset = self._start_anew(), 0, self.start_offset
        else:
            for dropped in self._segments.drop_after(segment):
                dropped.remove()
            segment.cut(position, offset)
        self._disk.sync_directory(self.directory)
        self.end_offset = offset
        self._flushing.truncated(Mark(offset, segment, position))
        self.durable_end_offset = self._flushing.durable.offset
        self._epochs.truncate_to(offset)
        self.leader_epoch = self._epochs.latest
        self._damage.clip(self.start_offset, offset)
        self._damage.save()

    def begin_anew_at(self, offset: int) -> None:
        """Drop everything: the log is empty and begins at `offset`; durable on return.

        After a crash on the way some of it may be there, or nothing.

        Raises:
            KafkaStorageError: the disk failed.
        """
        try:
            self._home.lower_checkpoints(self, min(offset, self.start_offset))
            self._begin_anew_at(offset)
        except OSError as error:
            raise self._failed(error, is_final=True) from error

    def _begin_anew_at(self, offset: int) -> None:
        self._reader.forget()
        self._producers.clear()
        for segment in self._segments:
            segment.remove()
        # Before the epochs go: records must never be there without theirs.
        self._disk.sync_directory(self.directory)
        self._epochs.truncate_to(0)
        self._epochs.save(0)
        segment = self._writer.new_segment(offset)
        segment.create()
        self._segments.replace_all(segment)
        self._disk.sync_directory(self.directory)
        self.end_offset = offset
        self._flushing.restarted(Mark(offset, segment, 0))
        self.durable_end_offset = offset
        self.leader_epoch = self._epochs.latest
        if offset != self.start_offset:
            self.start_offset = offset
            self._home.start_offset_moved()
        self._damage.clip(offset, offset)
        self._damage.save()

    def _start_anew(self) -> Segment:
        segment = self._writer.new_segment(self.start_offset)
        segment.create()
        for dropped in self._segments.replace_all(segment):
            dropped.remove()
        return segment
