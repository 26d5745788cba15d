"""One group's decisions, without IO: what members say and time go in, states to store come out.

What must always hold (docs/design/groups.md numbers it):

GRP-1  No partition is held by two members.
GRP-2  Every state in which something has changed has a higher epoch than the one before.
GRP-3  Answers with the same member epoch name the same partitions.
GRP-4  An answer grants nothing but what is stored.
GRP-7  All follows from the stored state and what is said afterwards: a coordinator that begins
       anew goes on where the last one was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kafkalite.groups.admission import check_room, check_shape, described, new_member
from kafkalite.groups.assignors.assignor import Assignor
from kafkalite.groups.assignors.registry import assignors as standard_assignors
from kafkalite.groups.description import GroupDescription
from kafkalite.groups.fencing import (
    check_heartbeat,
    check_life,
    commit_errors,
    member_with_instance,
    no_member,
)
from kafkalite.groups.heartbeat import Heartbeat, HeartbeatAnswer
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.reconciliation import away, released, with_grants, with_targets
from kafkalite.groups.state import (
    JOIN_EPOCH,
    LEAVE_EPOCH,
    NO_PARTITIONS,
    GroupPhase,
    GroupState,
    Member,
)
from kafkalite.groups.subscriptions import Subscriptions
from kafkalite.groups.targets import chosen_assignor, decide_targets
from kafkalite.groups.timers import MemberTimers
from kafkalite.groups.topics_view import TopicsView
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition


class GroupMachine:
    """A group, for as long as one broker coordinates it. Owned by its coordinator.

    The driver's turn:

        for each request:  machine.heartbeat(request, now)      raises: answer the error at once
        state = machine.state_to_store()                        None: answer at once
        store it over state.version: stored | not_stored | superseded
        for each request:  machine.answer(request)              raises: answer the error
        for each of changed_members(): answer its long poll

    Heartbeats may come in while a state is being stored; at most one is, at any time. Those that
    have to wait are answered when the next one is, not when that one is.
    """

    def __init__(
        self,
        state: GroupState,
        topics: TopicsView,
        limits: GroupLimits,
        now_ms: int,
        assignors: Mapping[str, Assignor] | None = None,
    ) -> None:
        """Begin with a state as stored; every member has its whole session timeout from now on."""
        self._view = topics
        self._limits = limits
        self._assignors = standard_assignors() if assignors is None else assignors
        self._subscriptions = Subscriptions(topics)
        self._timers = MemberTimers()
        self._changed: set[str] = set()
        self._begin(state, now_ms)

    def _begin(self, state: GroupState, now_ms: int) -> None:
        self._stored = state
        self._is_settled = _is_settled(state)
        self._empty_since_ms = None if state.members else now_ms
        self._in_flight: GroupState | None = None
        self._members = dict(state.members)
        """As they are to be stored."""
        self._revoked_epochs = {member.id: member.epoch for member in self._members.values()}
        """At which each member was told of less, or joined, last; where unknown, a later one."""
        self._is_dirty = False
        """Whether they, or what they are to consume, may differ from what is stored."""
        self._timers.begin(self._members.values(), now_ms)
        self._topics = state.topics
        """Of which it was last decided who is to consume them."""
        self._are_targets_due = self._are_targets_new = False
        if self._subscriptions.partition_counts(self._members.values()) != state.topics:
            self._decide_anew()

    # -- looking --------------------------------------------------------------------------------

    @property
    def stored_state(self) -> GroupState:
        """As last known to be stored: what answers and commits are judged by."""
        return self._stored

    @property
    def next_tick_ms(self) -> int | None:
        """When `tick` is wanted, or earlier, on the clock that `now_ms` is read from."""
        return self._timers.next_ms

    @property
    def is_empty(self) -> bool:
        """Whether the group, as stored, has no members."""
        return not self._stored.members

    @property
    def empty_since_ms(self) -> int | None:
        """Since when this coordinator knows that it is empty; None: it is not."""
        return self._empty_since_ms

    @property
    def subscribed_topics(self) -> Mapping[str, int]:
        """Existing topics that members, as stored, subscribe to, and their partitions."""
        return self._stored.topics

    @property
    def phase(self) -> GroupPhase:
        """What the group is doing."""
        if not self._stored.members:
            return GroupPhase.EMPTY
        if self._are_targets_due or self._are_targets_new:
            return GroupPhase.ASSIGNING
        return GroupPhase.STABLE if self._is_settled else GroupPhase.RECONCILING

    def describe(self) -> GroupDescription:
        """The group as stored."""
        members = tuple(member for _, member in sorted(self._stored.members.items()))
        return GroupDescription(self.phase, self._stored.epoch, chosen_assignor(members), members)

    # -- taking in ------------------------------------------------------------------------------

    def heartbeat(self, request: Heartbeat, now_ms: int) -> bool:
        """Take in what a member says; gives whether its answer has to wait for a state stored.

        For one that `state_to_store` hands out afterwards, or for it to have nothing to hand out.

        Raises:
            LogError: it is refused; nothing has changed.
        """
        check_shape(request)
        member = self._members.get(request.member_id)
        if request.is_leaving:
            return self._leave(member, request, now_ms)
        member = self._join(request) if member is None else self._go_on(member, request)
        self._timers.heard(member, now_ms)
        return self._stored.members.get(member.id) is not member

    def _join(self, request: Heartbeat) -> Member:
        if request.member_epoch != JOIN_EPOCH:
            raise no_member(self._members, request)
        former = member_with_instance(self._members, request.instance_id)
        member = new_member(request, self._limits, self._assignors)
        if former is not None:
            # It takes the place: the former one is fenced, and counts as having let go.
            member = replace(member, target=former.target)
        members = {k: v for k, v in self._members.items() if v is not former} | {member.id: member}
        self._check_room(members)
        if former is not None:
            self._forget(former.id)
        self._members = members
        self._revoked_epochs[member.id] = JOIN_EPOCH
        if former is None or not _is_alike(former, member):
            self._decide_anew()
        self._is_dirty = True
        return member

    def _go_on(self, member: Member, request: Heartbeat) -> Member:
        check_heartbeat(member, request)
        news = described(member, request, self._limits, self._assignors)
        if news is not member:
            self._check_room({**self._members, member.id: news})
            if not _is_alike(news, member):
                self._decide_anew()
        if request.member_epoch == JOIN_EPOCH:
            # Whatever its former life still says is older than this.
            news = replace(news, epoch=JOIN_EPOCH)
        relieved = released(news, request, self._revoked_epochs[member.id])
        if relieved is not news:
            self._timers.has_released(member)
        self._put(relieved)
        return relieved

    def _leave(self, member: Member | None, request: Heartbeat, now_ms: int) -> bool:
        if member is None:
            raise no_member(self._members, request)
        check_heartbeat(member, request)
        if request.member_epoch == LEAVE_EPOCH:
            self._remove(member.id)
        else:
            member = away(member)
            self._put(member)
            self._timers.heard(member, now_ms)
        return True

    def _put(self, member: Member) -> None:
        if self._members[member.id] is not member:
            self._members[member.id] = member
            self._is_dirty = True

    def _remove(self, member_id: str) -> None:
        del self._members[member_id]
        self._forget(member_id)
        self._decide_anew()

    def _forget(self, member_id: str) -> None:
        self._timers.forget(member_id)
        del self._revoked_epochs[member_id]

    def _decide_anew(self) -> None:
        self._are_targets_due = self._is_dirty = True

    def _check_room(self, members: Mapping[str, Member]) -> None:
        check_room(members, self._subscriptions.partition_counts(members.values()), self._limits)

    def topics_changed(self, names: Iterable[str]) -> None:
        """These topics were created, have more partitions, or are gone."""
        if self._subscriptions.topics_changed(names, self._topics):
            self._decide_anew()

    def tick(self, now_ms: int) -> None:
        """Time passed; see `next_tick_ms`."""
        for member_id in self._timers.expired(self._members, now_ms):
            self._remove(member_id)

    # -- storing --------------------------------------------------------------------------------

    def state_to_store(self) -> GroupState | None:
        """What is to be stored now, over the version that it names; None: nothing, or not yet.

        Tell the outcome by `stored`, `not_stored` or `superseded` before asking again.
        """
        if self._in_flight is not None or not self._is_dirty:
            return None
        self._is_dirty = False
        if self._are_targets_due:
            self._decide()
        epoch = self._stored.epoch + 1
        granted = with_grants(self._members)
        self._members = {k: self._with_epoch(member, epoch) for k, member in granted.items()}
        if self._members == self._stored.members and self._topics == self._stored.topics:
            self._are_targets_new = False
            return None
        version = self._stored.version
        self._in_flight = GroupState(epoch, dict(self._members), self._topics, version)
        return self._in_flight

    def _decide(self) -> None:
        members = self._members
        counts = self._subscriptions.partition_counts(members.values())
        targets = decide_targets(members, self._subscriptions, counts, self._view, self._assignors)
        self._members = with_targets(members, targets)
        self._topics = counts
        self._are_targets_due, self._are_targets_new = False, True

    def _with_epoch(self, member: Member, epoch: int) -> Member:
        if member.is_away:
            return member
        known = self._stored.members.get(member.id)
        is_joining = known is None or member.epoch == JOIN_EPOCH
        if known is None or is_joining or known.assignment - member.assignment:
            self._revoked_epochs[member.id] = epoch
        is_told_the_same = (
            known is not None
            and member.epoch == known.epoch
            and (member is known or member.assignment == known.assignment)
        )
        if is_told_the_same:
            return member
        return replace(
            member, epoch=epoch, joined_epoch=epoch if is_joining else member.joined_epoch
        )

    def stored(self, version: int, now_ms: int) -> None:
        """The state is stored, and has this version."""
        if self._in_flight is None:
            raise AssertionError("nothing was to be stored")
        self._confirm(replace(self._in_flight, version=version), now_ms)
        self._in_flight = None
        self._are_targets_new = False
        for member in self._stored.members.values():
            if member.id in self._members:
                self._timers.asked_to_release(member, now_ms)

    def _confirm(self, state: GroupState, now_ms: int) -> None:
        before, self._stored = self._stored, state
        self._is_settled = _is_settled(state)
        if state.members:
            self._empty_since_ms = None
        elif self._empty_since_ms is None:
            self._empty_since_ms = now_ms
        for member in before.members.values():
            now = state.members.get(member.id)
            if now is None or now.epoch != member.epoch:
                self._changed.add(member.id)

    def not_stored(self) -> None:
        """It is certain that the state was not stored, for a reason that may pass."""
        self._in_flight = None
        self._is_dirty = self._are_targets_due = True

    def superseded(self, state: GroupState | None, now_ms: int) -> None:
        """Somebody else stored `state` (None: removed it): all that was not stored is void.

        Feed the heartbeats that wait for their answers once more.
        """
        state = GroupState() if state is None else state
        self._confirm(state, now_ms)
        self._begin(state, now_ms)

    # -- answering ------------------------------------------------------------------------------

    def has_news(self, request: Heartbeat) -> bool:
        """Whether the answer would differ from the one whose epoch the request names."""
        member = self._stored.members.get(request.member_id)
        return member is None or member.epoch != request.member_epoch

    def changed_members(self) -> set[str]:
        """Whose answer has changed, or who is no member any more, since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def answer(self, request: Heartbeat) -> HeartbeatAnswer:
        """What to answer, as of the last stored state.

        Raises:
            UnknownMemberIdError, FencedInstanceIdError: it is no member (any more).
            FencedMemberEpochError: it is one, but has joined anew since.
        """
        member_id, epoch, assignment = request.member_id, request.member_epoch, NO_PARTITIONS
        if not request.is_leaving:
            member = self._stored.members.get(member_id)
            if member is None or member.is_away:
                raise no_member(self._stored.members, request)
            check_life(member, request)
            epoch, assignment = member.epoch, member.assignment
        return HeartbeatAnswer(
            member_id,
            epoch,
            assignment,
            self._limits.heartbeat_interval_ms,
            self._stored.epoch,
            self.phase,
        )

    def check_commit(
        self, member_id: str, member_epoch: int, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, LogError | None]:
        """Why each of these offsets must not be committed, or None, as of the last stored state.

        A simple consumer has no id ("") and an epoch below 0; it may commit while there are no
        members. The commit has to be a transaction that checks `stored_state.version`.
        """
        return commit_errors(self._stored.members, member_id, member_epoch, partitions)


def _is_settled(state: GroupState) -> bool:
    return all(member.is_settled for member in state.members.values())


def _is_alike(one: Member, other: Member) -> bool:
    """Whether they ask the same of an assignor."""
    return (one.topics, one.pattern, one.assignor, one.rack, one.instance_id) == (
        other.topics,
        other.pattern,
        other.assignor,
        other.rack,
        other.instance_id,
    )
