"""Carries out what tools of older Kafkas, and people, write into ZooKeeper for the controller."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.ports import (
    ControllerClaim,
    ControllerStore,
    FencedControllerError,
    StoreError,
    StoreUnavailableError,
)
from kafkalite.controller.reassignment_plan import Targets, plan_reassignments
from kafkalite.model.admin_requests import NO_REQUESTS, ElectionRequest, ReassignmentRequest
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import ElectionNotNeededError
from kafkalite.model.ids import BrokerId
from kafkalite.model.reassignment import move
from kafkalite.wire.controller_messages import ControllerReply, ElectLeaders

_log = logging.getLogger(__name__)

_RETRY_AFTER_S: Final = 1.0
_Elect = Callable[[ElectLeaders], Awaitable[ControllerReply]]


class AdminRequests:
    """Sees to it that every request that is stored is carried out, and then removed.

    All that it knows is in the view: another controller goes on where this one ended. Owned by the
    ControllerTerm, which awaits `run` and passes on what it hears; on the event loop.
    """

    def __init__(
        self, claim: ControllerClaim, view: MetadataView, store: ControllerStore, elect: _Elect
    ) -> None:
        """Build for one term of office; `elect` has leaders elected."""
        self._claim = claim
        self._view = view
        self._store = store
        self._elect = elect
        self._wake = asyncio.Event()
        self._caught_up_with = NO_REQUESTS
        """Requests that the rest of the view is not behind of."""
        self._past_moves = self._past_election = -1
        """Revisions of requests that are settled, and may still be in the view."""

    def hear(self, change: MetadataChange) -> None:
        """The view changed."""
        # Moves that are asked for end with a change of their topics.
        if change.admin_requests or change.topics:
            self._wake.set()

    async def run(self) -> None:
        """Carry out requests until cancelled.

        Raises:
            StoreError: the office is lost, or may be.
        """
        while True:
            try:
                await self._identify_topics()
                await self._catch_up()
                await self._elect_leaders(self._view.admin_requests.election)
                await self._reassign(self._view.admin_requests.reassignment)
            except (FencedControllerError, StoreUnavailableError):
                raise
            except StoreError as error:
                _log.error("Carrying out what was asked for in ZooKeeper: %s", error)
                await asyncio.sleep(_RETRY_AFTER_S)
                continue
            await self._wake.wait()
            self._wake.clear()

    async def _catch_up(self) -> None:
        """Have the view know what was there before the requests: their topics, for one."""
        if self._view.admin_requests != self._caught_up_with:
            self._caught_up_with = self._view.admin_requests
            await self._store.catch_up()

    async def _identify_topics(self) -> None:
        for name in sorted(self._view.admin_requests.unidentified):
            await self._store.identify_topic(self._claim, name)
            _log.info("Topic %s was made without an id, and gets one", name)

    # -- moves ----------------------------------------------------------------------------------

    async def _reassign(self, request: ReassignmentRequest | None) -> None:
        if request is None or request.revision <= self._past_moves:
            return
        if request.problem is not None:
            if await self._keep(request, {}):
                _log.error("A reassignment is not carried out, and removed: %s", request.problem)
            return
        view = self._view
        plan = plan_reassignments(request.targets, view.topics, view.deletions, view.brokers)
        for name, targets in plan.begin.items():
            await self._begin(request, name, targets)
        remaining = plan.remaining(request.targets)
        if remaining and len(remaining) == len(request.targets):
            return
        if await self._keep(request, remaining):
            for partition, error in plan.refused.items():
                _log.warning(
                    "The reassignment of partition %r is skipped: %s", str(partition), error
                )
            if plan.done:
                _log.info("Reassigned as asked for: %s", ", ".join(map(str, sorted(plan.done))))

    async def _begin(
        self, request: ReassignmentRequest, name: str, targets: dict[int, tuple[BrokerId, ...]]
    ) -> None:
        def begin(topic: Topic) -> Topic:
            for number, target in targets.items():
                if number in topic.assignment and topic.target(number) != target:
                    topic = move(topic, number, target)
            return topic

        await self._store.begin_reassignments(self._claim, request, name, begin)

    async def _keep(self, request: ReassignmentRequest, targets: Targets) -> bool:
        is_kept = await self._store.keep_reassignments(self._claim, request, targets)
        self._past_moves = request.revision
        return is_kept

    # -- elections ------------------------------------------------------------------------------

    async def _elect_leaders(self, request: ElectionRequest | None) -> None:
        if request is None or request.revision <= self._past_election:
            return
        reply = ControllerReply()
        if request.problem is None:
            partitions = [(name.topic, name.partition) for name in sorted(request.partitions)]
            reply = await self._elect(ElectLeaders("preferred", partitions))
            if reply.error_code:
                raise StoreError(f"{reply.error} {reply.message}")
        is_dropped = await self._store.drop_election(self._claim, request)
        self._past_election = request.revision
        if not is_dropped:
            return
        if request.problem is not None:
            _log.error("An election is not carried out, and removed: %s", request.problem)
        for result in reply.elections:
            name = f"{result.topic}-{result.partition}"
            if result.error and result.error != ElectionNotNeededError.name:
                _log.warning("No preferred leader is elected for %r: %s", name, result.message)
            else:
                _log.info("The preferred leader of %s leads, as asked for", name)
