"""The produce path of native clients: find the partition, append, and wait as `acks` asks."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

from kafkalite.broker.appended import Appended
from kafkalite.broker.batch_rules import check_one_producer
from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.model.cluster import Broker
from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    InvalidRequiredAcksError,
    LogError,
    MessageTooLargeError,
    NotLeaderOrFollowerError,
)
from kafkalite.model.ids import NO_LEADER, BrokerId, TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.batch import HEADER_SIZE, BatchHeader, Buffer, header_at
from kafkalite.wire.messages import (
    ACKS_ALL,
    ACKS_LEADER,
    ACKS_NONE,
    PartitionBatches,
    ProduceRequest,
    ProduceResult,
)
from kafkalite.wire.validate import validate_batches

_LEGAL_ACKS: Final = frozenset({ACKS_ALL, ACKS_NONE, ACKS_LEADER})
_YIELD_BYTES: Final = 1 << 20
"""Let others run after so much work of one request."""
_MAX_ENTRY_BYTES: Final = 16 << 20
"""Batches of one partition in one request: they are written at once, while everybody waits."""

_QUICK_BYTES: Final = 64 << 10
"""Compressed on the loop, in half a millisecond; what is compressed already may hold far more."""

Then = Callable[[list[ProduceResult] | Exception], None]
"""Told once what became of the entries of a request, in their order; an exception is one that
nobody foresaw."""
_Checked = tuple[PartitionBatches, Partition, Sequence[BatchHeader]]

_log = logging.getLogger(__name__)


class AppendPath:
    """Appends the batches that producers send, here or at the broker that leads.

    Lives on the loop.
    """

    def __init__(
        self, partitions: PartitionTable, forwarding: Forwarding, probe: DataProbe
    ) -> None:
        self._partitions = partitions
        self._forwarding = forwarding
        self._probe = probe

    async def append(self, request: ProduceRequest) -> list[ProduceResult]:
        """Append batches; one result for each entry of the request, in its order.

        Raises:
            InvalidRequiredAcksError: `acks` is none of 0, 1 and -1.
        """
        check_acks(request.acks)
        self._probe.produce_requests += 1
        results = await self.place(request)
        self._probe.produce_errors += sum(result.error_code != 0 for result in results)
        return results

    async def place(self, request: ProduceRequest) -> list[ProduceResult]:
        """As `append`, for whoever has checked and counted the request.

        A result with an offset and an error: the records are in a log, but not known to be safe.
        """
        entries = request.partitions
        results: dict[int, ProduceResult] = {}
        waits: list[tuple[int, asyncio.Future[None]]] = []
        elsewhere = await self._append_here(request, range(len(entries)), results, waits)
        if elsewhere and not request.forwarded:
            await self._append_elsewhere(request, elsewhere, results, waits)
        failures = await failures_of([committed for _, committed in waits])
        for (index, _), failure in zip(waits, failures, strict=True):
            if failure is not None:
                results[index] = self._uncommitted(entries[index], results[index], failure)
        return [results[index] for index in range(len(entries))]

    def begin(self, request: ProduceRequest, then: Then) -> bool:
        """Append batches as `append` does, without a task: `then` is told the results, maybe later.

        For small requests of plain batches, one an entry. False: nothing was done, as something
        must be waited for first, or refused, or takes more work than others should wait for.
        """
        checked = self._looked_through(request)
        if checked is None:
            return False
        waits: list[tuple[int, asyncio.Future[None]]] = []
        try:
            results = self._append_checked(request, checked, waits)
        except Exception as error:  # noqa: BLE001 - it is for the request to answer
            _tell(then, error)  # some of it may be done: it must not be tried again
            return True
        if not results:
            return False
        self._probe.produce_requests += 1
        if waits:
            self._tell_when_committed(request.partitions, results, waits, then)
        else:
            _tell(then, results)
        return True

    def _append_checked(
        self,
        request: ProduceRequest,
        checked: Sequence[_Checked],
        waits: list[tuple[int, asyncio.Future[None]]],
    ) -> list[ProduceResult]:
        """The results so far, `waits` gets what they wait for; none if the first one is refused."""
        acks_all = request.acks == ACKS_ALL
        results: list[ProduceResult] = []
        for entry, partition, headers in checked:
            try:
                appended = partition.append(entry.batches, headers, acks_all=acks_all)
            except LogError as error:
                if not results:
                    return []
                self._probe.produce_errors += 1
                results.append(self._refused(entry, error))
                continue
            self._count(appended, entry)
            if acks_all:
                committed = partition.committed(appended.end_offset, request.timeout_ms)
                if committed is not None:
                    waits.append((len(results), committed))
            results.append(_accepted(partition, appended))
        return results

    def _looked_through(self, request: ProduceRequest) -> list[_Checked] | None:
        """The entries with where they go; None: one of them is not for `begin`."""
        checked: list[_Checked] = []
        try:
            check_acks(request.acks)
            for entry in request.partitions:
                partition = self._partitions.get(entry.topic, entry.partition)
                settings = partition.settings
                if not partition.is_leader or settings.compression is not None:
                    return None
                batch = entry.batches
                header = header_at(batch, 0)
                if header.compression or header.size != len(batch):
                    return None
                headers = validate_batches(
                    batch,
                    max_batch_bytes=settings.max_message_bytes,
                    max_decompressed_bytes=settings.max_decompressed_bytes,
                )
                checked.append((entry, partition, headers))
        except LogError:
            return None
        return checked

    def _tell_when_committed(
        self,
        entries: Sequence[PartitionBatches],
        results: list[ProduceResult],
        waits: Sequence[tuple[int, asyncio.Future[None]]],
        then: Then,
    ) -> None:
        left = len(waits)

        def settle(index: int, done: asyncio.Future[None]) -> None:
            nonlocal left
            failure = done.exception()
            if isinstance(failure, LogError):
                self._probe.produce_errors += 1
                results[index] = self._uncommitted(entries[index], results[index], failure)
            left -= 1
            if not left:
                _tell(then, results)

        for index, committed in waits:
            committed.add_done_callback(partial(settle, index))

    async def _append_here(
        self,
        request: ProduceRequest,
        indexes: Iterable[int],
        results: dict[int, ProduceResult],
        waits: list[tuple[int, asyncio.Future[None]]],
    ) -> list[int]:
        """Append those entries that this broker leads; gives those that another one may take.

        Nothing of these was appended; their results are the refusals. `waits` gets what is to be
        waited for.
        """
        acks_all = request.acks == ACKS_ALL
        elsewhere: list[int] = []
        away: set[tuple[str, int]] = set()
        worked = 0
        for index in indexes:
            entry = request.partitions[index]
            place = (entry.topic, entry.partition)
            try:
                if place in away:  # it may just have come here, but what precedes goes there
                    raise NotLeaderOrFollowerError
                partition = await self._partitions.find(entry.topic, entry.partition)
                partition.check_leads()  # before all the work of checking what another one takes
                batches, headers = await _take_in(entry.batches, partition)
                appended = partition.append(batches, headers, acks_all=acks_all)
            except LogError as error:
                results[index] = self._refused(entry, error)
                if self._forwarding.may_help(*place, error):
                    elsewhere.append(index)
                    away.add(place)
                continue
            self._count(appended, entry)
            results[index] = _accepted(partition, appended)
            if acks_all:
                # Now, not when the others are appended: this broker may stop leading until then.
                committed = partition.committed(appended.end_offset, request.timeout_ms)
                if committed is not None:
                    waits.append((index, committed))
            worked += entry.batches.nbytes
            if worked >= _YIELD_BYTES:
                worked = 0
                await asyncio.sleep(0)
        return elsewhere

    async def _append_elsewhere(
        self,
        request: ProduceRequest,
        indexes: list[int],
        results: dict[int, ProduceResult],
        waits: list[tuple[int, asyncio.Future[None]]],
    ) -> None:
        """Send entries on to their leaders, waiting a while where one is yet to be found.

        What may have been appended is never sent again.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + request.timeout_ms / 1000
        patience = self._forwarding.patience(request.timeout_ms)
        while True:
            seen = patience.states_of(_named(request, indexes))
            left_ms = max(int((due - loop.time()) * 1000), 0)
            await self._send_on(request, indexes, results, left_ms)
            indexes = [index for index in indexes if self._may_try_again(results[index])]
            if not indexes or not await patience.wait(seen):
                return
            # This broker may be the one that was elected.
            indexes = await self._append_here(request, indexes, results, waits)
            if not indexes:
                return

    async def _send_on(
        self,
        request: ProduceRequest,
        indexes: Sequence[int],
        results: dict[int, ProduceResult],
        timeout_ms: int,
    ) -> None:
        """Ask each leader once, all at the same time; leaves what has no leader as it is."""
        groups: dict[BrokerId, tuple[Broker, list[int]]] = {}
        for index in indexes:
            entry = request.partitions[index]
            leader = self._forwarding.leader_of(entry.topic, entry.partition)
            if leader is not None:
                groups.setdefault(leader.id, (leader, []))[1].append(index)

        async def send(leader: Broker, chosen: list[int]) -> None:
            answered = await self._forwarding.produce(
                leader,
                [request.partitions[index] for index in chosen],
                acks=request.acks,
                timeout_ms=timeout_ms,
            )
            results.update(zip(chosen, answered, strict=True))

        await asyncio.gather(*(send(leader, chosen) for leader, chosen in groups.values()))

    def _may_try_again(self, result: ProduceResult) -> bool:
        return result.base_offset == NO_OFFSET and self._forwarding.may_try_again(
            result.topic, result.partition, result.error_code
        )

    def _count(self, appended: Appended, entry: PartitionBatches) -> None:
        if appended.record_count:
            self._probe.appended(appended.record_count, entry.batches.nbytes)
        else:
            self._probe.produce_duplicates += 1

    def _uncommitted(
        self, entry: PartitionBatches, appended: ProduceResult, failure: LogError
    ) -> ProduceResult:
        """What is answered of batches that are in the log, but not known to be safe."""
        offset = appended.base_offset
        return msgspec.structs.replace(self._refused(entry, failure), base_offset=offset)

    def _refused(self, entry: PartitionBatches, error: LogError) -> ProduceResult:
        leader_id, leader_url = leader_of(self._forwarding.named(error))
        return ProduceResult(
            entry.topic,
            entry.partition,
            error_code=error.code,
            error=error.name,
            message=error.detail,
            log_start_offset=_log_start_of(error),
            leader_id=leader_id,
            leader_url=leader_url,
        )


