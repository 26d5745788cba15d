"""One term of office: runs the controller's machine while this broker rules."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from kafkalite.broker.control.admin_requests import AdminRequests
from kafkalite.broker.control.death_watch import DeathWatch
from kafkalite.broker.control.wished_elections import WishedElections
from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.ports import (
    ControllerClaim,
    ControllerStore,
    FencedControllerError,
    Peers,
    StoreError,
    StoreUnavailableError,
)
from kafkalite.controller.events import (
    BrokerLeaving,
    BrokerReachable,
    BrokersChanged,
    BrokerUnreachable,
    CompleteReassignment,
    CompletionFailed,
    DeletionsChanged,
    DropDeletion,
    Effect,
    Elected,
    Event,
    PolicyChanged,
    RemovalFailed,
    RemoveTopic,
    ReplicaDamaged,
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
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    EligibleLeadersNotAvailableError,
    LogError,
    NotControllerError,
    RequestTimedOutError,
    StaleBrokerEpochError,
)
from kafkalite.model.ids import NO_LEADER, BrokerId, TopicPartition
from kafkalite.wire import controller_messages as messages
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest

_log = logging.getLogger(__name__)

MAX_ASKED: Final = 256
"""Requests that wait at a time; more are refused."""

_Errand = RemoveTopic | DropDeletion | CompleteReassignment
_Answer = Callable[[], ControllerReply]


@dataclass(slots=True)
class _Asked:
    """A request that waits: first for its turn, then until all that follows from it is done."""

    begin: Callable[[], tuple[Event, _Answer]]
    """Called when it is its turn: what the machine is told, and how the answer is then found."""
    future: asyncio.Future[ControllerReply]
    answer: _Answer | None = None


class ControllerTerm:
    """Feeds the machine with what happens, and carries out what it wants.

    States are written by `run` itself, one effect at a time. What may take long and keeps nobody
    from a leader (removals, completions, old notices) is done beside it by a second task, so that
    a death is never waited for by a topic that goes; a third one carries out what is asked for in
    ZooKeeper. Owned by the ControllerDriver.
    """

    def __init__(
        self,
        claim: ControllerClaim,
        view: MetadataView,
        store: ControllerStore,
        peers: Peers,
        *,
        clock: Clock,
        policy: Callable[[], ControllerPolicy],
    ) -> None:
        """Build for the office that `claim` proves; `policy` is looked at again now and then."""
        self.claim = claim
        self._view = view
        self._store = store
        self._clock = clock
        self._policy_now = policy
        self._policy = policy()
        self._machine = ControllerMachine(self._policy)
        self._watch = DeathWatch(
            peers,
            is_registered=self._is_registered,
            on_dead=lambda broker: self._tell(BrokerUnreachable(broker.id, broker.epoch)),
            on_back=lambda broker: self._tell(BrokerReachable(broker.id, broker.epoch)),
        )
        self._requests = AdminRequests(claim, view, store, self.ask)
        self._news = MetadataChange()
        self._queue: deque[Event | _Asked] = deque()
        self._wake = asyncio.Event()
        self._errands: deque[_Errand] = deque()
        self._has_errands = asyncio.Event()
        self._asked: list[_Asked] = []
        self._is_over = False

    @property
    def elections(self) -> int:
        """Leaders elected in this term."""
        return self._machine.elections

    @property
    def unclean_elections(self) -> int:
        """Those of them that were not in sync."""
        return self._machine.unclean_elections

    def hear(self, change: MetadataChange) -> None:
        """The view changed."""
        self._news |= change
        self._wake.set()
        self._requests.hear(change)

    # -- ruling ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Rule until another broker does, as far as the view shows.

        Raises:
            StoreError: the office is lost, or may be.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._store.catch_up()
            self._begin()
            tasks += (
                asyncio.create_task(self._run_errands(), name="controller's errands"),
                asyncio.create_task(self._requests.run(), name="controller's requests"),
            )
            for task in tasks:
                task.add_done_callback(lambda _: self._wake.set())
            while self._view.controller == self.claim.broker_id:
                for task in tasks:
                    if task.done():
                        task.result()
                await self._step()
        finally:
            self._end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._watch.stop()

    def _begin(self) -> None:
        self._news = MetadataChange()
        view = self._view
        elected = Elected(
            self.claim.epoch,
            self._registered(),
            dict(view.topics),
            dict(view.states),
            dict(view.state_revisions),
            view.deletions,
        )
        self._queue.appendleft(elected)
        # Whom the last controller knew to be dead, this one has to find out for itself.
        own_id = self.claim.broker_id
        self._watch.look_at(broker for broker in view.brokers.values() if broker.id != own_id)

    def _end(self) -> None:
        self._is_over = True
        for asked in self._asked:
            _answer(asked.future, lambda: self._refusal(NotControllerError()))

    async def _step(self) -> None:
        """Handle one event, or wait for one."""
        self._queue.extendleft(reversed(list(self._take_news())))
        if not self._queue:
            self._answer_asked()
            self._has_errands.set()
            await self._wait_for_news(self._machine.next_tick_ms)
            return
        event = self._queue.popleft()
        if isinstance(event, _Asked):
            asked = event
            event, asked.answer = asked.begin()
        ready = self._machine.handle(event, self._clock.monotonic_ms())
        for effect in ready.effects:
            if isinstance(effect, WriteStates):
                self._queue.extend(await self._carry_out(effect, self._write_states(effect)))
            else:
                self._errands.append(effect)
                self._has_errands.set()

    async def _wait_for_news(self, tick_at_ms: int | None) -> None:
        delay_s = None
        if tick_at_ms is not None:
            delay_s = max(0, tick_at_ms - self._clock.monotonic_ms()) / 1000
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            pass  # the tick is due
        self._wake.clear()

    def _take_news(self) -> Iterable[Event]:
        """What happened since the last look, as events."""
        news, self._news = self._news, MetadataChange()
        view = self._view
        if news.brokers:
            yield BrokersChanged(self._registered())
        if news.topics:
            yield TopicsChanged({name: view.topics.get(name) for name in news.topics})
        if news.deletions:
            yield DeletionsChanged(view.deletions)
        if news.partitions:
            states = {name: view.states.get(name) for name in news.partitions}
            revisions = {name: view.state_revisions[name] for name in states.keys() & view.states}
            yield StatesObserved(states, revisions)
        policy = self._policy_now()
        if policy != self._policy:
            self._policy = policy
            yield PolicyChanged(policy)
        tick_at_ms = self._machine.next_tick_ms
        if tick_at_ms is not None and tick_at_ms <= self._clock.monotonic_ms():
            yield Tick()

    def _registered(self) -> dict[BrokerId, int]:
        return {broker.id: broker.epoch for broker in self._view.brokers.values()}

    def _is_registered(self, broker: Broker) -> bool:
        return self._registered().get(broker.id) == broker.epoch

    def _tell(self, *events: Event) -> None:
        self._queue.extend(events)
        self._wake.set()

    # -- carrying out ---------------------------------------------------------------------------

    async def _run_errands(self) -> None:
        while True:
            await self._has_errands.wait()
            self._has_errands.clear()
            while self._errands:
                errand = self._errands.popleft()
                self._tell(*await self._carry_out(errand, self._run_errand(errand)))
            await self._store.prune_notices(self.claim)

    async def _carry_out(self, effect: Effect, work: Awaitable[Iterable[Event]]) -> Iterable[Event]:
        """Do it; gives what the machine is to be told. What ends the term raises StoreError."""
        try:
            return await work
        except (FencedControllerError, StoreUnavailableError):
            raise
        except StoreError as error:
            _log.error("Controller: %s; trying again later", error)
            return (_failure(effect),)

    async def _write_states(self, effect: WriteStates) -> Iterable[Event]:
        outcome = await self._store.write_states(self.claim, effect.changes)
        for partition, state in outcome.items():
            if state is not None and state.is_offline:
                _log.warning("Partition %s is offline: no in-sync replica is alive", partition)
        unreadable = frozenset(change.partition for change in effect.changes) - outcome.keys()
        if unreadable:
            return StatesWritten(outcome), StatesFailed(unreadable)
        return (StatesWritten(outcome),)

    async def _run_errand(self, errand: _Errand) -> Iterable[Event]:
        match errand:
            case RemoveTopic(name):
                await self._store.remove_topic(self.claim, name)
                _log.info("Deleted topic %s", name)
                return (TopicRemoved(name),)
            case DropDeletion(name, reason):
                await self._drop_deletion(name, reason)
                return (RemovalFailed(name),)
            case CompleteReassignment(name, partitions):
                await self._store.complete_reassignment(self.claim, name, partitions)
                moved = ", ".join(f"{name}-{number}" for number in sorted(partitions))
                _log.info("Reassigned %s", moved)
        return ()

    async def _drop_deletion(self, name: str, reason: str) -> None:
        # A topic that was deleted a moment ago may be there again, and be asked to be deleted.
        await self._store.catch_up()
        is_possible = name in self._view.topics and self._policy_now().deletes_topics
        if name in self._view.deletions and not is_possible:
            _log.warning("A request to delete topic %s is dropped: %s", name, reason)
            await self._store.drop_deletion(self.claim, name)

    # -- being asked ----------------------------------------------------------------------------

    async def ask(self, request: ControllerRequest) -> ControllerReply:
        """Do what a broker asks for; gives the answer once all that follows from it is written."""
        if self._is_over:
            return self._refusal(NotControllerError())
        match request:
            case messages.BrokerUnreachable(broker_id=broker_id, broker_epoch=epoch):
                return await self._on_unreachable(BrokerId(broker_id), epoch)
            case messages.LeaveRequest(broker_id=broker_id, broker_epoch=epoch):
                return await self._on_leaving(BrokerId(broker_id), epoch)
            case messages.ReplicaDamaged():
                return await self._on_damaged(request)
            case messages.ElectLeaders():
                return await self._on_wished(request)

    async def _on_unreachable(self, broker_id: BrokerId, epoch: int) -> ControllerReply:
        broker = self._view.brokers.get(broker_id)
        if broker is not None and broker.epoch == epoch and broker_id != self.claim.broker_id:
            await self._watch.look(broker)  # which tells the machine
        return self._reply()

    async def _on_leaving(self, broker_id: BrokerId, epoch: int) -> ControllerReply:
        if self._registered().get(broker_id) != epoch:
            return self._refusal(
                StaleBrokerEpochError(f"Broker {broker_id} is not registered with epoch {epoch}")
            )

        def answer() -> ControllerReply:
            return self._reply(remaining=self._machine.remaining(broker_id))

        return await self._submit(lambda: (BrokerLeaving(broker_id, epoch), answer))

    async def _on_damaged(self, request: messages.ReplicaDamaged) -> ControllerReply:
        name, broker = TopicPartition(request.topic, request.partition), BrokerId(request.broker_id)

        def answer() -> ControllerReply:
            state = self._machine.state(name)
            if state is None or (state.leader, state.leader_epoch) != (
                broker,
                request.leader_epoch,
            ):
                return self._reply()
            return self._refusal(
                EligibleLeadersNotAvailableError(f"No other replica of {name} is in sync and alive")
            )

        event = ReplicaDamaged(name, broker, request.leader_epoch)
        return await self._submit(lambda: (event, answer))

    async def _on_wished(self, request: messages.ElectLeaders) -> ControllerReply:
        def begin() -> tuple[Event, _Answer]:
            wished = WishedElections(self._machine, request)
            return wished.event, lambda: self._reply(elections=wished.results())

        return await self._submit(begin)

    async def _submit(self, begin: Callable[[], tuple[Event, _Answer]]) -> ControllerReply:
        if len(self._asked) >= MAX_ASKED:
            return self._refusal(RequestTimedOutError("The controller is asked too much at once"))
        asked = _Asked(begin, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        self._queue.append(asked)
        self._wake.set()
        return await asked.future

    def _answer_asked(self) -> None:
        """The machine has no more to do: what was asked for is done, as far as it can be."""
        done, self._asked = self._asked, []
        for asked in done:
            if asked.answer is not None:
                _answer(asked.future, asked.answer)

    def _reply(
        self, *, remaining: int = 0, elections: list[messages.ElectionResult] | None = None
    ) -> ControllerReply:
        return ControllerReply(
            controller_id=self.claim.broker_id, remaining=remaining, elections=elections or []
        )

    def _refusal(self, error: LogError) -> ControllerReply:
        return refusal(error, self._view.controller)


def _answer(future: asyncio.Future[ControllerReply], answer: _Answer) -> None:
    if not future.done():  # who asked may be gone
        future.set_result(answer())


def refusal(error: LogError, controller: BrokerId | None) -> ControllerReply:
    """The answer to a request that is not carried out; names who rules."""
    return ControllerReply(
        error.code,
        error.name,
        error.detail,
        controller_id=NO_LEADER if controller is None else controller,
    )


def _failure(effect: Effect) -> Event:
    match effect:
        case WriteStates(changes):
            return StatesFailed(frozenset(change.partition for change in changes))
        case CompleteReassignment(name, numbers):
            return CompletionFailed(frozenset(TopicPartition(name, number) for number in numbers))
        case RemoveTopic(name) | DropDeletion(name):
            return RemovalFailed(name)
