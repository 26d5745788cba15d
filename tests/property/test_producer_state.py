"""What a log knows of producers against a plain model, whatever is done to it, crashes included.

IDP-1 to IDP-7 of docs/design/idempotence.md. The model keeps every batch there ever was.
"""

import contextlib
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import LogError
from kafkalite.storage import producers as producers_module
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.stamping import stamped
from kafkalite.wire.batch import BatchHeader, read_headers
from tests.support.faulty_disk import Crashed, FaultyDisk
from tests.support.idempotent import idempotent, known_from, known_of
from tests.support.logs import flush, open_log

_OPTIONS = LogOptions(
    segment_bytes=900, index_interval_bytes=150, retention_ms=10**15, file_delete_delay_ms=0
)
_STEPS = 40


@pytest.fixture(autouse=True)
def _many_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers_module, "_BYTES_A_SNAPSHOT", 400)


class _Sender:
    """A producer that keeps the rules: the next sequence, a new epoch now and then, and retries."""

    def __init__(self, producer_id: int) -> None:
        self.producer_id = producer_id
        self.epoch = 0
        self.sequence = 0

    def next(self, count: int) -> tuple[bytes, BatchHeader]:
        values = [b"%d:%d" % (self.producer_id, self.sequence + index) for index in range(count)]
        return idempotent(
            *values, sequence=self.sequence, producer_id=self.producer_id, epoch=self.epoch
        )

    def begin_epoch(self) -> None:
        self.epoch += 1
        self.sequence = 0


