"""The log against a plain list: whatever is done to it, it reads like the list would."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kafkalite.config.views import LogOptions
from kafkalite.model.record import Record
from kafkalite.wire.records import decode_batches, encode_batch_with_header
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import MAX_BYTES, flush, open_log

_OPTIONS = LogOptions(segment_bytes=900, index_interval_bytes=150, retention_ms=10**15)
_FIRST_TIMESTAMP = 1000


class LogAgainstList(RuleBasedStateMachine):
    """One log through its lives; `records` is what the list holds at each offset."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = FaultyDisk()
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        self.records: list[tuple[int, bytes]] = []
        self.batch_starts: list[int] = []
        self.start = 0
        self.durable = 0
        self.epoch = 0

    @rule(
        batches=st.lists(
            st.lists(
                st.tuples(st.integers(_FIRST_TIMESTAMP, 1100), st.binary(max_size=100)),
                min_size=1,
                max_size=4,
            ),
            min_size=1,
            max_size=2,
        )
    )
    def append(self, batches: list[list[tuple[int, bytes]]]) -> None:
        data, headers = b"", []
        for records in batches:
            batch, header = encode_batch_with_header(
                [Record(value, timestamp=timestamp) for timestamp, value in records], now_ms=0
            )
            data += batch
            headers.append(header)
        assert self.log.append(data, headers, self.epoch) == len(self.records)
        for records in batches:
            self.batch_starts.append(len(self.records))
            self.records += records

    @rule(timestamps=st.lists(st.integers(_FIRST_TIMESTAMP, 1100), min_size=3, max_size=8))
    def append_many(self, timestamps: list[int]) -> None:
        """Enough to roll a segment now and then."""
        for timestamp in timestamps:
            self.append([[(timestamp, b"x" * (timestamp % 97))]])

    @rule()
    def flush(self) -> None:
        flush(self.log)
        self.durable = len(self.records)

    @rule()
    def begin_epoch(self) -> None:
        self.epoch += 1
        self.log.begin_epoch(self.epoch)

    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        offset = self.start + round(share * (len(self.records) - self.start))
        self.log.truncate_to(offset)
        if offset < len(self.records):
            offset = max([start for start in self.batch_starts if start <= offset], default=offset)
        self.batch_starts = [start for start in self.batch_starts if start < offset]
        # Where the start offset is inside of the batch that goes, nothing is left.
        offset = max(offset, self.start)
        del self.records[offset:]
        self.durable = min(self.durable, offset)
        assert self.log.end_offset == offset

    @precondition(lambda self: self.durable > self.start)
    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        self.start += round(share * (self.durable - self.start))
        self.log.advance_start_offset(self.start)

    @rule(keeps_bytes=st.integers(0, 3000))
    def retain(self, keeps_bytes: int) -> None:
        self.log.reconfigure(LogOptions(segment_bytes=900, retention_bytes=keeps_bytes))
        self.log.apply_retention(_FIRST_TIMESTAMP, self.durable)
        self.log.reconfigure(_OPTIONS)
        assert self.start <= self.log.start_offset <= max(self.durable, self.start)
        self.start = self.log.start_offset

    @rule()
    def roll(self) -> None:
        """Begin a segment whenever there is one to end, as if its index were full."""
        self.log.reconfigure(LogOptions(segment_bytes=900, segment_index_bytes=1))
        self.append([[(_FIRST_TIMESTAMP, b"first of its segment")]])
        self.log.reconfigure(_OPTIONS)

    @rule()
    def stop_and_start(self) -> None:
        flush(self.log)
        for directory in self.directories:
            directory.write_checkpoints({self.log.topic_partition: self.log.end_offset})
        self.directories.close()
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        self.durable = len(self.records)
        self.epoch = max(self.epoch, self.log.leader_epoch)

    @rule()
    def kill_and_start(self) -> None:
        self.disk = self.disk.after_kill()
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        self.durable = len(self.records)

    @rule(share=st.floats(0, 1), max_bytes=st.integers(1, 2000))
    def read(self, share: float, max_bytes: int) -> None:
        if self.start == len(self.records):
            return
        offset = self.start + int(share * (len(self.records) - self.start - 1))
        read = self.log.read(offset, max_bytes, len(self.records))
        found = list(decode_batches(read.read(), max_bytes=MAX_BYTES))
        assert found[0].offset <= offset < read.next_offset
        assert [(record.timestamp, record.value) for record in found] == self.records[
            found[0].offset : read.next_offset
        ]

    @rule(timestamp=st.integers(_FIRST_TIMESTAMP - 1, 1101))
    def look_up_by_time(self, timestamp: int) -> None:
        expected = next(
            (
                (self.records[offset][0], offset)
                for offset in range(self.start, len(self.records))
                if self.records[offset][0] >= timestamp
            ),
            None,
        )
        assert self.log.offset_for_timestamp(timestamp) == expected

    @rule()
    def look_up_the_largest_timestamp(self) -> None:
        held = [(self.records[at][0], -at) for at in range(self.start, len(self.records))]
        expected = max(held, default=None)
        found = self.log.max_timestamp_offset()
        assert (found and (found.timestamp, -found.offset)) == expected

    @invariant()
    def offsets_agree(self) -> None:
        assert self.log.start_offset == self.start
        assert self.log.end_offset == len(self.records)
        assert self.durable <= self.log.durable_end_offset
        assert self.log.damaged == ()


TestLogAgainstList = pytest.mark.slow(LogAgainstList.TestCase)
TestLogAgainstList.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
