"""Where an instance stands in each of its partitions, and what of that is to be committed.

CON-1  A record counts as dealt with only once the client asked for the next ones, committed, or let
       its instance go: until then it may never have received it.
CON-2  Committing by itself never takes a committed offset back; only a client's seek does.
"""

from collections.abc import Iterable, Mapping

from kafkalite.model.ids import TopicPartition


class _Place:
    """One partition: `committed <= acknowledged <= delivered`, but for seeks."""

    __slots__ = ("acknowledged", "committed", "delivered")

    def __init__(self, offset: int, committed: int) -> None:
        self.delivered = offset
        """Next to be sent; what is below was sent."""
        self.acknowledged = offset
        """What is below was dealt with."""
        self.committed = committed
        """Known to be committed, or not worth committing; -1 after a seek."""


class ConsumerPositions:
    """The positions of one instance. Lives on the loop."""

    def __init__(self) -> None:
        self._places: dict[TopicPartition, _Place] = {}
        self._unacknowledged: set[TopicPartition] = set()
        self._uncommitted: set[TopicPartition] = set()
        """Those where something is acknowledged beyond what is committed."""

    def __contains__(self, partition: object) -> bool:
        return partition in self._places

    def get(self, partition: TopicPartition) -> int | None:
        """Offset of the next record to send; None: not known yet."""
        place = self._places.get(partition)
        return None if place is None else place.delivered

    def start(self, partition: TopicPartition, offset: int) -> None:
        """Begin there; that needs no commit."""
        self._places[partition] = _Place(offset, offset)
        self._unacknowledged.discard(partition)
        self._uncommitted.discard(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on there, as the client wishes; it counts as dealt with up to there."""
        self._places[partition] = _Place(offset, -1)
        self._unacknowledged.discard(partition)
        self._uncommitted.add(partition)

    def advance(self, partition: TopicPartition, offset: int) -> None:
        """All below `offset` was sent."""
        self._places[partition].delivered = offset
        self._unacknowledged.add(partition)

    def acknowledge(self) -> None:
        """All that was sent is dealt with."""
        for partition in self._unacknowledged:
            place = self._places[partition]
            place.acknowledged = place.delivered
            if place.acknowledged > place.committed:
                self._uncommitted.add(partition)
        self._unacknowledged.clear()

    def acknowledge_below(self, partition: TopicPartition, offset: int) -> int | None:
        """What is below `offset` is dealt with; gives how far it all is, to be committed.

        None: so much was not sent of this partition, or it is not known here.
        """
        place = self._places.get(partition)
        if place is None or offset > place.delivered:
            return None
        place.acknowledged = max(place.acknowledged, offset)
        if place.acknowledged == place.delivered:
            self._unacknowledged.discard(partition)
        if place.acknowledged > place.committed:
            self._uncommitted.add(partition)
        return place.acknowledged

    def is_committed_below(self, partition: TopicPartition, offset: int) -> bool:
        """Whether so much of a partition is known to be committed."""
        place = self._places.get(partition)
        return place is not None and offset <= place.committed

    def in_flight(self) -> dict[TopicPartition, tuple[int, int]]:
        """Of each partition of which more was sent than is committed: how far both are."""
        return {
            partition: (place.committed, place.delivered)
            for partition, place in self._places.items()
            if place.delivered > place.committed
        }

    def rewind(self) -> list[TopicPartition]:
        """Send again what was sent and not dealt with; gives the partitions."""
        rewound = list(self._unacknowledged)
        for partition in rewound:
            place = self._places[partition]
            place.delivered = place.acknowledged
        self._unacknowledged.clear()
        return rewound

    def is_acknowledged(self, partitions: Iterable[TopicPartition]) -> bool:
        """Whether all that was sent of these partitions is dealt with."""
        return self._unacknowledged.isdisjoint(partitions)

    def to_commit(
        self, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, int]:
        """What is dealt with and not committed; of some partitions, or of all."""
        wanted = self._uncommitted
        if partitions is not None:
            wanted = wanted.intersection(partitions)
        return {partition: self._places[partition].acknowledged for partition in wanted}

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """These are committed now."""
        for partition, offset in offsets.items():
            place = self._places.get(partition)
            if place is not None:
                place.committed = offset
                if place.acknowledged <= offset:
                    self._uncommitted.discard(partition)

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions that are the instance's no more."""
        for partition in list(partitions):
            self._places.pop(partition, None)
            self._unacknowledged.discard(partition)
            self._uncommitted.discard(partition)

    def clear(self) -> None:
        """Forget all."""
        self.drop(self._places)
