"""Which partitions a consumer reads, who leads them, and where it begins."""

from collections.abc import Callable
from typing import Final, NamedTuple

from kafkalite.cli.cluster import EARLIEST, LATEST, Cluster
from kafkalite.cli.failure import CommandError
from kafkalite.cli.topic_filter import TopicFilter
from kafkalite.model.errors import LogError, UnknownTopicOrPartitionError
from kafkalite.model.ids import TopicPartition

_UNKNOWN: Final = -1
"""Position of a partition that was found but not asked yet where it begins."""


class Wanted(NamedTuple):
    """What a consumer asks for: one topic or all that match, all partitions or one."""

    topic: str | None
    include: TopicFilter
    partition: int | None
    start: str
    """`earliest`, `latest`, or an offset in decimal, for the partitions of the beginning."""


class Subscription:
    """Follows the cluster: partitions that appear later are read from their first record on.

    Owned by one command, single-threaded.
    """

    def __init__(
        self, cluster: Cluster, wanted: Wanted, *, on_notice: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._on_notice = on_notice
        self._topic_ids: dict[str, str] = {}
        self._is_first = True
        self._out_of_range: dict[TopicPartition, int] = {}
        self._has_told_missing = False
        self.leaders: dict[TopicPartition, str] = {}
        """Where each partition is read that has a leader."""
        self.positions: dict[TopicPartition, int] = {}
        """Offset of the next record to ask for, of each partition that was ever found."""

    def refresh(self) -> None:
        """Look at the cluster anew.

        Raises:
            NoBrokerError: no broker can be reached.
            CommandError: the partition that was asked for does not exist.
            LogError: a broker cannot say where a partition begins.
        """
        urls = self._cluster.broker_urls()
        leaders: dict[TopicPartition, str] = {}
        for topic in self._topics():
            try:
                description = self._cluster.topic(topic)
            except UnknownTopicOrPartitionError:
                continue
            self._forget_if_recreated(topic, description.topic_id)
            for partition in description.partitions:
                if self._wanted.partition in (None, partition.partition):
                    found = TopicPartition(topic, partition.partition)
                    self.positions.setdefault(found, _UNKNOWN)
                    if partition.leader in urls:
                        leaders[found] = urls[partition.leader]
            self._check_partition(topic, description.partition_count)
        self._tell_missing()
        self._locate(leaders)
        self.leaders = leaders
        self._is_first = False

    @property
    def is_complete(self) -> bool:
        """Whether there are partitions, and every one can be read at the moment."""
        return 0 < len(self.leaders) == len(self.positions)

    def note_out_of_range(self, topic_partition: TopicPartition) -> None:
        """A partition does not hold its position: the next refresh finds another one."""
        self._out_of_range[topic_partition] = self.positions[topic_partition]
        self.positions[topic_partition] = _UNKNOWN

    def _topics(self) -> list[str]:
        if self._wanted.topic is not None:
            return [self._wanted.topic]
        return [t.name for t in self._cluster.topics() if self._wanted.include.matches(t.name)]

    def _forget_if_recreated(self, topic: str, topic_id: str) -> None:
        """A topic that was deleted and made again is another one, whatever its offsets say."""
        known = self._topic_ids.setdefault(topic, topic_id)
        if known != topic_id:
            self._topic_ids[topic] = topic_id
            for found in [found for found in self.positions if found.topic == topic]:
                del self.positions[found]

    def _check_partition(self, topic: str, count: int) -> None:
        wanted = self._wanted.partition
        if wanted is not None and wanted >= count:
            raise CommandError(f"Partition {wanted} of topic '{topic}' does not exist.")

    def _tell_missing(self) -> None:
        if self.positions or self._has_told_missing:
            return
        self._has_told_missing = True
        name = self._wanted.topic
        what = f"Topic '{name}' does not exist" if name is not None else "No topic matches"
        self._on_notice(f"{what}; waiting until it does.")

    def _locate(self, leaders: dict[TopicPartition, str]) -> None:
        """Find positions for partitions that have none; those that cannot say it wait."""
        for found, url in list(leaders.items()):
            if self.positions[found] != _UNKNOWN:
                continue
            try:
                self.positions[found] = self._first_position(found, url)
            except LogError as error:
                if not error.retriable:
                    raise
                del leaders[found]

    def _first_position(self, found: TopicPartition, url: str) -> int:
        lost = self._out_of_range.get(found)
        if lost is not None:
            return self._nearest_position(found, url, lost)
        start = self._wanted.start if self._is_first else EARLIEST
        if start.isdecimal():
            return int(start)
        return self._cluster.offset(*found, start, url).offset

    def _nearest_position(self, found: TopicPartition, url: str, lost: int) -> int:
        """Where to go on when the records at `lost` are gone, or not there yet."""
        earliest = self._cluster.offset(*found, EARLIEST, url).offset
        is_gone = lost < earliest
        position = earliest if is_gone else self._cluster.offset(*found, LATEST, url).offset
        del self._out_of_range[found]
        self._on_notice(f"Offset {lost} of {found} is out of range; going on at {position}.")
        return position
