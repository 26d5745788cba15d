"""The invariants of docs/architecture.md, looked at from outside while a cluster runs.

None of them trusts what the product says about itself where the truth can be had elsewhere: states
are taken from ZooKeeper's model as they are written, logs from the machines' disks.
"""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.broker.partition import Partition
from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.wire.batch import BatchHeader, header_at
from kafkalite.wire.records import decode_batch
from tests.simulation.cluster import Cluster
from tests.simulation.history import History
from tests.simulation.machine import Machine
from tests.support.faulty_disk import FaultyDisk

_STATE = re.compile(r"/brokers/topics/([^/]+)/partitions/(\d+)/state")
_TOPIC = re.compile(r"/brokers/topics/([^/]+)")
_MAX_BYTES: Final = 1 << 20


class State(NamedTuple):
    """A partition's state as ZooKeeper has it."""

    leader: int
    leader_epoch: int
    isr: tuple[int, ...]
    controller_epoch: int


class Placement(NamedTuple):
    """Where a partition's replicas are."""

    replicas: tuple[int, ...]
    is_moving: bool


class StateChecker:
    """INV-3 and clean elections, at each write to ZooKeeper; also the world's map of the truth."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.states: dict[TopicPartition, State] = {}
        self.placements: dict[TopicPartition, Placement] = {}
        self.unclean: set[str] = set()
        """Topics that may elect from outside the ISR."""
        self.unclean_elections: Counter[TopicPartition] = Counter()
        """How many of them there were."""
        self.topic_ids: dict[str, str] = {}
        self.begin_anew: Callable[[str, int | None], None] = lambda *_: None
        """Told when a topic has taken another one's place, or a partition has lost records."""
        cluster.ensemble.model.on_write.append(self._hear)

    def _hear(self, path: str, data: bytes | None, _version: int) -> None:
        match = _STATE.fullmatch(path)
        if match is not None:
            self._state(TopicPartition(match[1], int(match[2])), data)
            return
        match = _TOPIC.fullmatch(path)
        if match is not None:
            self._topic(match[1], data)

    def _topic(self, name: str, data: bytes | None) -> None:
        for partition in [each for each in self.placements if each.topic == name]:
            del self.placements[partition]
        if data is None:
            self.topic_ids.pop(name, None)
            return
        payload = json.loads(data)
        if self.topic_ids.get(name) != payload["topic_id"]:
            self.topic_ids[name] = payload["topic_id"]
            self.begin_anew(name, None)
        moving = (
            payload.get("adding_replicas", {}).keys() | payload.get("removing_replicas", {}).keys()
        )
        for number, replicas in payload["partitions"].items():
            self.placements[TopicPartition(name, int(number))] = Placement(
                tuple(replicas), number in moving
            )

    def _state(self, partition: TopicPartition, data: bytes | None) -> None:
        if data is None:
            self.states.pop(partition, None)
            return
        payload = json.loads(data)
        now = State(
            payload["leader"],
            payload["leader_epoch"],
            tuple(payload["isr"]),
            payload["controller_epoch"],
        )
        before = self.states.get(partition)
        self._cluster.trace.note(
            "zookeeper",
            f"{partition} leader={now.leader} epoch={now.leader_epoch} isr={now.isr} "
            f"controller={now.controller_epoch}",
        )
        self.states[partition] = now
        self._check(partition, before, now)

    def _check(self, partition: TopicPartition, before: State | None, now: State) -> None:
        fail = self._cluster.fail
        what = f"{partition}: {before} became {now}"
        if not now.isr:
            fail(f"INV-1 the ISR is empty: {what}")
        if now.leader != NO_LEADER and now.leader not in now.isr:
            fail(f"INV-1 the leader is not in the ISR: {what}")
        placement = self.placements.get(partition)
        if placement is not None and not set(now.isr) <= set(placement.replicas):
            # One that the controller was about to write when the assignment changed is no harm.
            self._cluster.trace.note("checker", f"ISR outside of {placement.replicas}: {what}")
        if before is None:
            return
        if now.leader_epoch < before.leader_epoch:
            fail(f"INV-3 the leader epoch went back: {what}")
        if now.controller_epoch < before.controller_epoch:
            fail(f"INV-3 the controller epoch went back: {what}")
        is_other = now.leader not in {before.leader, NO_LEADER}
        if is_other and now.leader_epoch == before.leader_epoch:
            fail(f"INV-3 another leader in the same epoch: {what}")
        if is_other and now.leader not in before.isr:
            if partition.topic not in self.unclean:
                fail(f"INV-1 an unclean election: {what}")
            self.unclean_elections[partition] += 1
            self.begin_anew(*partition)


