"""Takes part in the election of the controller, and rules while this broker is it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from kafkalite.broker.control.controller_term import ControllerTerm, refusal
from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.ports import (
    ControllerClaim,
    ControllerStore,
    FencedControllerError,
    Peers,
    StoreError,
)
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.clock import Clock
from kafkalite.model.errors import NotControllerError
from kafkalite.model.ids import BrokerId
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest

_log = logging.getLogger(__name__)

_RETRY_AFTER_S: Final = 1.0
_LOOK_AFTER_S: Final = 60.0


class ControllerDriver:
    """Takes part in the election, and rules while it holds the office.

    Owns one task. While it is suspended, because the session with ZooKeeper is, the task does not
    run: nothing is decided and nothing new is sent. Whatever ends a term (a lost election, a
    refused write, a broken connection), the next one catches up with the store and begins anew.
    Life: `start`, `suspend` and `resume` as the session goes, `stop`. On the event loop.
    """

    def __init__(
        self,
        view: MetadataView,
        store: ControllerStore,
        own_id: Callable[[], BrokerId],
        *,
        clock: Clock,
        policy: Callable[[], ControllerPolicy],
        peers: Peers,
    ) -> None:
        """Build.

        Args:
            view: what the broker knows of the cluster.
            store: how a controller changes it.
            own_id: of this broker, which may not be known yet.
            clock: for what is done again later.
            policy: the controller's settings as they are now.
            peers: how to look at brokers that others call unreachable.
        """
        self._view = view
        self._store = store
        self._own_id = own_id
        self._clock = clock
        self._policy = policy
        self._peers = peers
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._term: ControllerTerm | None = None
        self._past_elections = 0
        self._past_unclean_elections = 0
        self._started = False

    @property
    def claim(self) -> ControllerClaim | None:
        """The claim while this broker rules."""
        return None if self._term is None else self._term.claim

    @property
    def elections(self) -> int:
        """How many leaders this broker has elected for partitions that had been led before."""
        return self._past_elections + (0 if self._term is None else self._term.elections)

    @property
    def unclean_elections(self) -> int:
        """Those of the elected leaders that were not in sync."""
        now = 0 if self._term is None else self._term.unclean_elections
        return self._past_unclean_elections + now

    def start(self) -> None:
        """Stand for election from now on."""
        self._started = True
        self._view.subscribe(self._hear)
        self.resume()

    def suspend(self) -> None:
        """Stop at once: the session is suspended or lost."""
        self._end_term()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def resume(self) -> None:
        """The session is back: stand for election, or go on if the office is still held."""
        if self._started and self._task is None:
            self._task = asyncio.create_task(self._run(), name="controller")

    async def stop(self) -> None:
        """Stop for good; the office goes with the session."""
        if not self._started:
            return
        self._started = False
        self._view.unsubscribe(self._hear)
        self.suspend()
        if self._ending:
            await asyncio.wait(set(self._ending))

    async def ask(self, request: ControllerRequest) -> ControllerReply:
        """Do what a broker asks the controller for; NOT_CONTROLLER where this one is not it.

        Answers once all that follows from the request is written, as far as it can be.
        """
        if self._term is None:
            return refusal(NotControllerError(), self._view.controller)
        return await self._term.ask(request)

    def _hear(self, change: MetadataChange) -> None:
        if self._term is not None:
            self._term.hear(change)

    async def _run(self) -> None:
        while True:
            try:
                claim = await self._store.claim(self._own_id())
                if claim is None:
                    await self._wait_for_vacancy()
                else:
                    await self._rule(claim)
            except FencedControllerError as error:
                _log.warning("%s", error)
            except StoreError as error:
                _log.warning("Controller: %s", error)
                await asyncio.sleep(_RETRY_AFTER_S)
            except Exception:  # noqa: BLE001 - a bug must not leave the cluster without a controller
                _log.exception("The controller failed and begins anew")
                await asyncio.sleep(_RETRY_AFTER_S)

    async def _wait_for_vacancy(self) -> None:
        """Wait until there is no controller."""
        # The view may not show yet who was faster.
        await self._view.wait_until(lambda: self._view.controller is not None, _RETRY_AFTER_S)
        while not await self._view.wait_until(lambda: self._view.controller is None, _LOOK_AFTER_S):
            pass

    async def _rule(self, claim: ControllerClaim) -> None:
        _log.info("Broker %d is the controller, epoch %d", claim.broker_id, claim.epoch)
        term = ControllerTerm(
            claim, self._view, self._store, self._peers, clock=self._clock, policy=self._policy
        )
        self._term = term
        try:
            await term.run()
        finally:
            if self._term is term:
                self._end_term()
        _log.info("Broker %d is not the controller any more", claim.broker_id)

    def _end_term(self) -> None:
        term, self._term = self._term, None
        if term is not None:
            self._past_elections += term.elections
            self._past_unclean_elections += term.unclean_elections
