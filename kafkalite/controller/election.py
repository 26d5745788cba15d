"""Who leads a partition, and who counts as in sync: pure functions of what is known of it.

Rules (1 to 3 are Kafka's):

1. The leader is the first replica, in assignment order, that is alive and in the ISR; one that is
   about to stop only where no other is left. A leader that may stay stays.
2. With none the partition is offline: leader -1, and the ISR stays, because only its members are
   known to hold everything. Where unclean election is allowed the first live replica leads instead,
   alone in the ISR; one that the partition only moves to comes last.
3. Every change raises the leader epoch: of the leader, going offline included, and of the ISR.
4. Out of the ISR goes, where another member remains and in this order: who is dead; who is not
   assigned; whose log is damaged; who was started again since the state was written, for it may
   have lost the end of its log; whom a reassignment takes away, once it may complete; who is about
   to stop.
5. A leader that was started again leads in a new epoch: each incarnation has an epoch of its own.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from kafkalite.controller.grounds import NO_GROUNDS, Grounds
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import (
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    LogError,
    PreferredLeaderNotAvailableError,
)
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch
from kafkalite.model.reassignment import may_complete


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision about one partition looks at, beside the partition's state."""

    topic: Topic
    number: int
    live: Collection[BrokerId]
    leaving: Collection[BrokerId] = frozenset()
    """Live brokers that are about to stop."""
    grounds: Grounds = NO_GROUNDS
    allows_unclean: bool = False
    """Whether a replica that is not in sync may lead where none in sync is alive."""

    @property
    def replicas(self) -> tuple[BrokerId, ...]:
        """Preferred leader first; while the partition moves, its target first."""
        return self.topic.assignment[self.number]

    def may_lead(self, candidates: Collection[BrokerId]) -> tuple[BrokerId, ...]:
        """Those of the candidates that are assigned and alive, in assignment order.

        Those that are about to stop are among them only where there are no others.
        """
        alive = tuple(r for r in self.replicas if r in candidates and r in self.live)
        return tuple(r for r in alive if r not in self.leaving) or alive


def first_state(
    situation: Situation, controller_epoch: ControllerEpoch, leader_epoch: int = 0
) -> PartitionState | None:
    """The state of a partition that has none: led by the first live replica, all live ones in sync.

    None when no replica is alive: it waits for one.
    """
    isr = situation.may_lead(situation.replicas)
    if not isr:
        return None
    return PartitionState(isr[0], LeaderEpoch(leader_epoch), isr, controller_epoch)


def next_state(
    state: PartitionState, situation: Situation, controller_epoch: ControllerEpoch
) -> PartitionState | None:
    """What the state has to become in this situation; None when it may stay."""
    isr = _in_sync(state.isr, situation)
    leader = _leader(state.leader, isr, situation)
    if leader == NO_LEADER and situation.allows_unclean:
        leader = _unclean_leader(situation)
        isr = (leader,) if leader != NO_LEADER else isr
    must_begin_anew = leader in situation.grounds.restarted
    if (leader, isr) == (state.leader, state.isr) and not must_begin_anew:
        return None
    # Also where only the ISR shrinks: a state that is newer than its leader's registration is taken
    # for one that was written for that incarnation, and an epoch of an earlier one must not be.
    leader_epoch = LeaderEpoch(state.leader_epoch + 1)
    return PartitionState(leader, leader_epoch, isr, controller_epoch, state.version)


def _in_sync(isr: Sequence[BrokerId], situation: Situation) -> tuple[BrokerId, ...]:
    """The ISR without those that have to go, as long as somebody is left (rule 4)."""
    alive = tuple(member for member in isr if member in situation.live)
    if not alive:
        return tuple(isr)
    grounds = situation.grounds
    narrowed = _keep(alive, lambda member: member in situation.replicas)
    narrowed = _keep(narrowed, lambda member: member not in grounds.damaged)
    narrowed = _keep(narrowed, lambda member: member not in grounds.restarted)
    if may_complete(situation.topic, situation.number, narrowed):
        target = situation.topic.target(situation.number)
        narrowed = _keep(narrowed, lambda member: member in target)
    return _keep(narrowed, lambda member: member not in grounds.leaving)


def _keep(
    members: tuple[BrokerId, ...], is_wanted: Callable[[BrokerId], bool]
) -> tuple[BrokerId, ...]:
    return tuple(member for member in members if is_wanted(member)) or members


def _leader(leader: BrokerId, isr: Collection[BrokerId], situation: Situation) -> BrokerId:
    """Who leads now, of these that are in sync; NO_LEADER: none of them may."""
    candidates = situation.may_lead(isr)
    if not candidates:
        # One that is not assigned cannot be elected, but what only it holds is not taken from it.
        return leader if leader in isr and leader in situation.live else NO_LEADER
    if situation.grounds.preferred and candidates[0] == situation.replicas[0]:
        return candidates[0]
    return leader if leader in candidates else candidates[0]


def _unclean_leader(situation: Situation) -> BrokerId:
    added = situation.topic.adding.get(situation.number, ())
    settled = [replica for replica in situation.replicas if replica not in added]
    candidates = situation.may_lead(settled) or situation.may_lead(situation.replicas)
    return candidates[0] if candidates else NO_LEADER


def preferred_verdict(state: PartitionState | None, situation: Situation) -> type[LogError] | None:
    """Why the preferred leader cannot be elected or need not; None: it can be."""
    preferred = situation.replicas[0]
    if state is None:
        return PreferredLeaderNotAvailableError
    if state.leader == preferred:
        return ElectionNotNeededError
    asked = replace(situation, grounds=Grounds(preferred=True))
    after = next_state(state, asked, state.controller_epoch)
    if after is None or after.leader != preferred:
        return PreferredLeaderNotAvailableError
    return None


def unclean_verdict(state: PartitionState | None, situation: Situation) -> type[LogError] | None:
    """Why an unclean election is not possible or not needed; None: it is."""
    if state is not None and state.leader in situation.live:
        return ElectionNotNeededError
    if not situation.may_lead(situation.replicas):
        return EligibleLeadersNotAvailableError
    return None
