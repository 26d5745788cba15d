"""The partitions of one instance: which it may read, and where it is in each."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import NotAssignedError
from kafkalite.broker.consumers.page import ConsumerPage
from kafkalite.broker.consumers.ports import Offsets
from kafkalite.broker.consumers.positions import ConsumerPositions
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.consumers.start import ConsumerStart, Starts
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET

KeepEnds = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]


class ConsumerAssignment:
    """What an instance reads. Lives on the loop; whatever changes wakes `news`."""

    def __init__(
        self,
        view: MetadataView,
        offsets: Offsets,
        start: ConsumerStart,
        reader: ConsumerReader,
        news: ReadWaiters,
        *,
        definition: Callable[[], ConsumerDefinition],
        keep_ends: KeepEnds,
    ) -> None:
        """Assign only.

        Args:
            view: the topics that there are.
            offsets: where partitions stand.
            start: finds where to begin.
            reader: told of partitions whose position changes.
            news: wakes polls that wait.
            definition: of the instance, as it is now.
            keep_ends: keeps where reading began at the end of partitions.
        """
        self.positions = ConsumerPositions()
        self._view = view
        self._offsets = offsets
        self._start = start
        self._reader = reader
        self._news = news
        self._definition = definition
        self._keep_ends = keep_ends
        self._assigned: set[TopicPartition] = set(definition().assignment)
        self._letting_go: set[TopicPartition] = set()
        """Those of them that others shall have: nothing of them is sent any more."""

    def __contains__(self, partition: object) -> bool:
        return partition in self._assigned and partition not in self._letting_go

    @property
    def partitions(self) -> list[TopicPartition]:
        """All that may be read now, in order."""
        return sorted(self._assigned - self._letting_go)

    @property
    def is_located(self) -> bool:
        """Whether there is a position for each."""
        return all(partition in self.positions for partition in self._assigned)

    # -- changing -------------------------------------------------------------------------------

    def gain(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these, too."""
        self._assigned.update(partitions)
        self._news.wake()

    def hold_back(self, partitions: Iterable[TopicPartition]) -> None:
        """Send nothing more of these."""
        for partition in partitions:
            self._letting_go.add(partition)
            self._reader.drop(partition)
        self._news.wake()

    def drop(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Read these, or any, no more."""
        gone = set(self._assigned if partitions is None else partitions)
        for partition in gone:
            self._reader.drop(partition)
        self.positions.drop(gone)
        self._assigned -= gone
        self._letting_go -= gone
        self._news.wake()

    def others_than(self, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        """What is assigned beside these."""
        return self._assigned.difference(partitions)

    # -- positions ------------------------------------------------------------------------------

    def check(self, partitions: Iterable[TopicPartition]) -> None:
        """See that all of these may be read.

        Raises:
            NotAssignedError: one may not.
        """
        for partition in partitions:
            if partition not in self:
                raise NotAssignedError(partition)

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Go on at these offsets.

        Raises:
            NotAssignedError: one of the partitions is not assigned; nothing was done.
        """
        self.check(offsets)
        for partition, offset in offsets.items():
            self._reader.drop(partition)
            self.positions.seek(partition, offset)
        self._news.wake()

    async def seek_to_beginning(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on at the first records that there are; raises as `seek`, and LogError."""
        self.check(partitions)
        self.seek(await self._start.bounds(partitions, "earliest"))

    async def seek_to_end(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on after the last records that there are; raises as `seek`, and LogError."""
        self.check(partitions)
        self.seek(await self._start.bounds(partitions, "latest"))

    async def seek_to_time(self, partitions: Sequence[TopicPartition], time_ms: int) -> None:
        """Go on at the first records of that time or later; raises as `seek`, and LogError."""
        self.check(partitions)
        offsets: dict[TopicPartition, int] = {}
        for partition, offset in (await self._offsets.at_time(partitions, time_ms)).items():
            if isinstance(offset, LogError):
                raise offset
            offsets[partition] = offset
        beyond = [partition for partition, offset in offsets.items() if offset == NO_OFFSET]
        offsets.update(await self._start.bounds(beyond, "latest"))
        self.seek(offsets)

    # -- for polls ------------------------------------------------------------------------------

    def to_read(self) -> dict[TopicPartition, int]:
        """Where to read on, of all that exist and have a position."""
        return {
            partition: position
            for partition in self._assigned - self._letting_go
            if (position := self.positions.get(partition)) is not None and self._exists(partition)
        }

    def hand_out(
        self,
        page: ConsumerPage,
        begun: Mapping[TopicPartition, int],
        admits: Callable[[TopicPartition], bool] | None = None,
    ) -> list[bytes]:
        """The rows that are still to be sent: now, for whoever calls this sends them.

        Args:
            page: what was read.
            begun: where reading began; what was moved, or taken away, since then is left out.
            admits: asked once for each partition whether anything of it may be sent.
        """
        ours = {
            partition
            for partition in page.next_offsets
            if partition in self
            and self.positions.get(partition) == begun[partition]
            and (admits is None or admits(partition))
        }
        rows = page.rows_of(ours.__contains__)
        for partition in ours:
            self.positions.advance(partition, page.next_offsets[partition])
        self._reader.given(page.partitions)
        return rows

    async def locate(self) -> None:
        """Find positions for partitions that have none; some may have to be looked for again.

        Raises:
            IllegalStateError: nothing is committed, and `auto.offset.reset` is none.
            LogError, StoreError: the group, or the store, cannot be asked.
        """
        missing = [
            partition
            for partition in self._assigned - self._letting_go
            if partition not in self.positions and self._exists(partition)
        ]
        if missing:
            await self._begin(await self._start.find(missing, self._definition()))

    async def reset(self) -> None:
        """Find new positions for partitions that do not have what was to be read; raises alike."""
        lost = [each for each in self._reader.out_of_range if each in self._assigned]
        self._reader.out_of_range.clear()
        for partition in lost:
            self._reader.drop(partition)
        self.positions.drop(lost)
        await self._begin(await self._start.reset(lost, self._definition()))

    async def _begin(self, starts: Starts) -> None:
        if starts.new_ends:
            await self._keep_ends(starts.new_ends)
        for partition, offset in starts.offsets.items():
            if partition in self._assigned and partition not in self.positions:
                self.positions.start(partition, offset)

    def _exists(self, partition: TopicPartition) -> bool:
        topic = self._view.topics.get(partition.topic)
        return topic is not None and partition.partition in topic.assignment
