"""A consumer of one partition that needs no group."""

from collections.abc import Callable, Mapping

from kafkalite.cli.cluster import Cluster
from kafkalite.cli.failure import CommandError
from kafkalite.cli.positions import UNKNOWN, Positions
from kafkalite.model.errors import UnknownTopicOrPartitionError
from kafkalite.model.ids import TopicPartition


class OnePartition:
    """A PartitionSource of a partition that the user names."""

    news = None

    def __init__(
        self,
        cluster: Cluster,
        wanted: TopicPartition,
        start: str,
        *,
        on_notice: Callable[[str], None],
    ) -> None:
        """`start` is `earliest`, `latest`, or an offset in decimal."""
        self._cluster = cluster
        self._wanted = wanted
        self._start = start
        self._on_notice = on_notice
        self._topic_id: str | None = None
        self._has_told_missing = False
        self._positions = Positions(cluster, on_notice=on_notice)
        self._leaders: dict[TopicPartition, str] = {}

    @property
    def leaders(self) -> Mapping[TopicPartition, str]:
        return self._leaders

    @property
    def positions(self) -> dict[TopicPartition, int]:
        return self._positions.by_partition

    @property
    def is_complete(self) -> bool:
        return bool(self._leaders)

    def start(self) -> None:
        pass

    def follow(self) -> bool:
        return False

    def refresh(self) -> None:
        urls = self._cluster.broker_urls()
        topic, number = self._wanted
        leaders: dict[TopicPartition, str] = {}
        try:
            description = self._cluster.topic(topic)
        except UnknownTopicOrPartitionError:
            self._tell_missing()
        else:
            if number >= description.partition_count:
                raise CommandError(f"Partition {number} of topic '{topic}' does not exist.")
            if self._topic_id != description.topic_id:
                # One that was deleted and made again is another one, whatever its offsets say.
                self._positions.forget(self._wanted)
            self._topic_id = description.topic_id
            self.positions.setdefault(self._wanted, UNKNOWN)
            leader = description.partitions[number].leader
            if leader in urls:
                leaders[self._wanted] = urls[leader]
        self._positions.locate(leaders, lambda _: self._start)
        self._leaders = leaders

    def note_out_of_range(self, found: TopicPartition) -> None:
        self._positions.note_out_of_range(found)

    def note_done(self, found: TopicPartition, next_offset: int) -> None:
        pass

    def close(self) -> None:
        pass

    def _tell_missing(self) -> None:
        if not self._has_told_missing:
            self._has_told_missing = True
            self._on_notice(f"Topic '{self._wanted.topic}' does not exist; waiting until it does.")