def _named(request: ProduceRequest, indexes: Iterable[int]) -> list[TopicPartition]:
    entries = [request.partitions[index] for index in indexes]
    return [TopicPartition(entry.topic, entry.partition) for entry in entries]


async def _take_in(batches: memoryview, partition: Partition) -> tuple[Buffer, list[BatchHeader]]:
    """Check batches that lie back to back; gives them as the topic stores them.

    One at a time, letting others run between them: what is little on the wire may be a thousand
    times as much to look through, and to compress anew.

    Raises:
        LogError: one of them is refused; or there are more bytes than one append may hold up
            others for.
    """
    _check_entry_size(len(batches))
    settings = partition.settings
    headers: list[BatchHeader] = []
    stored = bytearray()
    position = 0
    while True:
        end = len(batches)
        if end - position > HEADER_SIZE:
            end = position + header_at(batches, position).size
        (header,) = validate_batches(
            batches[position:end],
            max_batch_bytes=settings.max_message_bytes,
            max_decompressed_bytes=settings.max_decompressed_bytes,
        )
        if settings.compression is not None:
            batch, header = await as_stored(partition, batches[position:end], header)
            stored += batch
            _check_entry_size(len(stored))
        headers.append(header)
        position = end
        if position >= len(batches):
            if len(headers) > 1:
                check_one_producer(headers)
            return batches if settings.compression is None else stored, headers
        await asyncio.sleep(0)


