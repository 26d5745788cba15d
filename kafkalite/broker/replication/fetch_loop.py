"""The loop that follows one leader: fetch, take, flush, and only then fetch again."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.ports import Peers
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.broker.replication.follower_session import Followed, FollowerSession, backoff_ms
from kafkalite.broker.replication.throttle import ReplicationThrottle
from kafkalite.config.views import ReplicaOptions
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import LogError, OffsetOutOfRangeError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.transport.errors import PeerError, PeerRefusedError
from kafkalite.wire.messages import (
    FIRST_OF_SESSION,
    FetchRequest,
    FetchResponse,
    FetchResult,
)
from kafkalite.wire.validate import check_replicated

SMALLEST_ANSWER: Final = 256 << 10
"""Bytes with which a loop begins, and which it may always ask for."""
_FULL: Final = 0.75
"""Of what was asked for: there is more."""
_BYTES_A_TURN: Final = 1 << 20
"""Taken before others have their turn."""
_FLUSH_PATIENCE_S: Final = 1.0
"""One slow disk does not keep the partitions on the others from being fetched."""
_REFUSED_FAILURES: Final = 2
"""Pauses grow no further while connections are refused: the process may be back any moment."""
_SLACK_MS: Final = 2
"""By which clocks may differ about how long a fetch waited."""
_NUDGE_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)


class Surroundings(NamedTuple):
    """What is the same for all loops of a broker."""

    view: MetadataView
    peers: Peers
    clock: Clock
    probe: ReplicationProbe
    throttle: ReplicationThrottle
    options: ReplicaOptions
    on_refused: Callable[[Broker], None]
    """Told of a leader at whose address nobody listens."""
    share: Callable[[], int]
    """The most bytes that one loop may ask for at once."""


class FetchLoop:
    """Follows all partitions that one broker leads. Owned by ReplicaFetchers, which runs `run`.

    Lives on the event loop. `follow`, `drop` and `check_brokers` may be called at any time.
    """

    def __init__(self, leader_id: BrokerId, own_id: BrokerId, around: Surroundings) -> None:
        self._leader_id = leader_id
        self._own_id = own_id
        self._view = around.view
        self._peers = around.peers
        self._clock = around.clock
        self._probe = around.probe
        self._throttle = around.throttle
        self._options = around.options
        self._on_refused = around.on_refused
        self._share = around.share
        self._chance = random.Random()
        self._session = FollowerSession()
        self._incarnations = (-1, -1)
        """Broker epochs of the leader and of this broker between which the session is."""
        self._wanted = SMALLEST_ANSWER
        self._failures = 0
        """Rounds in a row of which nothing came."""
        self._poll: asyncio.Future[FetchResponse] | None = None
        """The fetch that is in work."""
        self._nudge: asyncio.Task[None] | None = None
        self._nudged_epoch = FIRST_OF_SESSION
        self._stirred = asyncio.Event()
        """There is a reason not to sleep any longer."""

    @property
    def is_idle(self) -> bool:
        """Whether it follows nothing."""
        return not len(self._session)

    def follow(self, partition: Partition) -> None:
        """Follow a partition from where it stands, or look where it stands by now."""
        if self._session.follow(partition):
            self._stir()

    def drop(self, topic_partition: TopicPartition) -> None:
        """Follow a partition no more; an answer on its way is thrown away."""
        self._session.drop(topic_partition)

    def check_brokers(self) -> None:
        """Which brokers are registered has changed: an answer of one that is gone never comes."""
        if self._poll is not None and self._registered() != self._incarnations:
            self._poll.cancel()
        self._stirred.set()

    async def close(self) -> None:
        """After `run` has ended: leave no task behind."""
        if self._nudge is not None:
            self._nudge.cancel()
            await asyncio.wait((self._nudge,))

    # -- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Fetch for ever; to be cancelled."""
        while True:
            self._stirred.clear()
            if not self._session.has_something_to_say:
                await self._stirred.wait()
                continue
            try:
                is_well = await self._round()
            except Exception:  # noqa: BLE001 - whatever it is, the other partitions go on
                _log.exception("fetching from broker %d failed", self._leader_id)
                self._session.begin_anew()
                is_well = False
            if is_well:
                self._failures = 0
            else:
                self._failures += 1
                await self._sleep(self._options.backoff_max_ms)

    async def _sleep(self, longest_ms: int) -> None:
        pause = backoff_ms(self._failures, longest_ms, self._chance)
        try:
            async with asyncio.timeout(pause / 1000):
                await self._stirred.wait()
        except TimeoutError:
            return

    def _registered(self) -> tuple[int, int]:
        brokers = self._view.brokers
        leader, own = brokers.get(self._leader_id), brokers.get(self._own_id)
        return (leader.epoch if leader else -1), (own.epoch if own else -1)

    async def _round(self) -> bool:
        """One fetch and what comes of it; whether the next may follow at once."""
        leader = self._view.brokers.get(self._leader_id)
        incarnations = self._registered()
        if leader is None or -1 in incarnations:
            return False
        if incarnations != self._incarnations:
            self._incarnations = incarnations
            self._session.begin_anew()
        started_ms = self._clock.monotonic_ms()
        request = self._compose(started_ms)
        answer = await self._ask(leader, request)
        if answer is None:
            self._probe.leader_errors += 1
            self._session.begin_anew()
            return False
        self._probe.leader_fetches += 1
        self._session.answered()
        if await self._take(answer.partitions, request.max_bytes):
            return True
        # A leader that answers at once and says nothing, again and again, must not be asked so.
        waited_ms = self._clock.monotonic_ms() - started_ms
        return waited_ms + _SLACK_MS >= request.max_wait_ms or request.session_epoch in {
            FIRST_OF_SESSION,
            self._nudged_epoch,
        }

    def _compose(self, now_ms: int) -> FetchRequest:
        session, options = self._session, self._options
        self._wanted = min(self._wanted, self._share())
        forgotten = session.take_forgotten()
        named = session.take_named(min(options.partition_max_bytes, self._wanted), now_ms)
        due_ms = session.next_due_ms()
        wait_ms = options.wait_max_ms
        if due_ms is not None:
            wait_ms = min(max(due_ms - now_ms, 1), wait_ms)
        return FetchRequest(
            named,
            max_wait_ms=wait_ms,
            max_bytes=self._wanted,
            replica_id=self._own_id,
            broker_epoch=self._incarnations[1],
            session_epoch=session.epoch,
            forgotten=forgotten,
        )

    async def _ask(self, leader: Broker, request: FetchRequest) -> FetchResponse | None:
        """The leader's answer; None where there is none, or the session is no more."""
        timeout_s = (request.max_wait_ms + self._options.timeout_ms) / 1000
        self._poll = asyncio.ensure_future(self._peers.fetch(leader, request, timeout_s))
        try:
            await asyncio.wait((self._poll,))
            if self._poll.cancelled():
                return None
            answer = self._poll.result()
        except PeerRefusedError:
            self._on_refused(leader)
            self._failures = min(self._failures, _REFUSED_FAILURES)
            return None
        except PeerError as error:
            _log.info("fetching from broker %d: %s", self._leader_id, error)
            return None
        finally:
            poll, self._poll = self._poll, None
            if not poll.done():
                poll.cancel()
                await asyncio.wait((poll,))
        if answer.error_code:
            _log.info("broker %d refuses a fetch: %s", self._leader_id, answer.message)
            return None
        return answer

    # -- taking an answer -----------------------------------------------------------------------

    async def _take(self, results: Sequence[FetchResult], asked_bytes: int) -> bool:
        """Take what came into the logs, and flush it; whether it said anything but offsets."""
        touched: list[Followed] = []
        is_news = False
        total = since_turn = 0
        for result in results:
            if since_turn >= _BYTES_A_TURN:
                await asyncio.sleep(0)
                since_turn = 0
            followed = self._session.get(TopicPartition(result.topic, result.partition))
            if followed is None or followed.named is None:
                continue  # followed no more, or anew
            size = len(result.batches)
            total += size
            since_turn += size
            had_failed = followed.must_be_named
            if self._take_one(followed, result):
                touched.append(followed)
            is_news |= followed.must_be_named and not had_failed
            if size and self._is_throttled(followed.partition):
                self._throttle.take(size)
        self._probe.leader_bytes += total
        if total >= asked_bytes * _FULL:
            self._wanted = min(self._wanted * 2, self._options.answer_max_bytes)
        await self._settle(touched)
        return is_news or bool(touched)

    def _take_one(self, followed: Followed, result: FetchResult) -> bool:
        """Take what came for one partition; whether its position should have moved by it."""
        partition, named = followed.partition, followed.named
        assert named is not None
        if result.error_code not in {0, OffsetOutOfRangeError.code}:
            self._fail(followed, f"{result.error}: {result.message}")
            return False
        try:
            headers = check_replicated(result.batches, named.offset)
            partition.take(result, headers)
        except LogError as error:
            self._fail(followed, error.detail)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the other partitions go on
            _log.exception("%s could not take an answer", partition.topic_partition)
            self._fail(followed, repr(error))
            return False
        return bool(headers or result.error_code) or result.diverging_end_offset != NO_OFFSET

    async def _settle(self, touched: Sequence[Followed]) -> None:
        """Wait until what was taken is as durable as it has to be, and name it again then."""
        flushes = [(each, each.partition.flushing()) for each in touched]
        waiting = [flush for _, flush in flushes if flush is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=_FLUSH_PATIENCE_S)
        for followed, flush in flushes:
            if flush is None or flush.done():
                self._flushed(followed, flush)
            else:
                flush.add_done_callback(partial(self._flushed_late, followed))

    def _flushed_late(self, followed: Followed, flush: asyncio.Future[None]) -> None:
        self._flushed(followed, flush)
        self._stir()

    def _flushed(self, followed: Followed, flush: asyncio.Future[None] | None) -> None:
        """Let the leader hear where a partition stands by now."""
        if flush is not None and (flush.cancelled() or flush.exception() is not None):
            self._fail(followed, "its log could not be flushed")
        elif followed.partition.position() == followed.named:
            self._fail(followed, "an answer did not get it further")
        else:
            now_ms = self._clock.monotonic_ms()
            held_ms = self._throttle.wait_ms() if self._is_throttled(followed.partition) else 0
            self._session.progressed(followed, now_ms + held_ms)

    def _fail(self, followed: Followed, reason: str) -> None:
        self._probe.leader_errors += 1
        if not followed.failures:
            _log.info(
                "%s cannot follow broker %d for now: %s",
                followed.partition.topic_partition, self._leader_id, reason,
            )  # fmt: skip
        self._session.failed(
            followed, self._options.backoff_max_ms, self._chance, self._clock.monotonic_ms()
        )

    def _is_throttled(self, partition: Partition) -> bool:
        if self._own_id in partition.isr:
            return False
        number = partition.topic_partition.partition
        return partition.settings.follower_throttled.covers(number, self._own_id)

    # -- being told in the middle of it ---------------------------------------------------------

    def _stir(self) -> None:
        """There is something to name: let a fetch that waits for records be answered at once."""
        self._stirred.set()
        epoch = self._session.epoch
        if (
            self._poll is None
            or epoch in {FIRST_OF_SESSION, self._nudged_epoch}
            or (self._nudge is not None and not self._nudge.done())
        ):
            return
        self._nudged_epoch = epoch
        self._nudge = asyncio.ensure_future(self._send_nudge(epoch))

    async def _send_nudge(self, epoch: int) -> None:
        leader = self._view.brokers.get(self._leader_id)
        if leader is None:
            return
        request = FetchRequest(
            [],
            max_wait_ms=0,
            replica_id=self._own_id,
            broker_epoch=self._incarnations[1],
            session_epoch=epoch,
        )
        try:
            await self._peers.fetch(leader, request, _NUDGE_TIMEOUT_S)
        except PeerError as error:
            _log.debug("broker %d was not hurried: %s", self._leader_id, error)
