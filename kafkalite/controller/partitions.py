"""What the controller knows of each assigned partition, and of its write that is under way."""

from dataclasses import dataclass, replace

from kafkalite.controller.events import NEW_STATE_VERSION, StateChange
from kafkalite.controller.grounds import NO_GROUNDS, Grounds
from kafkalite.controller.states import PartitionPhase, check_partition_transition, phase_of
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import TopicPartition


@dataclass(slots=True)
class PartitionRecord:
    """One assigned partition: its state as last confirmed, and at most one write of it."""

    name: TopicPartition
    phase: PartitionPhase = PartitionPhase.NEW
    state: PartitionState | None = None
    """As last confirmed by the store."""
    last_leader_epoch: int = -1
    """Highest ever seen: a state made anew continues above it."""
    grounds: Grounds = NO_GROUNDS
    """What was heard of its replicas since the last decision, `state` or the one under way."""
    completing: PartitionState | None = None
    """The state on which the completion of its reassignment was asked for."""
    _planned: PartitionState | None = None
    _planned_on: Grounds = NO_GROUNDS
    _planned_over: PartitionState | None = None
    """The state that the write under way replaces; its successor may be heard of first."""

    @property
    def is_writing(self) -> bool:
        """Whether a write is under way."""
        return self._planned is not None

    def plan(self, state: PartitionState) -> StateChange:
        """The write that makes `state` of it; under way from now on."""
        self._planned, self._planned_on, self._planned_over = state, self.grounds, self.state
        self.grounds = NO_GROUNDS
        version = NEW_STATE_VERSION if self.state is None else self.state.version
        return StateChange(self.name, state, version)

    def finish(self, state: PartitionState | None) -> PartitionState | None:
        """The write is over, and `state` is true now; gives what it replaced if it succeeded."""
        planned, before = self._planned, self._planned_over
        succeeded = state is not None and planned is not None and _same(state, planned)
        if succeeded:
            self._planned, self._planned_on = None, NO_GROUNDS
        else:
            self.give_up()
        self.confirm(state)
        return before if succeeded else None

    def give_up(self) -> None:
        """The write is over, and nothing or nobody knows what came of it: decide again."""
        self.grounds |= self._planned_on
        self._planned, self._planned_on = None, NO_GROUNDS

    def observe(self, state: PartitionState | None) -> bool:
        """Somebody read this state; False where it is no news."""
        if state is None:
            # The store lost it. While a write is under way, that one will tell.
            is_news = not self.is_writing
        else:
            is_news = self.state is None or state.version > self.state.version
        if is_news:
            self.confirm(state)
        return is_news

    def confirm(self, state: PartitionState | None) -> None:
        """The store says that this is its state."""
        phase = phase_of(state)
        if phase is not self.phase:
            check_partition_transition(self.name, self.phase, phase)
        self.phase = phase
        self.state = state
        if state is not None:
            self.last_leader_epoch = max(self.last_leader_epoch, state.leader_epoch)


def _same(one: PartitionState, other: PartitionState) -> bool:
    """Whether two states differ in nothing but the version under which they are stored."""
    return replace(one, version=0) == replace(other, version=0)
