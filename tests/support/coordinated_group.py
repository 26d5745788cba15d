"""One group in memory: what is stored, coordinators that may be several, and clients with a will.

Checked at every store, answer and commit, from outside (docs/design/groups.md): GRP-1 (held sets
are disjoint, and nobody consumes what it does not hold), GRP-2 and GRP-3 (epochs), GRP-4 (answers
grant what is stored) and GRP-5 (commits of the fenced are refused).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kafkalite.groups.heartbeat import Heartbeat, HeartbeatAnswer
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.machine import GroupMachine
from kafkalite.groups.state import (
    AWAY_EPOCH,
    JOIN_EPOCH,
    LEAVE_EPOCH,
    GroupState,
    Partitions,
)
from kafkalite.model.errors import FencedInstanceIdError, LogError
from kafkalite.model.ids import TopicPartition

SESSION_MS = 9_000
REBALANCE_MS = 12_000
HEARTBEAT_MS = 3_000


@dataclass
class Topics:
    """The topics of the cluster."""

    counts: dict[str, int] = field(default_factory=dict)
    racks_of: dict[TopicPartition, frozenset[str]] = field(default_factory=dict)

    def names(self) -> Iterable[str]:
        return list(self.counts)

    def partition_count(self, topic: str) -> int | None:
        return self.counts.get(topic)

    def racks(self, partition: TopicPartition) -> frozenset[str]:
        return self.racks_of.get(partition, frozenset())


@dataclass
class Client:
    """A consumer as it ought to be written: it owns what it was told, until it has let go."""

    id: str
    topics: tuple[str, ...] = ()
    pattern: str | None = None
    instance_id: str | None = None
    rack: str | None = None
    assignor: str | None = None
    epoch: int = JOIN_EPOCH
    owned: Partitions = frozenset()
    """What it consumes."""
    assignment: Partitions = frozenset()
    """What it was told that it may."""
    latest: Heartbeat | None = None
    """The request whose answer it waits for: it has given up on the ones before."""
    refused: LogError | None = None
    """What it was told last, where it was not served."""
    is_gone: bool = False
    is_zombie: bool = False
    """It was taken for dead, and does not know yet."""

    def request(self, epoch: int | None = None) -> Heartbeat:
        epoch = self.epoch if epoch is None else epoch
        is_joining = epoch == JOIN_EPOCH
        return Heartbeat(
            self.id,
            epoch,
            instance_id=self.instance_id,
            rack=self.rack,
            topics=self.topics,
            pattern=self.pattern or "",
            assignor=self.assignor,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            owned=frozenset() if is_joining else self.owned,
        )

    def take(self, answer: HeartbeatAnswer) -> None:
        if answer.member_epoch < self.epoch:
            return
        self.refused = None
        self.epoch = answer.member_epoch
        self.assignment = answer.assignment
        self.owned |= answer.assignment

    def let_go(self) -> None:
        self.owned &= self.assignment

    def give_up(self, error: LogError) -> None:
        self.owned = self.assignment = frozenset()
        self.epoch = JOIN_EPOCH
        self.refused = error
        self.is_zombie = False
        self.is_gone = isinstance(error, FencedInstanceIdError)


@dataclass
class Coordinator:
    """A broker's machine, and the requests whose answers wait."""

    machine: GroupMachine
    waiting: list[tuple[Heartbeat, Client | None]] = field(default_factory=list)
    """For a state that is yet to be handed out."""
    awaiting_flight: list[tuple[Heartbeat, Client | None]] = field(default_factory=list)
    in_flight: GroupState | None = None