class StandingChecker:
    """INV-1, INV-3 and INV-5 on the brokers that run, from time to time."""

    def __init__(self, cluster: Cluster, states: StateChecker, history: History) -> None:
        self._cluster = cluster
        self._states = states
        self._history = history
        self._high_watermarks: dict[Partition, int] = {}
        self._leaders: dict[tuple[str, TopicPartition, int], str] = {}
        """(topic id, partition, leader epoch) -> who led."""
        self._looked_through: set[tuple[str, TopicPartition, int]] = set()

    def check(self) -> None:
        for machine in self._cluster.machines.values():
            broker = machine.broker
            if broker is None:
                continue
            for partition in broker.partitions:
                self._check(machine, partition)

    def _check(self, machine: Machine, partition: Partition) -> None:
        fail = self._cluster.fail
        name = partition.topic_partition
        start, high_watermark, end = partition.offsets
        before = self._high_watermarks.get(partition, 0)
        # What is damaged is given up, with all that comes after it, to be fetched again.
        may_lose = machine.is_damaged or name.topic in self._states.unclean
        if high_watermark < before and not may_lose:
            fail(f"INV-5 the high watermark of {name} on {machine} went from {before} to "
                 f"{high_watermark}")  # fmt: skip
        self._high_watermarks[partition] = high_watermark
        if start > 0 and not name.topic.startswith("short"):
            fail(f"INV-1 {name} on {machine} begins at {start}, but all of it is to be kept")
        if not start <= high_watermark <= end:
            fail(f"INV-5 {name} on {machine} has {partition.offsets}")
        if not partition.is_leader or machine.process is None or machine.process.is_stopped:
            return
        key = (partition.log.topic_id, name, partition.leader_epoch)
        leader = self._leaders.setdefault(key, machine.process.name)
        if leader != machine.process.name:
            fail(f"INV-3 {leader} and {machine.process.name} both led {name} in epoch {key[2]}")
        state = self._states.states.get(name)
        is_current = state is not None and state[:2] == (machine.id, key[2])
        is_current = is_current and key[0] == self._states.topic_ids.get(name.topic)
        if is_current and name in self._history.live():
            self._check_leader(machine, partition, key)

    def _check_leader(
        self, machine: Machine, partition: Partition, key: tuple[str, TopicPartition, int]
    ) -> None:
        name = partition.topic_partition
        history = self._history.of(name)
        if partition.log.failure is not None:
            return
        history.start = max(history.start, partition.log.start_offset)
        if partition.log.end_offset < history.safe_end:
            self._cluster.fail(
                f"INV-1 {machine} leads {name} in epoch {key[2]} and ends at "
                f"{partition.log.end_offset}, but records below {history.safe_end} were promised"
            )
        if key not in self._looked_through and not machine.is_damaged:
            self._looked_through.add(key)
            check_promises(self._cluster, self._history, machine, name)


