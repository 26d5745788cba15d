"""Which broker coordinates a group, and how any other one reaches it."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import Peers
from kafkalite.broker.sending_room import SendingRoom
from kafkalite.groups.rendezvous import coordinators_of
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    LogError,
    NetworkError,
    NotCoordinatorError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
)
from kafkalite.model.ids import BrokerId
from kafkalite.transport.errors import (
    PeerBusyError,
    PeerError,
    PeerRefusedError,
    PeerTimeoutError,
)
from kafkalite.transport.peer_reply import PeerReply

_LOOK_AGAIN_S: Final = 1.0
"""How often a broker that refused connections is looked at."""
_LOOK_FOR_S: Final = 1.0
_ATTEMPTS: Final = 3
"""How often a coordinator that says it is not it is asked, as both may be about to hear more."""
_PAUSE_S: Final = 0.05

_log = logging.getLogger(__name__)


class GroupRouting:
    """Finds the coordinators of groups, and sends requests on to them, bounded in number and size.

    The coordinator is the first of the group's brokers that is not known to refuse connections: a
    broker whose process is gone is skipped at once, although its session lives on for a while.
    Owns one task, which looks again at those that refused. Life: `start`, `stop`. On the loop.
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
    ) -> None:
        """Assign only.

        Args:
            view: the brokers that live.
            peers: the way to them.
            own_id: of this broker, which may not be known yet.
            on_refused: told of a broker that refused a connection.
            max_requests: sent on at the same time.
            max_bytes: of their bodies.
        """
        self._view = view
        self._peers = peers
        self._own_id = own_id
        self._on_refused = on_refused
        self._room = SendingRoom(
            max_requests,
            max_bytes,
            to="coordinators of groups",
            instead="try again, or ask the coordinator",
        )
        self._refusing: dict[BrokerId, int] = {}
        """Epochs of brokers that refused connections when they were asked last."""
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="group-routing")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    # -- finding --------------------------------------------------------------------------------

    def coordinator(self, group: str) -> Broker:
        """The broker that is to coordinate the group, as far as this one knows.

        Raises:
            CoordinatorNotAvailableError: no broker is known.
        """
        for broker in self._choices(group):
            if broker.id == self._own_id() or not self._refuses(broker):
                return broker
        raise CoordinatorNotAvailableError("No broker is registered at the moment")

    def is_here(self, group: str) -> bool:
        """Whether this broker is to coordinate the group."""
        own_id = self._own_id()
        for broker in self._choices(group):
            if broker.id == own_id:
                return True
            if not self._refuses(broker):
                return False
        return False

    async def look(self, group: str) -> None:
        """Find out whether those that are to coordinate the group rather than this one are gone.

        Asked when others send this one requests for it: they may know more.
        """
        for broker in self._choices(group):
            if broker.id == self._own_id():
                return
            if not self._refuses(broker) and not await self._look_at(broker, if_silent=False):
                return

    def _choices(self, group: str) -> Iterator[Broker]:
        brokers = self._view.brokers
        for broker_id in coordinators_of(group, brokers):
            yield brokers[broker_id]

    def _refuses(self, broker: Broker) -> bool:
        return self._refusing.get(broker.id) == broker.epoch

    # -- sending on -----------------------------------------------------------------------------

    async def forward(
        self,
        group: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_ms: int,
    ) -> tuple[Broker, PeerReply] | None:
        """Have the group's coordinator answer; None where this broker is it.

        Sent once to each broker that it reaches, but again where one says that it is not the
        coordinator. Whoever gets it serves it, as it is marked.

        Raises:
            LogError: it is another one, and there is no answer.
        """
        due = asyncio.get_running_loop().time() + timeout_ms / 1000
        for attempt in range(_ATTEMPTS):
            sent = await self._send(group, method, target, headers, body, due)
            if sent is None or sent[1].status != NotCoordinatorError.status:
                return sent
            if attempt < _ATTEMPTS - 1:
                before = sent[0]
                await self._view.wait_until(
                    lambda: self.coordinator(group) != before,  # noqa: B023 - awaited at once
                    _PAUSE_S * 2**attempt,
                )
        return sent

    async def _send(
        self,
        group: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        due: float,
    ) -> tuple[Broker, PeerReply] | None:
        headers = {**headers, FORWARDED_HEADER: "1"}
        with self._room.taken(len(body)):
            while True:
                broker = self.coordinator(group)
                if broker.id == self._own_id():
                    return None
                timeout_s = max(0.001, due - asyncio.get_running_loop().time())
                try:
                    reply = await self._peers.request(
                        broker, method, target, headers, body, timeout_s
                    )
                except PeerRefusedError:
                    self._note_refusal(broker)
                except PeerError as error:
                    raise _in_words(broker, error) from error
                else:
                    return broker, reply

    # -- brokers that refuse --------------------------------------------------------------------

    def _note_refusal(self, broker: Broker) -> None:
        if not self._refuses(broker):
            _log.warning("Broker %d refuses connections: others coordinate its groups", broker.id)
            self._refusing[broker.id] = broker.epoch
            self._news.set()
        self._on_refused(broker)

    async def _look_at(self, broker: Broker, *, if_silent: bool) -> bool:
        """Whether a broker refuses connections, tried now; `if_silent`: what no answer means."""
        try:
            async with asyncio.timeout(_LOOK_FOR_S):
                refuses = await self._peers.refuses(broker)
        except TimeoutError:
            return if_silent
        if refuses:
            self._note_refusal(broker)
        return refuses

    async def _run(self) -> None:
        """Look again at those that refused, until they are gone or back."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._refusing:
                await asyncio.sleep(_LOOK_AGAIN_S)
                for broker_id, epoch in tuple(self._refusing.items()):
                    broker = self._view.brokers.get(broker_id)
                    if broker is None or broker.epoch != epoch:
                        del self._refusing[broker_id]
                    elif not await self._look_at(broker, if_silent=True):
                        _log.info("Broker %d takes connections again", broker_id)
                        self._refusing.pop(broker_id, None)


def _in_words(broker: Broker, error: PeerError) -> LogError:
    name = f"Broker {broker.id}, which coordinates the group,"
    match error:
        case PeerBusyError():
            return ThrottlingQuotaExceededError(f"{name} has too many requests of ours: {error}")
        case PeerTimeoutError():
            return RequestTimedOutError(f"{name} did not answer in time: {error}")
        case _ if error.was_sent:
            return NetworkError(f"{name} was asked, and its answer is missing: {error}")
        case _:
            return CoordinatorNotAvailableError(f"{name} cannot be reached: {error}")