class CoordinatedGroup:
    """The group, its coordinators by number, and its clients by id."""

    def __init__(self, limits: GroupLimits | None = None) -> None:
        self.limits = limits or GroupLimits()
        self.topics = Topics()
        self.truth = GroupState()
        """As ZooKeeper has it."""
        self.now_ms = 0
        self.clients: dict[str, Client] = {}
        self.coordinators: dict[int, Coordinator] = {}
        self.late: list[Heartbeat] = []
        """Copies of requests, which are still under way."""
        self._told: dict[tuple[str, int], Partitions] = {}

    # -- coordinators ---------------------------------------------------------------------------

    def load(self, number: int) -> None:
        """A broker begins to coordinate, from what is stored; who waited is not answered."""
        machine = GroupMachine(self.truth, self.topics, self.limits, self.now_ms)
        self.coordinators[number] = Coordinator(machine)

    def notice(self, number: int) -> None:
        """The coordinator hears that somebody else has stored something."""
        coordinator = self.coordinators[number]
        if (
            coordinator.in_flight is None
            and coordinator.machine.stored_state.version != self.truth.version
        ):
            self._supersede(number)

    def begin_store(self, number: int) -> bool:
        coordinator = self.coordinators[number]
        state = coordinator.machine.state_to_store()
        if state is not None:
            assert coordinator.in_flight is None
            coordinator.in_flight = state
            coordinator.awaiting_flight += coordinator.waiting
            coordinator.waiting = []
        elif coordinator.in_flight is None:
            self._answer_all(coordinator, coordinator.waiting)
            coordinator.waiting = []
        return state is not None

    def end_store(self, number: int, *, fails: bool = False, loses_answers: bool = False) -> None:
        """What is in flight arrives, or not; who waited is answered, or not."""
        coordinator = self.coordinators[number]
        state = coordinator.in_flight
        if state is None:
            return
        coordinator.in_flight = None
        if state.version != self.truth.version:
            self._supersede(number)
            return
        if fails:
            coordinator.machine.not_stored()
            return
        self._check_store(state)
        self.truth = replace(state, version=self.truth.version + 1)
        coordinator.machine.stored(self.truth.version, self.now_ms)
        waiting, coordinator.awaiting_flight = coordinator.awaiting_flight, []
        self._answer_all(coordinator, [] if loses_answers else waiting)

    def store(self, number: int) -> None:
        """Everything that there is to be stored is."""
        while self.coordinators[number].in_flight or self.begin_store(number):
            self.end_store(number)

    def _supersede(self, number: int) -> None:
        coordinator = self.coordinators[number]
        coordinator.machine.superseded(self.truth, self.now_ms)
        waiting = coordinator.awaiting_flight + coordinator.waiting
        coordinator.waiting, coordinator.awaiting_flight = [], []
        for request, client in waiting:
            self._feed(coordinator, request, client)

    def _check_store(self, state: GroupState) -> None:
        assert state.epoch > self.truth.epoch, "GRP-2"
        seen: set[TopicPartition] = set()
        wanted: set[TopicPartition] = set()
        for member in state.members.values():
            assert not seen & member.held, "GRP-1"
            assert not wanted & member.target
            seen |= member.held
            wanted |= member.target
            assert member.epoch <= state.epoch
            assert member.epoch != JOIN_EPOCH
            told = self._told.setdefault((member.id, member.epoch), member.assignment)
            assert member.is_away or told == member.assignment, "GRP-3"
        for client in self.clients.values():
            now = state.members.get(client.id)
            is_out = client.id in self.truth.members and now is None
            is_out |= now is not None and client.epoch < now.joined_epoch
            client.is_zombie |= is_out and client.epoch != JOIN_EPOCH

    # -- heartbeats -----------------------------------------------------------------------------

    def beat(self, client: Client, number: int, *, is_lost: bool = False) -> None:
        """A client's heartbeat reaches a coordinator; the answer may not reach the client."""
        client.latest = client.request()
        self._feed(self.coordinators[number], client.latest, None if is_lost else client)

    def deliver_late(self, request: Heartbeat, number: int) -> None:
        """A copy of a request arrives, whose sender waits for no answer any more."""
        self._feed(self.coordinators[number], request, None)

    def leave(self, client: Client, number: int, *, for_a_while: bool = False) -> None:
        """A client lets go of everything, says so, and is never heard of again."""
        client.is_gone = True
        request = client.request(AWAY_EPOCH if for_a_while else LEAVE_EPOCH)
        client.owned = client.assignment = frozenset()
        self._feed(self.coordinators[number], request, None)

    def _feed(self, coordinator: Coordinator, request: Heartbeat, client: Client | None) -> None:
        try:
            has_to_wait = coordinator.machine.heartbeat(request, self.now_ms)
        except LogError as error:
            if client is not None and client.latest is request:
                client.give_up(error)
            return
        if has_to_wait:
            coordinator.waiting.append((request, client))
        else:
            self._answer(coordinator, request, client)

    def _answer_all(
        self, coordinator: Coordinator, waiting: list[tuple[Heartbeat, Client | None]]
    ) -> None:
        for request, client in waiting:
            self._answer(coordinator, request, client)

    def _answer(self, coordinator: Coordinator, request: Heartbeat, client: Client | None) -> None:
        try:
            answer = coordinator.machine.answer(request)
        except LogError as error:
            if client is not None and client.latest is request:
                client.give_up(error)
            return
        if request.is_leaving:
            assert not answer.assignment
            return
        told = self._told[(answer.member_id, answer.member_epoch)]
        assert answer.assignment == told, "GRP-3, GRP-4"
        if client is not None and client.latest is request:
            client.take(answer)

    # -- commits --------------------------------------------------------------------------------

    def commit(self, client: Client, number: int) -> set[TopicPartition]:
        """A client commits all that it consumes; gives what was committed, after a look at it."""
        machine = self.coordinators[number].machine
        errors = machine.check_commit(client.id, client.epoch, client.owned)
        if machine.stored_state.version != self.truth.version:
            return set()  # the transaction checks the version
        done = {partition for partition, error in errors.items() if error is None}
        if done:
            member = self.truth.members[client.id]
            assert not client.is_zombie, "GRP-5"
            assert client.epoch == member.epoch, "GRP-5"
            assert done <= member.held, "GRP-5"
        return done

    # -- all of it ------------------------------------------------------------------------------

    def pass_time(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        for coordinator in self.coordinators.values():
            next_ms = coordinator.machine.next_tick_ms
            if next_ms is not None and next_ms <= self.now_ms:
                coordinator.machine.tick(self.now_ms)

    def change_topic(self, name: str, count: int | None) -> None:
        self.topics.counts.pop(name, None)
        if count is not None:
            self.topics.counts[name] = count
        for coordinator in self.coordinators.values():
            coordinator.machine.topics_changed([name])

    def check_owners(self) -> None:
        """Nobody but those who were taken for dead consumes what it does not hold (GRP-1)."""
        for client in self.clients.values():
            member = self.truth.members.get(client.id)
            if member is not None and not client.is_gone and not client.is_zombie:
                assert client.owned <= member.held, f"GRP-1: {client}"

    def round(self, number: int) -> None:
        """Everybody is heard of once, and lets go of what it has to."""
        self.pass_time(HEARTBEAT_MS)
        self.store(number)
        for client in self.clients.values():
            if not client.is_gone:
                client.let_go()
                self.beat(client, number)
        self.store(number)
        self.check_owners()
