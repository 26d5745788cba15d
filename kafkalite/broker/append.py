"""The produce path of native clients: find the partition, append, and wait as `acks` asks."""

import asyncio
from typing import Final

from kafkalite.broker.partition import Appended, Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.config.topic_config import TopicSettings
from kafkalite.model.clock import Clock
from kafkalite.model.errors import InvalidRequiredAcksError, LogError, MessageTooLargeError
from kafkalite.wire.batch import HEADER_SIZE, BatchHeader, header_at
from kafkalite.wire.messages import (
    ACKS_ALL,
    ACKS_LEADER,
    ACKS_NONE,
    NO_BROKER,
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


class AppendPath:
    """Appends the batches that producers send to partitions of this broker. Lives on the loop."""

    def __init__(self, partitions: PartitionTable, clock: Clock, probe: DataProbe) -> None:
        self._partitions = partitions
        self._clock = clock
        self._probe = probe

    async def append(self, request: ProduceRequest) -> list[ProduceResult]:
        """Append batches; one result for each entry of the request, in its order.

        Raises:
            InvalidRequiredAcksError: `acks` is none of 0, 1 and -1.
        """
        check_acks(request.acks)
        self._probe.produce_requests += 1
        acks_all = request.acks == ACKS_ALL
        results: list[ProduceResult] = []
        waits: list[tuple[int, Partition, Appended]] = []
        worked = 0
        for entry in request.partitions:
            try:
                partition = await self._partitions.find(entry.topic, entry.partition)
                headers = await _validate(entry.batches, partition.settings)
                appended = partition.append(entry.batches, headers, acks_all=acks_all)
            except LogError as error:
                results.append(self._refused(entry, error))
                continue
            self._probe.appended(appended.end_offset - appended.base_offset, entry.batches.nbytes)
            if acks_all:
                waits.append((len(results), partition, appended))
            results.append(_accepted(partition, appended))
            worked += entry.batches.nbytes
            if worked >= _YIELD_BYTES:
                worked = 0
                await asyncio.sleep(0)
        deadline = self._clock.monotonic_ms() + request.timeout_ms
        for index, partition, appended in waits:
            failure = await wait_until(partition, appended, deadline, self._clock)
            if failure is not None:
                results[index] = self._refused(request.partitions[index], failure)
        return results

    def _refused(self, entry: PartitionBatches, error: LogError) -> ProduceResult:
        self._probe.produce_errors += 1
        leader_id, leader_url = leader_of(error)
        return ProduceResult(
            entry.topic,
            entry.partition,
            error_code=error.code,
            error=error.name,
            message=error.detail,
            leader_id=leader_id,
            leader_url=leader_url,
        )


async def _validate(batches: memoryview, settings: TopicSettings) -> list[BatchHeader]:
    """Check batches that lie back to back, one at a time, letting others run between them.

    What is little on the wire may be a thousand times as much to look through.

    Raises:
        LogError: one of them is refused; or there are more bytes than one append may hold up
            others for.
    """
    if len(batches) > _MAX_ENTRY_BYTES:
        raise MessageTooLargeError(
            f"{len(batches)} bytes for one partition are more than {_MAX_ENTRY_BYTES}; send less "
            "at a time"
        )
    headers: list[BatchHeader] = []
    position = 0
    while True:
        end = len(batches)
        if end - position > HEADER_SIZE:
            end = position + header_at(batches, position).size
        headers += validate_batches(
            batches[position:end],
            max_batch_bytes=settings.max_message_bytes,
            max_decompressed_bytes=settings.max_decompressed_bytes,
        )
        position = end
        if position >= len(batches):
            return headers
        await asyncio.sleep(0)


def check_acks(acks: int) -> None:
    """Raise InvalidRequiredAcksError unless `acks` is 0, 1 or -1."""
    if acks not in _LEGAL_ACKS:
        raise InvalidRequiredAcksError(f"acks must be 0, 1 or -1 (all), not {acks}")


async def wait_until(
    partition: Partition, appended: Appended, deadline_ms: int, clock: Clock
) -> LogError | None:
    """Wait until what was appended is on all in-sync replicas; gives why it is not."""
    left_ms = max(deadline_ms - clock.monotonic_ms(), 0)
    committed = partition.committed(appended.end_offset, left_ms)
    if committed is None:
        return None
    try:
        await committed
    except LogError as error:
        return error
    return None


def leader_of(error: LogError) -> tuple[int, str]:
    """Id and URL of the broker that leads instead, as far as `error` knows."""
    leader_id, leader_url = error.extra.get("leader_id"), error.extra.get("leader_url")
    return (
        leader_id if isinstance(leader_id, int) else NO_BROKER,
        leader_url if isinstance(leader_url, str) else "",
    )


def _accepted(partition: Partition, appended: Appended) -> ProduceResult:
    topic, number = partition.topic_partition
    return ProduceResult(
        topic,
        number,
        base_offset=appended.base_offset,
        log_append_time=appended.log_append_time,
        log_start_offset=partition.log.start_offset,
    )
