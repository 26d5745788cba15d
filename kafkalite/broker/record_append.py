"""The produce path of any language: choose partitions, make batches of records, append them."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Final, NamedTuple

from kafkalite.broker.append import as_stored, check_acks, failure_of, failures_of
from kafkalite.broker.appended import Appended
from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.gathering import Gathering, Then
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.record_chunks import chunks, share_a_batch
from kafkalite.broker.record_place import RecordPlace, ValuesPlace
from kafkalite.broker.remote_records import RemoteRecords
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError
from kafkalite.model.partitioning import partition_for_key
from kafkalite.model.record import Record
from kafkalite.wire.messages import ACKS_ALL
from kafkalite.wire.record_bodies import IncomingRecord
from kafkalite.wire.records import encode_batch_with_header, encode_one, encode_values

_TRIES: Final = 8
"""Partitions drawn before a record is sent to one that has no leader."""
_YIELD_BYTES: Final = 256 << 10
"""Let others run after a batch of this size."""

_log = logging.getLogger(__name__)


class _Run(NamedTuple):
    """Records of one request that share a batch."""

    partition: Partition
    appended: Appended
    indexes: list[int]
    committed: asyncio.Future[None] | None
    """What `Partition.committed` gave; None where nobody waits."""


class RecordAppendPath:
    """Appends records one by one or many at a time, as they come over HTTP. Lives on the loop."""

    def __init__(
        self,
        partitions: PartitionTable,
        remote: RemoteRecords,
        forwarding: Forwarding,
        clock: Clock,
        probe: DataProbe,
    ) -> None:
        self._partitions = partitions
        self._remote = remote
        self._forwarding = forwarding
        self._clock = clock
        self._probe = probe
        self._gathering = Gathering(remote, forwarding, clock, probe)

    async def append(
        self, topic: str, incoming: Sequence[IncomingRecord], *, acks: int, timeout_ms: int
    ) -> list[RecordPlace]:
        """Append each record to the partition it names, or its key chooses, or else one for all.

        Gives the place of each record, in their order.

        Raises:
            LogError: nothing was appended: the topic is not there, or `acks` is illegal.
        """
        check_acks(acks)
        self._probe.produce_requests += 1
        acks_all = acks == ACKS_ALL
        if len(incoming) == 1:
            return [await self._append_one(topic, incoming[0], acks, timeout_ms)]
        places = [_NOWHERE] * len(incoming)
        runs: list[_Run] = []
        elsewhere: dict[int, list[int]] = {}
        for number, indexes in (await self._group(topic, incoming)).items():
            try:
                partition = await self._partitions.find(topic, number)
                partition.check_leads()
            except LogError as error:
                if self._forwarding.may_help(topic, number, error):
                    elsewhere[number] = indexes
                else:
                    self._refuse(indexes, number, error, places)
                continue
            for chunk in chunks(incoming, indexes, partition.settings.batch_target_bytes):
                batch, header = encode_batch_with_header(
                    [incoming[index].record for index in chunk], now_ms=self._clock.wall_ms()
                )
                try:
                    stored, header = await as_stored(partition, batch, header)
                    appended = partition.append(stored, (header,), acks_all=acks_all)
                except LogError as error:
                    self._refuse(chunk, number, error, places)
                    continue
                self._probe.appended(len(chunk), len(batch))
                # Asked for now: this broker may stop leading while the rest is appended.
                committed = (
                    partition.committed(appended.end_offset, timeout_ms) if acks_all else None
                )
                runs.append(_Run(partition, appended, chunk, committed))
                if len(batch) >= _YIELD_BYTES:
                    await asyncio.sleep(0)
        _note(runs, places)
        if elsewhere:
            await self._append_elsewhere(topic, incoming, elsewhere, places, acks, timeout_ms)
        await self._wait(runs, places)
        return places

    async def append_values(
        self, topic: str, values: Sequence[bytes | None], named: int | None, *, timeout_ms: int
    ) -> ValuesPlace | None:
        """Append records that have nothing but values to one partition, in one batch (acks=all).

        As `append`, but for what it costs: without an object for each record. None: nothing was
        done, as something about them is unusual; `append` knows what.

        Args:
            topic: the topic.
            values: one or more.
            named: the partition; None: any one.
            timeout_ms: how long they may take to be safe.
        """
        try:
            partition = self._partition_of_values(topic, values, named)
            if partition is None:
                return None
            batch, header = encode_values(values, self._clock.wall_ms())
            stored, header = await as_stored(partition, batch, header)
            appended = partition.append(stored, (header,), acks_all=True)
        except LogError:
            return None
        self._note_values(values, batch)
        committed = partition.committed(appended.end_offset, timeout_ms)
        failure = await failure_of(committed) if committed is not None else None
        self._probe.produce_errors += failure is not None
        return ValuesPlace(partition.topic_partition.partition, appended.base_offset, failure)

    def begin_values(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        named: int | None,
        timeout_ms: int,
        then: Callable[[ValuesPlace], None],
    ) -> bool:
        """As `append_values`, without a task: `then` is told their place, at once or later.

        False: nothing was done. For few: they are encoded, and compressed, at once.
        """
        try:
            partition = self._partition_of_values(topic, values, named)
            if partition is None:
                return False
            batch, header = encode_values(values, self._clock.wall_ms())
            appended = partition.append_built(batch, header, acks_all=True)
        except LogError:
            return False
        self._note_values(values, batch)
        place = ValuesPlace(partition.topic_partition.partition, appended.base_offset)
        committed = partition.committed(appended.end_offset, timeout_ms)
        if committed is None:
            _tell(then, place)
        else:
            committed.add_done_callback(lambda done: _tell(then, self._settled(place, done)))
        return True

    def _partition_of_values(
        self, topic: str, values: Sequence[bytes | None], named: int | None
    ) -> Partition | None:
        """Where records that have nothing but values go in one batch; None: not so simply.

        Raises:
            LogError: there is no such partition here.
        """
        if named is None:
            count = self._partitions.known_count(topic)
            if count is None:
                return None
            named = self._choose_for(_KEYLESS, topic, count)
        partition = self._partitions.get(topic, named)
        fits = share_a_batch(values, partition.settings.batch_target_bytes)
        return partition if partition.is_leader and fits else None

    def _note_values(self, values: Sequence[bytes | None], batch: Sized) -> None:
        self._probe.produce_requests += 1
        self._probe.appended(len(values), len(batch))

    def _settled(self, place: ValuesPlace, done: asyncio.Future[None]) -> ValuesPlace:
        failure = done.exception()
        if not isinstance(failure, LogError):
            return place
        self._probe.produce_errors += 1
        return place._replace(error=failure)

    async def _append_elsewhere(
        self,
        topic: str,
        incoming: Sequence[IncomingRecord],
        groups: Mapping[int, list[int]],
        places: list[RecordPlace],
        acks: int,
        timeout_ms: int,
    ) -> None:
        for index, place in await self._remote.append(
            topic, incoming, groups, acks=acks, timeout_ms=timeout_ms
        ):
            self._probe.produce_errors += place.error is not None
            places[index] = place

    def begin(
        self, topic: str, incoming: IncomingRecord, *, acks: int, timeout_ms: int, then: Then
    ) -> bool:
        """Append one record as `append` does, without a task: `then` is told its place later.

        False: nothing was done, as something must be waited for first, or refused.
        """
        record, number = incoming
        try:
            check_acks(acks)
            if number is None:
                count = self._partitions.known_count(topic)
                if count is None:
                    return False
                number = self._choose_for(record, topic, count)
            partition = self._partitions.get(topic, number)
        except LogError:
            return False
        if not partition.is_leader or not self._gathering.takes(record, partition):
            return False
        self._probe.produce_requests += 1
        self._gathering.append(
            record, partition, acks_all=acks == ACKS_ALL, timeout_ms=timeout_ms, then=then
        )
        return True

    async def _append_one(
        self, topic: str, incoming: IncomingRecord, acks: int, timeout_ms: int
    ) -> RecordPlace:
        """The way of most requests, without the lists that several records need."""
        record, number = incoming
        acks_all = acks == ACKS_ALL
        if number is None:
            number = self._choose_for(record, topic, await self._partitions.partition_count(topic))
        try:
            partition = await self._partitions.find(topic, number)
            partition.check_leads()
            if self._gathering.takes(record, partition):
                return await self._gathering.wait(
                    record, partition, acks_all=acks_all, timeout_ms=timeout_ms
                )
            value, key, timestamp, headers, _ = record
            if timestamp < 0:
                timestamp = self._clock.wall_ms()
            batch, header = encode_one(value, key, headers, timestamp)
            stored, header = await as_stored(partition, batch, header)
            appended = partition.append(stored, (header,), acks_all=acks_all)
        except LogError as error:
            if self._forwarding.may_help(topic, number, error):
                places = [_NOWHERE]
                await self._append_elsewhere(
                    topic, [incoming], {number: [0]}, places, acks, timeout_ms
                )
                return places[0]
            self._probe.produce_errors += 1
            return RecordPlace(number, -1, error)
        self._probe.appended(1, len(batch))
        if acks_all:
            committed = partition.committed(appended.end_offset, timeout_ms)
            failure = await failure_of(committed) if committed is not None else None
            if failure is not None:
                self._probe.produce_errors += 1
                return RecordPlace(number, appended.base_offset, failure)
        return RecordPlace(number, appended.base_offset)

    async def _group(self, topic: str, incoming: Sequence[IncomingRecord]) -> dict[int, list[int]]:
        """Indexes of the records by the partition that each one goes to."""
        count = await self._partitions.partition_count(topic)
        groups: dict[int, list[int]] = {}
        chosen: int | None = None
        for index, (record, named) in enumerate(incoming):
            if named is not None:
                number = named
            elif record.key is None and chosen is not None:
                number = chosen  # records without a key stay together
            else:
                number = self._choose_for(record, topic, count)
                if record.key is None:
                    chosen = number
            groups.setdefault(number, []).append(index)
        return groups

    def _choose_for(self, record: Record, topic: str, count: int) -> int:
        """Where a record goes by its key; without one, to any partition that this broker leads.

        Where it leads none, to one that has a leader.
        """
        if record.key is not None:
            return partition_for_key(record.key, count)
        led = self._partitions.led_partitions(topic)
        if led:
            return random.choice(led)
        for _ in range(_TRIES):
            number = random.randrange(count)
            if self._forwarding.leader_of(topic, number) is not None:
                break
        return number

    async def _wait(self, runs: list[_Run], places: list[RecordPlace]) -> None:
        waits = [(run.indexes, run.committed) for run in runs if run.committed is not None]
        failures = await failures_of([committed for _, committed in waits])
        for (indexes, _), failure in zip(waits, failures, strict=True):
            if failure is not None:
                self._probe.produce_errors += 1
                for index in indexes:
                    places[index] = places[index]._replace(error=failure)

    def _refuse(
        self, indexes: Sequence[int], number: int, error: LogError, places: list[RecordPlace]
    ) -> None:
        self._probe.produce_errors += 1
        for index in indexes:
            places[index] = RecordPlace(number, -1, error)


def _tell(then: Callable[[ValuesPlace], None], place: ValuesPlace) -> None:
    try:
        then(place)
    except Exception:  # noqa: BLE001 - what is in the log must not be sent there again for it
        _log.exception("a producer could not be told what became of its values")


_NOWHERE: Final = RecordPlace(-1, -1)
_KEYLESS: Final = Record(None)


def _note(runs: Sequence[_Run], places: list[RecordPlace]) -> None:
    new = tuple.__new__  # half the price of calling RecordPlace, for the same tuple
    for run in runs:
        number = run.partition.topic_partition.partition
        for offset, index in enumerate(run.indexes, run.appended.base_offset):
            places[index] = new(RecordPlace, (number, offset, None, ""))
