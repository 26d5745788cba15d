"""How any broker reaches the one that rules."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.control.controller_term import refusal
from kafkalite.broker.control.death_watch import is_dead
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import ControllerStore, Peers, StoreError
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import NotControllerError, RequestTimedOutError
from kafkalite.model.ids import BrokerId
from kafkalite.transport.errors import PeerError
from kafkalite.wire.controller_messages import BrokerUnreachable, ControllerReply, ControllerRequest

_log = logging.getLogger(__name__)

ASK_FOR_S: Final = 15.0
"""How long one request may take, with all the controllers that it meets."""
_ONE_ANSWER_S: Final = 10.0
"""How long one controller may take: it answers when all that follows is written."""
_LOOK_AGAIN_AFTER_S: Final = 0.1
_MAX_SUSPECTS: Final = 100
"""Brokers that are reported at a time."""


class ControllerClient:
    """Asks whoever is the controller, itself included, while the office goes from one to another.

    All requests can be repeated, so what went wrong on the way is simply tried again. A controller
    that refuses connections twice is deposed: it is dead, and its session only does not know it
    yet. Owns a task for each broker that it reports. Life: `ask`, `suspect`, `stop`; on the loop.
    """

    def __init__(
        self,
        view: MetadataView,
        peers: Peers,
        driver: ControllerDriver,
        store: ControllerStore,
        own_id: Callable[[], BrokerId],
    ) -> None:
        """Build.

        Args:
            view: says who rules, and where that is.
            peers: how to ask another broker.
            driver: answers while this broker rules.
            store: how to depose a dead controller.
            own_id: of this broker, which may not be known yet.
        """
        self._view = view
        self._peers = peers
        self._driver = driver
        self._store = store
        self._own_id = own_id
        self._suspects: dict[tuple[BrokerId, int], asyncio.Task[None]] = {}

    async def ask(
        self, request: ControllerRequest, timeout_s: float = ASK_FOR_S
    ) -> ControllerReply:
        """Have the controller do it; gives what it answered.

        The answer's error is REQUEST_TIMED_OUT where no controller could be reached in time; then
        the request may have been carried out or not.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    reply = await self._ask_once(request)
                    if reply is not None:
                        return reply
        except TimeoutError:
            error = RequestTimedOutError(f"No controller answered within {timeout_s:g} s")
            return refusal(error, self._view.controller)

    def suspect(self, broker: Broker) -> None:
        """Report a broker that refuses connections, without waiting; once at a time."""
        key = broker.id, broker.epoch
        if broker.id == self._own_id() or key in self._suspects:
            return
        if len(self._suspects) >= _MAX_SUSPECTS or not self._is_registered(broker):
            return
        task = asyncio.create_task(self._report(broker), name=f"suspect broker {broker.id}")
        self._suspects[key] = task
        task.add_done_callback(lambda _: self._suspects.pop(key, None))

    async def stop(self) -> None:
        """Give up what is still being reported."""
        tasks = list(self._suspects.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _report(self, broker: Broker) -> None:
        reply = await self.ask(BrokerUnreachable(broker.id, broker.epoch))
        if reply.error_code:
            _log.warning("Reporting broker %d as unreachable: %s", broker.id, reply.message)

    def _is_registered(self, broker: Broker) -> bool:
        known = self._view.brokers.get(broker.id)
        return known is not None and known.epoch == broker.epoch

    # -- one attempt ----------------------------------------------------------------------------

    async def _ask_once(self, request: ControllerRequest) -> ControllerReply | None:
        """Ask whoever rules now; None: ask again."""
        controller = self._view.controller
        if controller is None:
            await self._wait_for_another(None)
            return None
        reply = (
            await self._driver.ask(request)
            if controller == self._own_id()
            else await self._ask_other(controller, request)
        )
        if reply is None or reply.error_code == NotControllerError.code:
            await self._wait_for_another(controller)
            return None
        return reply

    async def _ask_other(
        self, controller: BrokerId, request: ControllerRequest
    ) -> ControllerReply | None:
        broker = self._view.brokers.get(controller)
        if broker is None:
            return None  # its registration goes before its office
        try:
            return await self._peers.ask_controller(broker, request, _ONE_ANSWER_S)
        except PeerError as error:
            # Also where a connection broke: that is the first that is seen of a death.
            _log.info("Asking the controller, broker %d: %s", controller, error)
            await self._depose_if_dead(broker)
            return None

    async def _depose_if_dead(self, broker: Broker) -> None:
        if not await is_dead(self._peers, broker):
            return
        _log.warning("Broker %d, the controller, refuses connections: deposing it", broker.id)
        try:
            await self._store.depose(broker.id)
        except StoreError as error:
            _log.warning("Deposing broker %d: %s", broker.id, error)

    async def _wait_for_another(self, than: BrokerId | None) -> None:
        """Wait until somebody else rules, but not long: the office may come back to the same."""
        await self._view.wait_until(
            lambda: self._view.controller not in {None, than}, _LOOK_AGAIN_AFTER_S
        )
