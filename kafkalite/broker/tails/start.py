"""Where a tail begins in each of its partitions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from kafkalite.broker.consumers.ports import Offsets
from kafkalite.broker.offset_lookup import Found
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET

T = TypeVar("T")

_TRIES: Final = 20
_PAUSE_S: Final = 0.1
"""Between them: a leader that has just died is followed by another one within these seconds."""


class TailEdge(StrEnum):
    """An end of what there is."""

    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class TailStart:
    """What a client asks for; one of the three, by the order in which they stand here."""

    offsets: Mapping[int, int] = field(default_factory=dict)
    """Partition -> offset; the others are read from their beginning."""
    time_ms: int | None = None
    """Begin with the first record of that time or a later one; at the end where there is none."""
    edge: TailEdge = TailEdge.LATEST


async def locate(
    start: TailStart, wanted: Sequence[TopicPartition], offsets: Offsets
) -> dict[TopicPartition, int]:
    """The offset of the first record to read, of each partition.

    Raises:
        LogError: some partition's leader cannot be asked.
    """
    if start.offsets:
        return {each: start.offsets.get(each.partition, 0) for each in wanted}
    if start.time_ms is None and start.edge is TailEdge.EARLIEST:
        return dict.fromkeys(wanted, 0)
    located: dict[TopicPartition, int] = {}
    missing = list(wanted)
    if start.time_ms is not None:
        time_ms = start.time_ms
        at_time = await _surely(missing, lambda asked: offsets.at_time(asked, time_ms))
        located = {each: offset for each, offset in at_time.items() if offset != NO_OFFSET}
        missing = [each for each in missing if each not in located]
    readable = await _surely(missing, offsets.readable)
    return located | {each: bounds.end for each, bounds in readable.items()}


async def _surely(
    wanted: Sequence[TopicPartition],
    ask: Callable[[Sequence[TopicPartition]], Awaitable[Found[T]]],
) -> dict[TopicPartition, T]:
    """What `ask` finds of all; those that cannot be asked are asked again for a while."""
    located: dict[TopicPartition, T] = {}
    for attempt in range(_TRIES):
        asked = [each for each in wanted if each not in located]
        failed: LogError | None = None
        for each, found in (await ask(asked)).items() if asked else ():
            if isinstance(found, LogError):
                failed = found
            else:
                located[each] = found
        if failed is None:
            break
        if not failed.retriable or attempt == _TRIES - 1:
            raise failed
        await asyncio.sleep(_PAUSE_S)
    return located