def check_promises(
    cluster: Cluster, history: History, machine: Machine, partition: TopicPartition
) -> None:
    """Compare what is promised of a partition with what a machine has on its disk."""
    promised = history.promised(partition)
    log = LogOnDisk(machine, partition)
    held = {record.offset: record.value for record in log.records()}
    start = min(held, default=0)
    for offset, value in promised.items():
        if held.get(offset) != value and offset >= start:
            cluster.fail(
                f"INV-1 {partition}@{offset} is {value!r} as promised, but {machine} has "
                f"{held.get(offset)!r}"
            )
            return


class Place(NamedTuple):
    """A batch on a disk."""

    path: Path
    position: int
    header: BatchHeader


class OffsetAndValue(NamedTuple):
    """A record as it lies on a disk."""

    offset: int
    value: bytes | None


class LogOnDisk:
    """A partition's log as its files hold it, read without the product's storage."""

    def __init__(self, machine: Machine, partition: TopicPartition) -> None:
        self.machine = machine
        self._batches: list[tuple[BatchHeader, bytes]] = []
        self.places: list[Place] = []
        for directory in machine.settings.log_directories:
            for path, data in _segments(machine.disk, directory / str(partition)):
                position = 0
                for header, batch in _batches(data):
                    self._batches.append((header, batch))
                    self.places.append(Place(path, position, header))
                    position += header.size

    @property
    def end(self) -> int:
        """The offset after its last whole batch."""
        return self._batches[-1][0].next_offset if self._batches else 0

    def records(self) -> Iterator[OffsetAndValue]:
        for header, batch in self._batches:
            with contextlib.suppress(CorruptMessageError):
                for record in decode_batch(batch, header, max_bytes=_MAX_BYTES):
                    yield OffsetAndValue(record.offset, record.value)

    def bytes_by_offset(self, end: int) -> Mapping[int, bytes]:
        """Base offset -> batch, of those wholly below `end`."""
        return {
            header.base_offset: batch
            for header, batch in self._batches
            if header.next_offset <= end
        }


def _segments(disk: FaultyDisk, directory: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        names = sorted(entry.name for entry in disk.list_directory(directory))
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(".log"):
            yield directory / name, disk.content(directory / name)


def _batches(data: bytes) -> Iterator[tuple[BatchHeader, bytes]]:
    """Whole batches from the beginning of a segment on, until what is none."""
    position = 0
    while len(data) - position >= 61:
        try:
            header = header_at(data, position)
        except CorruptMessageError:
            return
        if position + header.size > len(data):
            return
        yield header, data[position : position + header.size]
        position += header.size


def check_retention(machine: Machine, partition: TopicPartition, at_least: int) -> str | None:
    """INV-1: a log whose beginning is gone still holds what it is to retain; else says so."""
    log = LogOnDisk(machine, partition)
    size = sum(place.header.size for place in log.places)
    start = log.places[0].header.base_offset if log.places else log.end
    if start > 0 and size < at_least:
        return f"INV-1 {partition} on {machine} is left with {size} bytes from {start} on"
    return None


def check_replicas(
    cluster: Cluster, states: StateChecker, partition: TopicPartition, end: int
) -> None:
    """INV-2: every replica holds the same bytes below `end`, densely."""
    logs = [
        LogOnDisk(cluster.machines[replica], partition)
        for replica in states.placements[partition].replicas
    ]
    first = logs[0].bytes_by_offset(end)
    expected = min(first, default=0)
    for header in (header_at(batch, 0) for batch in first.values()):
        if header.base_offset != expected:
            cluster.fail(
                f"INV-2 {partition} on {logs[0].machine} goes from {expected} to "
                f"{header.base_offset}"
            )
        expected = header.next_offset
    for log in logs[1:]:
        other = log.bytes_by_offset(end)
        start = max(min(first, default=0), min(other, default=0))
        for offset in sorted(first.keys() | other.keys()):
            if offset >= start and first.get(offset) != other.get(offset):
                cluster.fail(
                    f"INV-2 {partition} at {offset}: {logs[0].machine} has "
                    f"{first.get(offset)!r}, {log.machine} has {other.get(offset)!r}"
                )
                return
