"""Records for partitions that other brokers lead: made into batches here, appended there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kafkalite.broker.append import AppendPath
from kafkalite.broker.record_chunks import chunks
from kafkalite.broker.record_place import RecordPlace
from kafkalite.model.clock import Clock
from kafkalite.model.errors import error_by_code
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.wire.messages import PartitionBatches, ProduceRequest, ProduceResult
from kafkalite.wire.record_bodies import IncomingRecord
from kafkalite.wire.records import encode_batch

_YIELD_BYTES: Final = 256 << 10
"""Let others run after a batch of this size."""


class RemoteRecords:
    """Sends records on, as the native batches that a smart client would have sent itself."""

    def __init__(
        self, append_path: AppendPath, clock: Clock, batch_bytes: Callable[[str], int]
    ) -> None:
        """Assign only; `batch_bytes` tells about how large a topic's batches become."""
        self._append_path = append_path
        self._clock = clock
        self._batch_bytes = batch_bytes

    async def append(
        self,
        topic: str,
        incoming: Sequence[IncomingRecord],
        groups: Mapping[int, list[int]],
        *,
        acks: int,
        timeout_ms: int,
    ) -> list[tuple[int, RecordPlace]]:
        """Append the records at `groups[partition]`; gives the place of each with its index."""
        target_bytes = self._batch_bytes(topic)
        entries: list[PartitionBatches] = []
        parts: list[list[int]] = []
        for number, indexes in groups.items():
            for chunk in chunks(incoming, indexes, target_bytes):
                records = [incoming[index].record for index in chunk]
                batch = encode_batch(records, now_ms=self._clock.wall_ms())
                entries.append(PartitionBatches(topic, number, memoryview(batch)))
                parts.append(chunk)
                if len(batch) >= _YIELD_BYTES:
                    await asyncio.sleep(0)
        results = await self._append_path.place(ProduceRequest(entries, acks, timeout_ms))
        return [
            (index, place)
            for chunk, result in zip(parts, results, strict=True)
            for index, place in zip(chunk, _places(result, len(chunk)), strict=True)
        ]

    async def append_batch(
        self,
        partition: TopicPartition,
        batch: bytes,
        count: int,
        *,
        acks: int,
        timeout_ms: int,
    ) -> list[RecordPlace]:
        """Append a batch that is made already, of `count` records; gives their places."""
        entry = PartitionBatches(*partition, memoryview(batch))
        (result,) = await self._append_path.place(ProduceRequest([entry], acks, timeout_ms))
        return _places(result, count)


def _places(result: ProduceResult, count: int) -> list[RecordPlace]:
    error = None
    if result.error_code:
        leader: dict[str, object] = {}
        if result.leader_id != NO_LEADER:
            leader = {"leader_id": result.leader_id, "leader_url": result.leader_url}
        error = error_by_code(result.error_code)(result.message, **leader)
    url = result.leader_url
    if result.base_offset < 0:
        return [RecordPlace(result.partition, -1, error, url)] * count
    return [
        RecordPlace(result.partition, result.base_offset + step, error, url)
        for step in range(count)
    ]
