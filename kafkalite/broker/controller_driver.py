"""Runs the controller's machine while this broker is the controller."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.ports import (
    ControllerClaim,
    ControllerStore,
    FencedControllerError,
    StoreError,
    StoreUnavailableError,
)
from kafkalite.controller.events import (
    BrokersChanged,
    CompleteReassignment,
    CompletionFailed,
    DeletionsChanged,
    DropDeletion,
    Effect,
    Elected,
    Event,
    RemovalFailed,
    RemoveTopic,
    StatesFailed,
    StatesObserved,
    StatesWritten,
    Tick,
    TopicRemoved,
    TopicsChanged,
    WriteStates,
)
from kafkalite.controller.machine import ControllerMachine
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.clock import Clock
from kafkalite.model.ids import BrokerId, TopicPartition

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
        broker_id: BrokerId,
        *,
        clock: Clock,
        deletes_topics: Callable[[], bool],
    ) -> None:
        """Build; `deletes_topics` is delete.topic.enable."""
        self._view = view
        self._store = store
        self._broker_id = broker_id
        self._clock = clock
        self._deletes_topics = deletes_topics
        self._news = MetadataChange()
        self._has_news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._claim: ControllerClaim | None = None
        self._started = False

    @property
    def claim(self) -> ControllerClaim | None:
        """The claim while this broker rules."""
        return self._claim

    def start(self) -> None:
        """Stand for election from now on."""
        self._started = True
        self._view.subscribe(self._hear)
        self.resume()

    def suspend(self) -> None:
        """Stop at once: the session is suspended or lost."""
        self._claim = None
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

    def _hear(self, change: MetadataChange) -> None:
        self._news |= change
        self._has_news.set()

    async def _run(self) -> None:
        while True:
            try:
                self._claim = await self._store.claim(self._broker_id)
                if self._claim is None:
                    await self._wait_for_vacancy()
                else:
                    await self._rule(self._claim)
            except FencedControllerError as error:
                _log.warning("%s", error)
            except StoreError as error:
                _log.warning("Controller: %s", error)
                await asyncio.sleep(_RETRY_AFTER_S)
            except Exception:  # noqa: BLE001 - a bug must not leave the cluster without a controller
                _log.exception("The controller failed and begins anew")
                await asyncio.sleep(_RETRY_AFTER_S)
            self._claim = None

    async def _wait_for_vacancy(self) -> None:
        """Wait until there is no controller."""
        # The view may not show yet who was faster.
        await self._view.wait_until(lambda: self._view.controller is not None, _RETRY_AFTER_S)
        while not await self._view.wait_until(lambda: self._view.controller is None, _LOOK_AFTER_S):
            pass

    # -- ruling ---------------------------------------------------------------------------------

    async def _rule(self, claim: ControllerClaim) -> None:
        _log.info("Broker %d is the controller, epoch %d", claim.broker_id, claim.epoch)
        await self._store.catch_up()
        self._news = MetadataChange()
        self._has_news.clear()
        machine = ControllerMachine(ControllerPolicy(deletes_topics=self._deletes_topics()))
        view = self._view
        elected = Elected(
            claim.epoch,
            {broker.id: broker.epoch for broker in view.brokers.values()},
            dict(view.topics),
            dict(view.states),
            dict(view.state_revisions),
            view.deletions,
        )
        await self._handle(claim, machine, (elected,))
        while self._still_rules():
            await self._wait_for_news(machine.next_tick_ms)
            news, self._news = self._news, MetadataChange()
            self._has_news.clear()
            await self._handle(claim, machine, self._events_of(news))
            await self._store.prune_notices(claim)
        _log.info("Broker %d is not the controller any more", claim.broker_id)

    def _still_rules(self) -> bool:
        return self._view.controller == self._broker_id

    async def _wait_for_news(self, tick_at_ms: int | None) -> None:
        if tick_at_ms is None:
            await self._has_news.wait()
            return
        delay_s = max(0, tick_at_ms - self._clock.monotonic_ms()) / 1000
        try:
            async with asyncio.timeout(delay_s):
                await self._has_news.wait()
        except TimeoutError:
            pass  # the tick is due

    def _events_of(self, news: MetadataChange) -> Iterable[Event]:
        view = self._view
        if news.brokers:
            yield BrokersChanged({broker.id: broker.epoch for broker in view.brokers.values()})
        if news.topics:
            yield TopicsChanged({name: view.topics.get(name) for name in news.topics})
        if news.deletions:
            yield DeletionsChanged(view.deletions)
        if news.partitions:
            yield StatesObserved({name: view.states.get(name) for name in news.partitions})
        yield Tick()

    async def _handle(
        self, claim: ControllerClaim, machine: ControllerMachine, events: Iterable[Event]
    ) -> None:
        """Feed the machine, carry out what it wants, and feed it with what came of that."""
        queue = deque(events)
        while queue:
            ready = machine.handle(queue.popleft(), self._clock.monotonic_ms())
            for effect in ready.effects:
                queue.extend(await self._carry_out(claim, effect))

    async def _carry_out(self, claim: ControllerClaim, effect: Effect) -> Iterable[Event]:
        """Do it; gives what the machine is to be told. What ends the term raises StoreError."""
        try:
            match effect:
                case WriteStates():
                    return await self._write_states(claim, effect)
                case RemoveTopic(name):
                    await self._store.remove_topic(claim, name)
                    _log.info("Deleted topic %s", name)
                    return (TopicRemoved(name),)
                case DropDeletion(name, reason):
                    _log.warning("A request to delete topic %s is dropped: %s", name, reason)
                    await self._store.drop_deletion(claim, name)
                    return ()
                case CompleteReassignment(name, partitions):
                    await self._store.complete_reassignment(claim, name, partitions)
                    return ()
        except (FencedControllerError, StoreUnavailableError):
            raise
        except StoreError as error:
            _log.error("Controller: %s; trying again later", error)
            return (_failure(effect),)

    async def _write_states(self, claim: ControllerClaim, effect: WriteStates) -> Iterable[Event]:
        outcome = await self._store.write_states(claim, effect.changes)
        for partition, state in outcome.items():
            if state is not None and state.is_offline:
                _log.warning("Partition %s is offline: no in-sync replica is alive", partition)
        unreadable = frozenset(change.partition for change in effect.changes) - outcome.keys()
        if unreadable:
            return StatesWritten(outcome), StatesFailed(unreadable)
        return (StatesWritten(outcome),)


def _failure(effect: Effect) -> Event:
    if isinstance(effect, WriteStates):
        return StatesFailed(frozenset(change.partition for change in effect.changes))
    if isinstance(effect, CompleteReassignment):
        return CompletionFailed(
            frozenset(TopicPartition(effect.name, number) for number in effect.partitions)
        )
    return RemovalFailed(effect.name)