def _tell(then: Then, outcome: list[ProduceResult] | Exception) -> None:
    try:
        then(outcome)
    except Exception:  # noqa: BLE001 - what is in the log must not be sent there again for it
        _log.exception("a producer could not be told what became of its batches")


async def as_stored(
    partition: Partition, batch: Buffer, header: BatchHeader
) -> tuple[Buffer, BatchHeader]:
    """As `Partition.as_stored`, in a thread where that takes long.

    To be awaited before the append and for one batch of a client after the other: so its records
    keep their order.

    Raises:
        LogError: the batch is refused.
    """
    codec = partition.settings.compression
    is_quick = len(batch) <= _QUICK_BYTES and header.compression == Compression.NONE
    if is_quick or codec is None or codec == header.compression:
        return partition.as_stored(batch, header)
    return await asyncio.to_thread(partition.as_stored, batch, header)


def _check_entry_size(size: int) -> None:
    if size > _MAX_ENTRY_BYTES:
        raise MessageTooLargeError(
            f"{size} bytes for one partition are more than {_MAX_ENTRY_BYTES}; send less at a time"
        )


def check_acks(acks: int) -> None:
    """Raise InvalidRequiredAcksError unless `acks` is 0, 1 or -1."""
    if acks not in _LEGAL_ACKS:
        raise InvalidRequiredAcksError(f"acks must be 0, 1 or -1 (all), not {acks}")


async def failures_of(waits: Sequence[asyncio.Future[None]]) -> list[LogError | None]:
    """Wait for what `Partition.committed` gave; tells of each why it did not come to be."""
    if len(waits) > 1:
        # Together, so that all are given up when the request is.
        await asyncio.gather(*waits, return_exceptions=True)
    return [await failure_of(wait) for wait in waits]


async def failure_of(wait: asyncio.Future[None]) -> LogError | None:
    """As `failures_of`, for one."""
    try:
        await wait
    except LogError as error:
        return error
    return None


def leader_of(error: LogError) -> tuple[int, str]:
    """Id and URL of the broker that leads instead, as far as `error` knows."""
    leader_id, leader_url = error.extra.get("leader_id"), error.extra.get("leader_url")
    return (
        leader_id if isinstance(leader_id, int) else NO_LEADER,
        leader_url if isinstance(leader_url, str) else "",
    )


def _log_start_of(error: LogError) -> int:
    offset = error.extra.get("log_start_offset")
    return offset if isinstance(offset, int) else NO_OFFSET


def _accepted(partition: Partition, appended: Appended) -> ProduceResult:
    topic, number = partition.topic_partition
    return ProduceResult(
        topic,
        number,
        base_offset=appended.base_offset,
        log_append_time=appended.log_append_time,
        log_start_offset=partition.log.start_offset,
    )
