"""One group's decisions, without IO: what members say and time go in, states to store come out.

What must always hold (docs/design/groups.md numbers it):

GRP-4  An answer grants nothing but what is stored.
"""

from collections.abc import Iterable, Mapping

from kafkalite.groups.description import GroupDescription
from kafkalite.groups.heartbeat import Heartbeat, HeartbeatAnswer
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.state import GroupState
from kafkalite.groups.topics_view import TopicsView
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition


class GroupMachine:
    """A group, for as long as one broker coordinates it. Owned by its coordinator.

    The driver's turn:

        for each request:  machine.heartbeat(request, now)      raises: answer the error at once
        state = machine.state_to_store()                        None: answer at once
        store it at state.version: stored(version) | not_stored() | superseded(state read anew)
        for each request:  machine.answer(request)              raises: answer the error
        for each of changed_members(): answer its long poll

    Heartbeats may come in while a state is being stored; at most one is, at any time.
    """

    def __init__(
        self, state: GroupState, topics: TopicsView, limits: GroupLimits, now_ms: int
    ) -> None:
        """Begin with a state as stored; every member has its whole session timeout from now on."""

    # -- looking --------------------------------------------------------------------------------

    @property
    def stored_state(self) -> GroupState:
        """As last known to be stored: what answers and commits are judged by."""

    @property
    def next_tick_ms(self) -> int | None:
        """When `tick` is wanted, or earlier, on the clock that `now_ms` is read from."""

    @property
    def is_empty(self) -> bool:
        """Whether the group, as stored, has no members."""

    @property
    def empty_since_ms(self) -> int | None:
        """Since when this coordinator knows that it is empty; None: it is not."""

    @property
    def subscribed_topics(self) -> Mapping[str, int]:
        """Existing topics that members subscribe to, and their partitions."""

    def describe(self) -> GroupDescription:
        """The group as stored."""

    # -- taking in ------------------------------------------------------------------------------

    def heartbeat(self, request: Heartbeat, now_ms: int) -> bool:
        """Take in what a member says; gives whether its answer has to wait for a state stored.

        Raises:
            LogError: it is refused; nothing has changed.
        """

    def topics_changed(self, names: Iterable[str], now_ms: int) -> None:
        """These topics were created, have more partitions, or are gone."""

    def tick(self, now_ms: int) -> None:
        """Time passed; see `next_tick_ms`."""

    # -- storing --------------------------------------------------------------------------------

    def state_to_store(self) -> GroupState | None:
        """What is to be stored now, over the version that it names; None: nothing, or not yet.

        Tell the outcome by `stored`, `not_stored` or `superseded` before asking again.
        """

    def stored(self, version: int, now_ms: int) -> None:
        """The state is stored, and has this version."""

    def not_stored(self) -> None:
        """It is certain that the state was not stored, for a reason that may pass."""

    def superseded(self, state: GroupState | None, now_ms: int) -> None:
        """Somebody else stored `state` (None: removed it): all that was not stored is void."""

    # -- answering ------------------------------------------------------------------------------

    def answer(self, request: Heartbeat) -> HeartbeatAnswer:
        """What to answer, as of the last stored state.

        Raises:
            UnknownMemberIdError, FencedInstanceIdError: it is no member (any more).
        """

    def changed_members(self) -> set[str]:
        """Who has to be told something since its last answer, or is no member any more."""

    def check_commit(
        self, member_id: str, member_epoch: int, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, LogError | None]:
        """Why each of these offsets must not be committed, or None, as of the last stored state.

        A simple consumer has no id ("") and an epoch below 0; it may commit while there are no
        members. The commit has to be a transaction that checks `stored_state.version`.
        """
