"""Following: every partition that another broker leads is fetched from it, one loop a leader."""

import asyncio
from collections.abc import Callable

from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.ports import Peers
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.broker.replication.fetch_loop import SMALLEST_ANSWER, FetchLoop, Surroundings
from kafkalite.broker.replication.throttle import ReplicationThrottle
from kafkalite.config.views import ReplicaOptions
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId, TopicPartition


class ReplicaFetchers:
    """Owns the fetch loops and their tasks. Lives on the event loop.

    `update` is called with a partition whenever whom it follows may have changed.
    """

    def __init__(
        self,
        view: MetadataView,
        peers: Peers,
        clock: Clock,
        probe: ReplicationProbe,
        *,
        own_id: Callable[[], BrokerId],
        options: ReplicaOptions,
        throttled_rate: Callable[[], int],
        on_refused: Callable[[Broker], None],
    ) -> None:
        """Assign only.

        Args:
            view: tells where leaders are.
            peers: reaches them.
            clock: for pauses and the throttle.
            probe: counts.
            own_id: of this broker, once it is known.
            options: bounds and pauses.
            throttled_rate: follower.replication.throttled.rate as in force.
            on_refused: told, at once, of a leader at whose address nobody listens.
        """
        self._view = view
        self._own_id = own_id
        self._options = options
        self._around = Surroundings(
            view,
            peers,
            clock,
            probe,
            ReplicationThrottle(throttled_rate, clock),
            options,
            on_refused,
            self._share,
        )
        self._loops: dict[BrokerId, FetchLoop] = {}
        self._tasks: dict[BrokerId, asyncio.Task[None]] = {}
        self._leaders: dict[TopicPartition, BrokerId] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._is_started = self._is_stopped = False

    def start(self) -> None:
        """Notice from now on when brokers come and go."""
        self._is_started = True
        self._view.subscribe(self._on_change)

    def update(self, partition: Partition) -> None:
        """Fetch a partition from whom it follows, from where it stands; or no more."""
        if self._is_stopped:
            return
        topic_partition, leader = partition.topic_partition, partition.leader_to_follow
        before = self._leaders.get(topic_partition)
        if before is not None and before != leader:
            del self._leaders[topic_partition]
            self._loops[before].drop(topic_partition)
        if leader is not None:
            self._leaders[topic_partition] = leader
            self._loop_of(leader).follow(partition)

    async def stop(self) -> None:
        """Stop following, for good; what was taken stays. Stopping twice is stopping once."""
        if self._is_started and not self._is_stopped:
            self._view.unsubscribe(self._on_change)
        self._is_stopped = True
        tasks = [*self._tasks.values(), *self._ending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._loops.clear()
        self._leaders.clear()

    def _loop_of(self, leader: BrokerId) -> FetchLoop:
        loop = self._loops.get(leader)
        if loop is None:
            loop = self._loops[leader] = FetchLoop(leader, self._own_id(), self._around)
            self._tasks[leader] = asyncio.ensure_future(_run(loop))
        return loop

    def _share(self) -> int:
        """The most bytes that one loop may ask for, so that all together keep to the bound."""
        even = self._options.buffer_bytes // max(len(self._loops), 1)
        return max(min(even, self._options.answer_max_bytes), SMALLEST_ANSWER)

    def _on_change(self, change: MetadataChange) -> None:
        if not change.brokers:
            return
        for leader, loop in list(self._loops.items()):
            loop.check_brokers()
            if loop.is_idle and leader not in self._view.brokers:
                del self._loops[leader]
                task = self._tasks.pop(leader)
                task.cancel()
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)


async def _run(loop: FetchLoop) -> None:
    try:
        await loop.run()
    finally:
        await loop.close()