class ProducersAgainstModel(RuleBasedStateMachine):
    """One log through its lives; `batches` is every batch it was given that was not cut."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = FaultyDisk()
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        self.batches: list[tuple[int, BatchHeader]] = []
        self.durable = 0

    @rule(
        producer_id=st.integers(0, 3),
        counts=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        skips=st.sampled_from([-9, -2, -1, 0, 0, 0, 0, 0, 0, 1]),
        epochs=st.sampled_from([-1, 0, 0, 0, 0, 0, 0, 1]),
        as_replica=st.booleans(),
    )
    def send(
        self, producer_id: int, counts: list[int], skips: int, epochs: int, as_replica: bool
    ) -> None:
        """Batches of a producer that may have lost count; what is taken is what the model takes."""
        epoch, last = known_from(self.batches).get(producer_id, (0, []))
        due = 0
        if last:
            due = last[-1][0] + last[-1][2] - last[-1][1] + 1
        epoch = max(epoch + epochs, 0)
        sequence = 0 if epochs > 0 else max(due + skips, 0)
        headers, data = [], []
        for count in counts:
            batch, header = idempotent(
                *[b"v"] * count, sequence=sequence, producer_id=producer_id, epoch=epoch
            )
            data.append(batch)
            headers.append(header)
            sequence += count
        expected = self._new_ones(headers)
        try:
            stored = self.log.producers.stored(headers)
        except LogError:
            assert expected is None
            return
        assert expected is not None
        assert len(stored) == len(headers) - len(expected)
        for each, header in zip(stored, headers, strict=False):
            assert (each.base_offset, header) in self.batches
        if not expected:
            return
        new = b"".join(data[len(stored) :])
        base_offset = self.log.end_offset
        if as_replica:
            replicated = b"".join(stamped(new, expected, base_offset, 0)[0])
            self.log.append_replica(replicated, read_headers(replicated))
        else:
            self.log.append(new, expected, 0)
        for header in expected:
            self.batches.append((base_offset, header))
            base_offset += header.record_count

    def _new_ones(self, headers: list[BatchHeader]) -> list[BatchHeader] | None:
        """Which of them are new, told one by one and from everything there ever was; None: no."""
        batches = list(self.batches)
        new: list[BatchHeader] = []
        offset = self.log.end_offset
        for header in headers:
            epoch, last = known_from(batches).get(header.producer_id, (-1, []))
            first = header.base_sequence
            if header.producer_epoch < epoch:
                return None
            if header.producer_epoch > epoch:
                last = []
            if not new and any(
                first == sequence and header.record_count == end - start + 1
                for sequence, start, end in last
            ):
                continue
            due = last[-1][0] + last[-1][2] - last[-1][1] + 1 if last else 0
            if first != due:
                return None
            new.append(header)
            batches.append((offset, header))
            offset += header.record_count
        return new

    @rule()
    def flush(self) -> None:
        flush(self.log)
        self.durable = self.log.end_offset

    @rule()
    def checkpoint(self) -> None:
        self.log.mark_producers()
        for directory in self.directories:
            directory.write_checkpoints({self.log.topic_partition: self.durable})

    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        start = self.log.start_offset
        self.log.truncate_to(start + round(share * (self.log.end_offset - start)))
        self.batches = [
            (base, header)
            for base, header in self.batches
            if base + header.record_count <= self.log.end_offset
        ]
        self.durable = min(self.durable, self.log.end_offset)

    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        start = self.log.start_offset
        self.log.advance_start_offset(start + round(share * max(self.durable - start, 0)))

    @rule(keeps_bytes=st.integers(0, 2000))
    def retain(self, keeps_bytes: int) -> None:
        self.log.reconfigure(replace(_OPTIONS, retention_bytes=keeps_bytes))
        self.log.apply_retention(1000, self.durable)
        self.log.delete_expired_files(10**15)
        self.log.reconfigure(_OPTIONS)

    @rule()
    def stop_and_start(self) -> None:
        flush(self.log)
        self.durable = self.log.end_offset
        for directory in self.directories:
            directory.write_checkpoints({self.log.topic_partition: self.durable})
        self.directories.close()
        self.directories, self.log = open_log(self.disk, _OPTIONS)

    @rule()
    def kill_and_start(self) -> None:
        self.disk = self.disk.after_kill()
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        self.durable = self.log.end_offset

    @rule(seed=st.integers(0, 1000))
    def lose_power_and_start(self, seed: int) -> None:
        flush(self.log)
        self.disk = self.disk.after_crash(seed)
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        self.durable = self.log.end_offset

    @invariant()
    def knows_what_follows_from_all_batches(self) -> None:
        assert known_of(self.log.producers) == known_from(self.batches)


TestProducersAgainstModel = ProducersAgainstModel.TestCase
TestProducersAgainstModel.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
pytestmark = pytest.mark.slow


class _Workload:
    """Drives a log on a disk that may crash, and knows which batches may be there."""

    def __init__(self, disk: FaultyDisk, seed: int) -> None:
        self.disk = disk
        self._chance = random.Random(seed)
        self._senders = [_Sender(producer_id) for producer_id in range(3)]
        self.batches: list[tuple[int, BatchHeader]] = []
        self.cut: list[tuple[int, BatchHeader]] = []
        """What is left if the cut under way is done."""

    def run(self, steps: int) -> None:
        self.directories: LogDirectories
        self.log: Log
        self.directories, self.log = open_log(self.disk, _OPTIONS)
        actions = [self._send, self._send, self._send, self._send, self._flush, self._flush]
        actions += [self._checkpoint, self._truncate, self._retain, self._restart]
        for _ in range(steps):
            self._chance.choice(actions)()

    def check(self, log: Log) -> None:
        """What is known follows from the batches below the end, before or after a cut."""
        found = known_of(log.producers)
        possible = [
            known_from((base, header) for base, header in batches if base < log.end_offset)
            for batches in (self.batches, self.cut)
        ]
        assert found in possible

    def _send(self) -> None:
        sender = self._chance.choice(self._senders)
        if self._chance.random() < 0.05:
            sender.begin_epoch()
        data, header = sender.next(self._chance.choice([1, 2, 5]))
        self._note(self.log.end_offset, header)
        self.log.append(data, [header], 0)
        sender.sequence += header.record_count

    def _note(self, base_offset: int, header: BatchHeader) -> None:
        self.batches.append((base_offset, header))
        self.cut = self.batches

    def _flush(self) -> None:
        flush(self.log)

    def _checkpoint(self) -> None:
        self.log.mark_producers()
        for directory in self.directories:
            directory.write_checkpoints({self.log.topic_partition: self.log.durable_end_offset})

    def _truncate(self) -> None:
        if self._chance.random() < 0.5:
            return
        offset = self._chance.randint(self.log.start_offset, self.log.end_offset)
        self.cut = [
            (base, header) for base, header in self.batches if base + header.record_count <= offset
        ]
        self.log.truncate_to(offset)
        self.batches = self.cut
        for sender in self._senders:
            last = [
                header for _, header in self.batches if header.producer_id == sender.producer_id
            ]
            sender.epoch = last[-1].producer_epoch if last else sender.epoch + 1
            sender.sequence = last[-1].base_sequence + last[-1].record_count if last else 0

    def _retain(self) -> None:
        self.log.reconfigure(replace(_OPTIONS, retention_bytes=self._chance.choice([0, 500, 1500])))
        self.log.apply_retention(1000, self.log.durable_end_offset)
        self.log.delete_expired_files(10**15)
        self.log.reconfigure(_OPTIONS)

    def _restart(self) -> None:
        self._flush()
        self._checkpoint()
        self.directories.close()
        self.directories, self.log = open_log(self.disk, _OPTIONS)


def _operations(seed: int) -> int:
    disk = FaultyDisk()
    _Workload(disk, seed).run(_STEPS)
    return disk.operations


@pytest.mark.parametrize("seed", range(6))
def test_after_a_crash_anywhere_a_log_knows_what_follows_from_what_it_has(seed: int) -> None:
    for crash_at in range(_operations(seed)):
        workload = _Workload(FaultyDisk(crash_at=crash_at), seed)
        with contextlib.suppress(Crashed):
            workload.run(_STEPS)
        for lot in range(2):
            disk = workload.disk.after_crash(2 * crash_at + lot)
            _, log = open_log(disk, _OPTIONS)
            workload.check(log)
            _, log = open_log(disk.after_kill(), _OPTIONS)
            workload.check(log)
