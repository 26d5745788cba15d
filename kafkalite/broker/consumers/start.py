"""Where an instance begins to read a partition."""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import IllegalStateError
from kafkalite.broker.consumers.ports import Groups, Offsets
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)


class Starts(NamedTuple):
    """Where to begin; a partition that nobody can be asked about is left out."""

    offsets: Mapping[TopicPartition, int]
    new_ends: Mapping[TopicPartition, int]
    """Those that are the ends of partitions as of now: they must be kept, to be found again."""


class ConsumerStart:
    """Finds offsets: what the group has committed, else what the definition says."""

    def __init__(self, groups: Groups, offsets: Offsets, group: str) -> None:
        self._groups = groups
        self._offsets = offsets
        self._group = group

    async def find(
        self, partitions: Sequence[TopicPartition], definition: ConsumerDefinition
    ) -> Starts:
        """Where to read on, or begin.

        Raises:
            IllegalStateError: nothing is committed, and `auto.offset.reset` is none.
            LogError: the group cannot be asked.
        """
        committed = await self._groups.committed(self._group)
        kept = {TopicPartition(topic, number): at for topic, number, at in definition.starts}
        offsets = {
            partition: committed[partition].offset if partition in committed else kept[partition]
            for partition in partitions
            if partition in committed or partition in kept
        }
        unknown = [partition for partition in partitions if partition not in offsets]
        found = await self.reset(unknown, definition)
        return Starts({**offsets, **found.offsets}, found.new_ends)

    async def reset(
        self, partitions: Sequence[TopicPartition], definition: ConsumerDefinition
    ) -> Starts:
        """Where to begin by the definition's rule; raises as `find`."""
        if not partitions:
            return Starts({}, {})
        rule = definition.auto_offset_reset
        if rule == "none":
            names = ", ".join(map(str, partitions[:10]))
            raise IllegalStateError(
                f"Undefined offset with no reset policy for partitions: {names}"
            )
        offsets: dict[TopicPartition, int] = {}
        for partition, readable in (await self._offsets.readable(partitions)).items():
            if isinstance(readable, LogError):
                _log.info("Where to begin in %s is not known yet: %s", partition, readable)
            else:
                offsets[partition] = readable.start if rule == "earliest" else readable.end
        return Starts(offsets, offsets if rule == "latest" else {})

    async def bounds(
        self, partitions: Sequence[TopicPartition], which: Literal["earliest", "latest"]
    ) -> dict[TopicPartition, int]:
        """The first offset that can be read, or that after the last, of each partition.

        Raises:
            LogError: one cannot be asked.
        """
        offsets: dict[TopicPartition, int] = {}
        for partition, readable in (await self._offsets.readable(partitions)).items():
            if isinstance(readable, LogError):
                raise readable
            offsets[partition] = readable.start if which == "earliest" else readable.end
        return offsets
