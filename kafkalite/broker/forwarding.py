"""Requests that came to this broker and are for another one: found, bounded, sent one hop on.

What is sent on is marked, and whoever receives it answers for itself or refuses: a request never
travels from broker to broker in search of a leader.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import Peers
from kafkalite.broker.sending_room import Lease, SendingRoom
from kafkalite.model.cluster import Broker, PartitionState
from kafkalite.model.errors import (
    KafkaStorageError,
    LeaderNotAvailableError,
    LogError,
    NetworkError,
    NotLeaderOrFollowerError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.transport.errors import (
    PeerBusyError,
    PeerError,
    PeerProblemError,
    PeerRefusedError,
    PeerTimeoutError,
)
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.messages import (
    FetchPartition,
    FetchRequest,
    FetchResult,
    PartitionBatches,
    ProduceRequest,
    ProduceResult,
)

FORWARDED_HEADER: Final = "kafkalite-forwarded"
"""Marks a plain HTTP request that a broker sent on for a client of its own."""

_FIRST_PAUSE_S: Final = 0.01
"""Before a leader is asked again although nothing was heard: it may have known less than we did.

Doubled each time.
"""
_GRACE_S: Final = 3.0
"""What an answer may take beyond the time that the other broker was given for it."""

_AGAIN: Final = frozenset(
    error.code
    for error in (NotLeaderOrFollowerError, LeaderNotAvailableError, UnknownTopicOrPartitionError)
)


class Forwarding:
    """Sends requests on to the brokers that lead, and bounds how many and how much at once.

    Lives on the loop; owns no task. Failures come back as LogErrors that say what a client may do:
    the outcome of a produce is open with NetworkError and RequestTimedOutError, and only then.
    """

    def __init__(
        self,
        view: MetadataView,
        peers: Peers,
        *,
        own_id: Callable[[], BrokerId],
        on_refused: Callable[[Broker], None],
        max_requests: int,
        max_bytes: int,
        patience_ms: int,
    ) -> None:
        """Assign only.

        Args:
            view: who leads what.
            peers: the way to the other brokers.
            own_id: this broker, once it knows.
            on_refused: told of a broker that refused a connection.
            max_requests: sent on at the same time.
            max_bytes: of records, that these and their answers may hold.
            patience_ms: how long a request may wait for a leader to be found.
        """
        self._view = view
        self._peers = peers
        self._own_id = own_id
        self._on_refused = on_refused
        self._room = SendingRoom(
            max_requests, max_bytes, to="other brokers", instead="try again, or ask the leader"
        )
        self._patience_ms = patience_ms

    # -- finding --------------------------------------------------------------------------------

    def leader_of(self, topic: str, number: int) -> Broker | None:
        """The live broker other than this one that leads the partition, as far as we know."""
        state = self._view.states.get(TopicPartition(topic, number))
        if state is None or state.leader == self._own_id():
            return None
        return self._view.brokers.get(state.leader)

    def may_help(self, topic: str, number: int, error: LogError) -> bool:
        """Whether `error`, with which this broker refuses, may be another broker's business.

        That of a partition without any leader is: there may be one in a moment.
        """
        if isinstance(error, NotLeaderOrFollowerError | LeaderNotAvailableError):
            return True
        return isinstance(error, KafkaStorageError) and self.leader_of(topic, number) is not None

    def may_try_again(
        self, topic: str, number: int, error_code: int, *, is_repeatable: bool = False
    ) -> bool:
        """Whether an answer's error may be over once it, or we, have heard who leads.

        Also a missing answer, where the request `is_repeatable`.
        """
        known = self._view.topics.get(topic)
        if known is None or number not in known.assignment:
            return False
        return error_code in _AGAIN or (is_repeatable and error_code == NetworkError.code)

    def named(self, error: LogError) -> LogError:
        """`error`, which may say who leads, with where that is."""
        leader_id = error.extra.get("leader_id")
        if not isinstance(leader_id, int) or "leader_url" in error.extra:
            return error
        leader = self._view.brokers.get(BrokerId(leader_id))
        if leader is None:
            return error
        return type(error)(error.detail, **error.extra, leader_url=leader.url)

    def patience(self, timeout_ms: int | None = None) -> "Patience":
        """How long a request waits for leaders to be found, one that may take `timeout_ms`."""
        wait_ms = self._patience_ms if timeout_ms is None else min(timeout_ms, self._patience_ms)
        return Patience(self._view, wait_ms / 1000)

    # -- sending on -----------------------------------------------------------------------------

    async def produce(
        self, leader: Broker, entries: Sequence[PartitionBatches], *, acks: int, timeout_ms: int
    ) -> list[ProduceResult]:
        """Have `leader` append; one result for each entry, refusals too.

        Sent once, or not at all. A result with an error and no offset was not appended, unless the
        error is NetworkError or RequestTimedOutError.
        """
        request = ProduceRequest(list(entries), acks, timeout_ms, forwarded=True)
        size = sum(entry.batches.nbytes for entry in entries)
        try:
            with self._room.taken(size):
                response = await self._peers.produce(leader, request, timeout_ms / 1000 + _GRACE_S)
            results = response.partitions
            if not _is_in_order(entries, results):
                raise NetworkError(f"Broker {leader.id} answered for other partitions")
        except PeerError as error:
            return _refused(entries, self._in_words(leader, error))
        except LogError as error:
            return _refused(entries, error)
        return [
            msgspec.structs.replace(result, leader_id=leader.id, leader_url=leader.url)
            if result.error_code == 0
            else result
            for result in results
        ]

    async def fetch(
        self, leader: Broker, request: FetchRequest, wait_ms: int
    ) -> tuple[list[FetchResult], Lease]:
        """Have `leader` read; one result for each entry, and a hold on the room they take.

        Raises:
            LogError: there is no answer.
        """
        with self._room.taken(0):
            lease = self._room.lease(request.max_bytes)
            try:
                response = await self._peers.fetch(
                    leader,
                    msgspec.structs.replace(
                        request, max_wait_ms=wait_ms, max_bytes=lease.size, forwarded=True
                    ),
                    wait_ms / 1000 + _GRACE_S,
                )
            except PeerError as error:
                raise self._in_words(leader, error) from error
        if not _is_in_order(request.partitions, response.partitions):
            raise NetworkError(f"Broker {leader.id} answered for other partitions")
        return response.partitions, lease

    async def request(
        self,
        leader: Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_ms: int,
    ) -> PeerReply:
        """Send a plain HTTP request on, marked as such.

        Raises:
            LogError: there is no answer.
        """
        headers = {**headers, FORWARDED_HEADER: "1"}
        try:
            with self._room.taken(len(body)):
                return await self._peers.request(
                    leader, method, target, headers, body, timeout_ms / 1000
                )
        except PeerError as error:
            raise self._in_words(leader, error) from error

    def _in_words(self, leader: Broker, error: PeerError) -> LogError:
        """What a client is told of a leader that could not be asked, or did not answer."""
        if isinstance(error, PeerRefusedError):
            self._on_refused(leader)
        name = f"Broker {leader.id}, which leads,"
        match error:
            case PeerProblemError():
                return error.error
            case PeerBusyError():
                return ThrottlingQuotaExceededError(
                    f"{name} has too many requests of ours: {error}"
                )
            case PeerTimeoutError():
                return RequestTimedOutError(f"{name} did not answer in time: {error}")
            case _ if error.was_sent:
                return NetworkError(f"{name} was asked, and its answer is missing: {error}")
            case _:
                return LeaderNotAvailableError(f"{name} cannot be reached: {error}")


class Patience:
    """How long one request waits for leaders, from when it was made on."""

    __slots__ = ("_due", "_loop", "_pause_s", "_view")

    def __init__(self, view: MetadataView, wait_s: float) -> None:
        self._view = view
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + wait_s
        self._pause_s = _FIRST_PAUSE_S

    def states_of(
        self, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        """Who leads, as we know it; to be taken before a leader is asked."""
        states = self._view.states
        return {partition: states.get(partition) for partition in partitions}

    async def wait(self, seen: Mapping[TopicPartition, PartitionState | None]) -> bool:
        """Wait until it is worth asking again; False when it has been long enough.

        That is once somebody else leads one of the partitions than was `seen`, or after a moment.
        """
        left_s = self._due - self._loop.time()
        if left_s <= 0:
            return False
        states = self._view.states
        await self._view.wait_until(
            lambda: any(states.get(partition) != state for partition, state in seen.items()),
            min(left_s, self._pause_s),
        )
        self._pause_s *= 2
        return True


def _refused(entries: Sequence[PartitionBatches], error: LogError) -> list[ProduceResult]:
    return [
        ProduceResult(
            entry.topic,
            entry.partition,
            error_code=error.code,
            error=error.name,
            message=error.detail,
        )
        for entry in entries
    ]


def _is_in_order(
    asked: Sequence[PartitionBatches] | Sequence[FetchPartition],
    answered: Sequence[ProduceResult] | Sequence[FetchResult],
) -> bool:
    """Whether there is an answer to each entry, in their order."""
    return [(entry.topic, entry.partition) for entry in asked] == [
        (result.topic, result.partition) for result in answered
    ]
