"""The fetch path of followers: one session for each of them."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import NamedTuple

from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.broker.replication.replica_session import ReplicaSession
from kafkalite.broker.replication.throttle import ReplicationThrottle
from kafkalite.model.clock import Clock
from kafkalite.model.errors import FetchSessionIdNotFoundError, LogError, StaleBrokerEpochError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.messages import FIRST_OF_SESSION, FetchRequest


class ReplicaAnswer(NamedTuple):
    """What a follower gets: partitions that have something to say, or why it gets nothing."""

    reads: Sequence[PartitionRead] = ()
    error: LogError | None = None


Wait = Callable[[], Coroutine[None, None, ReplicaAnswer]]
"""To be called once at most, and awaited."""


class ReplicaSessions:
    """Answers the fetches of followers, each in its session (wire/messages.py).

    Lives on the event loop. There is one session for each registered broker at most: it begins with
    a follower's first fetch, and ends when another begins or the broker goes.
    """

    def __init__(
        self,
        partitions: PartitionTable,
        view: MetadataView,
        clock: Clock,
        probe: ReplicationProbe,
        *,
        max_bytes: int,
        max_wait_ms: int,
        throttled_rate: Callable[[], int],
    ) -> None:
        """Assign only.

        Args:
            partitions: what this broker holds.
            view: tells which brokers are registered.
            clock: for when a session fetched last, and for the throttle.
            probe: counts.
            max_bytes: bounds the batches of an answer, whatever is asked for.
            max_wait_ms: bounds the wait.
            throttled_rate: leader.replication.throttled.rate as in force.
        """
        self._partitions = partitions
        self._view = view
        self._clock = clock
        self._probe = probe
        self._max_bytes = max_bytes
        self._max_wait_ms = max_wait_ms
        self._throttle = ReplicationThrottle(throttled_rate, clock)
        self._sessions: dict[BrokerId, ReplicaSession] = {}
        self._is_started = False

    def start(self) -> None:
        """End the sessions of brokers that go, from now on."""
        self._is_started = True
        self._view.subscribe(self._on_change)

    def stop_waiting(self) -> None:
        """Answer every fetch that waits, and let none wait from now on."""
        self._max_wait_ms = 0
        for session in self._sessions.values():
            session.hurry(session.epoch)

    def close(self) -> None:
        """End all sessions."""
        if self._is_started:
            self._view.unsubscribe(self._on_change)
            self._is_started = False
        while self._sessions:
            self._sessions.popitem()[1].close()

    def last_fetch_ms(self, broker_id: BrokerId, topic_partition: TopicPartition) -> int | None:
        """When a broker fetched last in its present session, monotonic.

        None: it has none, or that does not hold the partition. A broker that fetches all others
        may have a failed disk under this one.
        """
        session = self._sessions.get(broker_id)
        if session is None or topic_partition not in session:
            return None
        return session.last_fetch_ms

    async def fetch(self, request: FetchRequest) -> ReplicaAnswer:
        """What a follower gets, as soon as there is something, or in `max_wait_ms`.

        The first fetch of a session is answered at once. One that neither waits nor names anything
        is no fetch of its own: it has the one of its number answered at once, since the follower
        has more to name.
        """
        begun = self.begin(request)
        return begun if isinstance(begun, ReplicaAnswer) else await begun()

    def begin(self, request: FetchRequest) -> ReplicaAnswer | Wait:
        """As `fetch`, without a task where there is something to say; else how to wait for it."""
        try:
            session = self._session_of(request)
            if session is None:
                return ReplicaAnswer()
            session.take_in(request)
            max_bytes = min(request.max_bytes, self._max_bytes)
            reads = session.answer_now(max_bytes)
        except LogError as error:
            return ReplicaAnswer(error=error)
        if reads is not None:
            return self._answered(reads)
        is_first = request.session_epoch == FIRST_OF_SESSION
        wait_ms = 0 if is_first else min(request.max_wait_ms, self._max_wait_ms)
        return partial(self._fetch_later, session, max_bytes, wait_ms)

    async def _fetch_later(
        self, session: ReplicaSession, max_bytes: int, wait_ms: int
    ) -> ReplicaAnswer:
        try:
            reads = await session.answer(max_bytes, wait_ms)
        except LogError as error:
            return ReplicaAnswer(error=error)
        return self._answered(reads)

    def _answered(self, reads: Sequence[PartitionRead]) -> ReplicaAnswer:
        self._probe.follower_fetches += 1
        self._probe.follower_bytes += sum([read.size for read in reads])
        return ReplicaAnswer(reads)

    def _session_of(self, request: FetchRequest) -> ReplicaSession | None:
        """The session in which to answer; None where the request only hurries one that waits.

        Raises:
            StaleBrokerEpochError: the broker is not registered, or again since.
            FetchSessionIdNotFoundError: there is no such session, or another request is due in it.
        """
        replica_id = BrokerId(request.replica_id)
        broker = self._view.brokers.get(replica_id)
        if broker is None or request.broker_epoch < broker.epoch:
            registered = "not registered" if broker is None else f"in epoch {broker.epoch}"
            raise StaleBrokerEpochError(
                f"Broker {replica_id} is {registered}, the fetch is of epoch {request.broker_epoch}"
            )
        session = self._sessions.get(replica_id)
        if request.session_epoch == FIRST_OF_SESSION:
            if session is not None:
                session.close()
            session = ReplicaSession(
                replica_id, request.broker_epoch, self._partitions, self._throttle
            )
            self._sessions[replica_id] = session
            self._probe.sessions_begun += 1
        elif session is None or session.broker_epoch != request.broker_epoch:
            raise FetchSessionIdNotFoundError(f"Broker {replica_id} has no fetch session here")
        elif not (request.partitions or request.forgotten or request.max_wait_ms):
            session.hurry(request.session_epoch)
            return None
        elif request.session_epoch != session.epoch + 1:
            raise FetchSessionIdNotFoundError(
                f"Fetch {session.epoch + 1} of the session of broker {replica_id} is due, "
                f"not {request.session_epoch}"
            )
        session.epoch = request.session_epoch
        session.last_fetch_ms = self._clock.monotonic_ms()
        return session

    def _on_change(self, change: MetadataChange) -> None:
        if not change.brokers:
            return
        brokers = self._view.brokers
        for replica_id, session in list(self._sessions.items()):
            if replica_id not in brokers or brokers[replica_id].epoch > session.broker_epoch:
                del self._sessions[replica_id]
                session.close()
