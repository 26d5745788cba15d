"""Who leads what, as a client knows it: learnt from brokers, kept, asked again when it is old."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from kafkalite.client.backoff import Backoff
from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import ClosedError, ConfigError, NotSentError
from kafkalite.client.problem import refusal
from kafkalite.client.settings import ClientSettings
from kafkalite.client.system_clock import SystemClock
from kafkalite.model.clock import Clock
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidTopicError,
    LogError,
    MisdirectedRequestError,
    NetworkError,
    error_by_name,
)
from kafkalite.model.ids import NO_EPOCH, TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.metadata_messages import MetadataResponse, TopicLeaders

_PATH: Final = "/v1/metadata"
_JSON: Final = {"content-type": "application/json"}
_LONGEST_ATTEMPT_S: Final = 10.0
"""How long one broker may take to answer what others can be asked as well."""

_NOT_AVAILABLE: Final = b'"BROKER_NOT_AVAILABLE"'

_CLOCK: Final = SystemClock()

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(MetadataResponse).decode


class Asking(Protocol):
    """What it needs of `Connections`."""

    async def request(
        self,
        address: BrokerAddress,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        """Send a request, and give any answer."""


class _KnownTopic:
    """What was heard of a topic."""

    __slots__ = ("asked_ms", "epochs", "error", "leaders", "topic_id")

    def __init__(self, asked_ms: int, topic_id: str) -> None:
        self.asked_ms = asked_ms
        self.topic_id = topic_id
        self.error: LogError | None = None
        self.leaders: list[BrokerAddress | None] = []
        self.epochs: list[int] = []

    def knows_later(self, partition: int, epoch: int) -> bool:
        """Whether it has a leader of a later epoch."""
        if partition >= len(self.epochs) or self.leaders[partition] is None:
            return False
        return self.epochs[partition] > epoch


class Cluster:
    """The brokers and leaders that a client knows of.

    Owned by a client; lives on the loop. Nothing is asked before something is wanted. What is known
    stays in use while it is asked for again: it is a hint, brokers say when it is wrong. `close()`
    gives up what is being asked.
    """

    def __init__(
        self,
        settings: ClientSettings,
        connections: Asking,
        clock: Clock = _CLOCK,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Assign only; `draw` is the chance in pauses, see `Backoff`."""
        self._bootstrap = settings.bootstrap
        self._connections = connections
        self._clock = clock
        self._max_age_ms = settings.metadata_max_age_ms
        self._request_timeout_s = settings.request_timeout_ms / 1000
        self._backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms, draw)
        self._topics: dict[str, _KnownTopic] = {}
        self._brokers: dict[int, BrokerAddress] = {}
        """Those that live, as was heard last."""
        self._turn = 0
        """Which broker is asked next, so that each gets its share."""
        self._wanted: dict[str, None] = {}
        """Topics to ask for, in the next request, ..."""
        self._waiters: list[asyncio.Future[None]] = []
        """... and who waits for its outcome."""
        self._is_urgent = asyncio.Event()
        """Whether one of them was never asked for."""
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    # -- what is known ---------------------------------------------------------------------------

    def leader(self, place: TopicPartition, /) -> BrokerAddress | None:
        """Who leads, as far as is known."""
        known = self._topics.get(place.topic)
        if known is None or not 0 <= place.partition < len(known.leaders):
            return None
        return known.leaders[place.partition]

    def leader_epoch(self, place: TopicPartition, /) -> int:
        """The epoch in which it leads; NO_EPOCH where that is not known."""
        known = self._topics.get(place.topic)
        if known is None or not 0 <= place.partition < len(known.epochs):
            return NO_EPOCH
        return known.epochs[place.partition]

    def topic_id(self, topic: str, /) -> str | None:
        """Which topic of that name it is, as was heard last: one made anew has another id.

        None: the topic does not exist, or nothing was heard of it.
        """
        known = self._topics.get(topic)
        return None if known is None or not known.topic_id else known.topic_id

    def brokers(self) -> tuple[BrokerAddress, ...]:
        """All that can be asked, the live ones first, then those given that are not among them."""
        live = tuple(self._brokers.values())
        places = {(each.host, each.port) for each in live}
        return live + tuple(
            each for each in self._bootstrap if (each.host, each.port) not in places
        )

    def broker(self, broker_id: int, /) -> BrokerAddress | None:
        """The live broker of that id."""
        return self._brokers.get(broker_id)

    def any_broker(self) -> BrokerAddress:
        """A broker to ask for what any can do; another one each time."""
        live = tuple(self._brokers.values()) or self._bootstrap
        self._turn += 1
        return live[self._turn % len(live)]

    # -- learning --------------------------------------------------------------------------------

    async def partitions(self, topic: str, /) -> int:
        """How many partitions `topic` has; asked for when it is not known, or was not lately.

        What is older than metadata.max.age.ms is given, and asked for meanwhile.

        Raises:
            LogError: the topic does not exist, or no broker answers.
        """
        known = self._topics.get(topic)
        if known is None or known.error is not None:
            await self.refresh((topic,))
            known = self._topics[topic]
            if known.error is not None:
                raise known.error
        elif self._clock.monotonic_ms() - known.asked_ms > self._max_age_ms:
            known.asked_ms = self._clock.monotonic_ms()
            self._want((topic,))
        return len(known.leaders)

    async def refresh(self, topics: Collection[str], /) -> None:
        """Ask who leads the partitions of `topics`, and who lives.

        Callers share requests: what is wanted while one is on its way goes into the next one. That
        comes after a pause as retries have, unless it is about a topic that is new. What is wrong
        with a topic is told by `partitions`.

        Raises:
            InvalidTopicError: what is given for a topic is no name at all.
            LogError: no broker answers.
        """
        if self._is_closed:
            raise ClosedError
        for topic in topics:
            _check_name(topic)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._want(topics)
        await waiter

    def note_leader(
        self, place: TopicPartition, broker_id: int, url: str, epoch: int = NO_EPOCH, /
    ) -> None:
        """A broker said who leads instead of it; what is older than what is known is left out."""
        known = self._topics.get(place.topic)
        if known is None or not 0 <= place.partition < len(known.leaders):
            return
        if epoch != NO_EPOCH:
            if epoch < known.epochs[place.partition]:
                return
            known.epochs[place.partition] = epoch
        leader = self._brokers.get(broker_id)
        if url and (leader is None or leader.url != url):
            with contextlib.suppress(ConfigError):
                leader = BrokerAddress.parse(url, broker_id)
                self._brokers[broker_id] = leader
        known.leaders[place.partition] = leader

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        *,
        may_repeat: bool,
    ) -> tuple[BrokerAddress, PeerReply]:
        """Send a request to any broker that is alive; gives who answered, and what.

        The next broker is asked where one cannot be reached; where one was reached and does not
        answer, only if the request `may_repeat`.

        Raises:
            NotSentError: none of the brokers can be reached.
            LogError: one was, and broke off, so that it may have carried the request out.
        """
        failures: list[str] = []
        brokers = self.brokers()
        first = self._turn % len(brokers)
        for index, broker in enumerate(brokers[first:] + brokers[:first], start=1):
            patience_s = timeout_s
            if may_repeat and index < len(brokers):
                patience_s = min(timeout_s, _LONGEST_ATTEMPT_S)
            try:
                reply = await self._connections.request(
                    broker, method, target, headers, body, patience_s
                )
            except ClosedError:
                raise
            except NotSentError as error:
                failures.append(error.detail)
            except LogError as error:
                if not may_repeat:
                    raise
                failures.append(error.detail)
            else:
                reason = _why_not(reply, broker)
                if reason is None:
                    return broker, reply
                failures.append(reason)
            # Whoever comes next does not begin with a broker that is away.
            self._turn += 1
        raise NotSentError(f"No broker can be reached: {'; '.join(failures)}")

    async def close(self) -> None:
        """Give up what is being asked; who waits for it is told so."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._settle(self._waiters, ClosedError())

    # -- asking ----------------------------------------------------------------------------------

    def _want(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._wanted[topic] = None
            if topic not in self._topics:
                self._is_urgent.set()
        if self._task is None:
            self._task = asyncio.create_task(self._learn(), name="metadata")

    async def _learn(self) -> None:
        """Ask for what is wanted until nothing is, with a pause between requests."""
        waiters: list[asyncio.Future[None]] = []
        try:
            while self._wanted or self._waiters:
                topics, waiters = list(self._wanted), self._waiters
                self._wanted, self._waiters = {}, []
                self._is_urgent.clear()
                error: LogError | None = None
                try:
                    self._learnt(await self._asked(topics))
                except LogError as caught:
                    error = caught
                self._settle(waiters, error)
                if error is not None:
                    await asyncio.sleep(self._backoff.next_pause())
                else:
                    await self._rest()
            self._backoff.reset()
        finally:
            self._task = None
            self._settle(waiters, ClosedError())

    async def _rest(self) -> None:
        """Pause, but not longer than until a topic is wanted of which nothing is known."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next_pause()):
                await self._is_urgent.wait()

    @staticmethod
    def _settle(waiters: Iterable["asyncio.Future[None]"], error: LogError | None) -> None:
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    async def _asked(self, topics: list[str]) -> MetadataResponse:
        body = _encode({"topics": topics})
        broker, reply = await self.ask(
            "POST", _PATH, _JSON, body, self._request_timeout_s, may_repeat=True
        )
        if reply.status != 200:
            raise refusal(reply, broker)
        try:
            return _decode(reply.content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NetworkError(f"{broker.netloc} is not a broker of kafkalite: {error}") from None

    def _learnt(self, found: MetadataResponse) -> None:
        self._brokers = {
            each.id: BrokerAddress(each.id, each.host, each.port) for each in found.brokers
        }
        for topic in found.topics:
            self._topics[topic.name] = self._merged(topic)

    def _merged(self, topic: TopicLeaders) -> _KnownTopic:
        """What is known of a topic now: an answer may be older than what leaders have said."""
        known = _KnownTopic(self._clock.monotonic_ms(), topic.topic_id)
        if topic.error:
            known.error = error_by_name(topic.error)(topic.message or None)
            return known
        before = self._topics.get(topic.name)
        is_same = before is not None and before.topic_id == topic.topic_id
        for number, told in enumerate(topic.partitions):
            leader = self._brokers.get(told.leader)
            epoch = told.leader_epoch
            if before is not None and is_same and before.knows_later(number, epoch):
                leader, epoch = before.leaders[number], before.epochs[number]
            known.leaders.append(leader)
            known.epochs.append(epoch)
        return known


def _check_name(topic: str) -> None:
    """Refuse what cannot be encoded: it would spoil the request that it shares with others."""
    if type(topic) is not str:
        raise InvalidTopicError(f"A topic is named by a str, not by {topic!r}")
    try:
        topic.encode()
    except UnicodeEncodeError as error:
        raise InvalidTopicError(f"{topic!r} is not the name of a topic: {error}") from None


def _why_not(reply: PeerReply, broker: BrokerAddress) -> str | None:
    """Why the broker has not even looked at the request, if so: another one may."""
    if reply.status == BrokerNotAvailableError.status and _NOT_AVAILABLE in reply.content:
        return f"{broker.netloc} starts or stops"
    if reply.status == MisdirectedRequestError.status:
        return f"{broker.netloc}: {refusal(reply, broker).detail}"
    return None
