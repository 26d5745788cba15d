"""A member of a group as a consumer: what it was assigned, how far it is, and its commits.

A partition that goes to somebody else is let go in this order: nothing of it is read or printed
any more, its offset is committed, and only then the coordinator is told (`GroupMember.release`).
"""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from kafkalite.cli.cluster import EARLIEST, Cluster
from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.cli.group_member import GroupMember, Membership
from kafkalite.cli.group_requests import GroupRequests
from kafkalite.cli.positions import UNKNOWN, Positions
from kafkalite.model.errors import (
    FencedMemberEpochError,
    LogError,
    StaleMemberEpochError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition

_JOIN_WAIT_S: Final = 30.0
_COMMIT_ATTEMPTS: Final = 5
_EPOCH_WAIT_S: Final = 1.0
"""How long the answer may be under way that explains why an epoch is stale."""
_RETRY_PAUSE_S: Final = 0.2
_FENCED: Final = (UnknownMemberIdError, FencedMemberEpochError)


class GroupOptions(NamedTuple):
    """What a consumer does beside being a member."""

    group: str
    reset: str
    """`earliest` or `latest`: where to begin in partitions without a committed offset."""
    commit_interval_ms: int | None
    """None: never commit."""
    leaves_group_behind: bool = True
    """False for a group that nobody will want to join again: it is deleted."""


class GroupSubscription:
    """A PartitionSource of what a group assigns. Owned by one command, single-threaded."""

    def __init__(
        self,
        cluster: Cluster,
        member: GroupMember,
        options: GroupOptions,
        *,
        topic: str | None,
        on_notice: Callable[[str], None],
    ) -> None:
        """`topic` is what is subscribed to, if it is one and no pattern: its absence is told."""
        self._cluster = cluster
        self._requests = GroupRequests(cluster)
        self._member = member
        self._options = options
        self._topic = topic
        self._on_notice = on_notice
        self._positions = Positions(cluster, on_notice=on_notice)
        self._leaders: dict[TopicPartition, str] = {}
        self._life = 0
        self._known_counts: dict[str, int] = {}
        """Partitions of each topic when this consumer started: others are read from the first."""
        self._topic_ids: dict[str, str] = {}
        self._done: dict[TopicPartition, int] = {}
        """Where each partition goes on after what was dealt with."""
        self._committed: dict[TopicPartition, int] = {}
        self._commit_due_s = 0.0
        self._has_told_missing = False
        self._is_started = False

    # -- what is read ----------------------------------------------------------------------------

    @property
    def leaders(self) -> Mapping[TopicPartition, str]:
        return self._leaders

    @property
    def positions(self) -> dict[TopicPartition, int]:
        return self._positions.by_partition

    @property
    def is_complete(self) -> bool:
        # Whoever was assigned nothing waits for that, and not for leaders.
        return len(self._leaders) == len(self.positions) and not self._has_told_missing

    @property
    def news(self) -> int | None:
        return self._member.news

    def start(self) -> None:
        """Join the group."""
        self._member.note_brokers(self._cluster.broker_urls().values())
        self._known_counts = {each.name: each.partition_count for each in self._cluster.topics()}
        self._is_started = True
        self._member.start()
        if not self._member.wait_until_joined(_JOIN_WAIT_S):
            why = self._member.take_trouble() or "its coordinator does not answer"
            raise CommandError(f"Cannot join group {self._options.group}: {why}")
        self._commit_due_s = time.monotonic() + self._commit_interval_s

    def follow(self) -> bool:
        """Let go of what is not ours any more, and take what is.

        Raises:
            LogError: the group does not want this member any more.
        """
        now = self._member.look()
        if now.life != self._life:
            # Others may have all of it by now, and go on from what was committed last.
            self._drop(list(self.positions))
            self._life = now.life
        gone = self.positions.keys() - now.assignment
        if gone:
            self._commit(gone)
            self._drop(gone)
            self._member.release(gone, now.life)
        came = now.assignment - self.positions.keys()
        for each in came:
            self.positions[each] = UNKNOWN
        if time.monotonic() >= self._commit_due_s:
            self.commit()
        return bool(gone or came)

    def refresh(self) -> None:
        urls = self._cluster.broker_urls()
        self._member.note_brokers(urls.values())
        self._find_begins()
        leaders: dict[TopicPartition, str] = {}
        for topic in sorted({each.topic for each in self.positions}):
            try:
                description = self._cluster.topic(topic)
            except UnknownTopicOrPartitionError:
                continue
            self._forget_if_recreated(topic, description.topic_id)
            for partition in description.partitions:
                found = TopicPartition(topic, partition.partition)
                if found in self.positions and partition.leader in urls:
                    leaders[found] = urls[partition.leader]
        self._positions.locate(leaders, self._start_of)
        self._leaders = leaders
        self._note_begins()
        self._tell_missing()

    def note_out_of_range(self, found: TopicPartition) -> None:
        self._positions.note_out_of_range(found)
        self._done.pop(found, None)

    def note_done(self, found: TopicPartition, next_offset: int) -> None:
        if found in self.positions:
            self._done[found] = next_offset

    def close(self) -> None:
        """Commit what was dealt with, and leave."""
        if not self._is_started:
            return
        with contextlib.suppress(LogError, CommandError):
            self.commit()
        self._member.close()
        if not self._options.leaves_group_behind:
            with contextlib.suppress(LogError, CommandError):
                self._requests.delete(self._options.group)

    # -- beginning in a partition ----------------------------------------------------------------

    def _find_begins(self) -> None:
        """Have partitions that came go on where the group has got to, where it has been there."""
        unknown = [
            each
            for each, position in self.positions.items()
            if position == UNKNOWN and not self._positions.is_out_of_range(each)
        ]
        if not unknown:
            return
        url = self._member.look().coordinator_url
        committed = self._requests.committed(self._options.group, url)
        for each in unknown:
            if each in committed:
                self.positions[each] = self._done[each] = self._committed[each] = committed[each]

    def _start_of(self, found: TopicPartition) -> str:
        is_new = found.partition >= self._known_counts.get(found.topic, 0)
        return EARLIEST if is_new else self._options.reset

    def _note_begins(self) -> None:
        """Commit where we begin: who takes over must not begin later, whatever becomes of us."""
        begun = [
            each
            for each, position in self.positions.items()
            if position != UNKNOWN and each not in self._done
        ]
        for each in begun:
            self._done[each] = self.positions[each]
        if begun:
            self.commit()

    def _forget_if_recreated(self, topic: str, topic_id: str) -> None:
        """A topic that was deleted and made again is another one, whatever its offsets say."""
        if self._topic_ids.setdefault(topic, topic_id) != topic_id:
            self._topic_ids[topic] = topic_id
            self._known_counts[topic] = 0
            again = [each for each in self.positions if each.topic == topic]
            self._drop(again)
            for each in again:
                self.positions[each] = UNKNOWN

    def _drop(self, partitions: Collection[TopicPartition]) -> None:
        for each in list(partitions):
            self._positions.forget(each)
            self._leaders.pop(each, None)
            self._done.pop(each, None)
            self._committed.pop(each, None)

    def _tell_missing(self) -> None:
        if self._topic is None or self.positions:
            self._has_told_missing = False
            return
        try:
            self._cluster.topic(self._topic)
        except UnknownTopicOrPartitionError:
            if not self._has_told_missing:
                self._on_notice(f"Topic '{self._topic}' does not exist; waiting until it does.")
            self._has_told_missing = True
        else:
            self._has_told_missing = False

    # -- committing ------------------------------------------------------------------------------

    @property
    def _commit_interval_s(self) -> float:
        interval_ms = self._options.commit_interval_ms
        return float("inf") if interval_ms is None else interval_ms / 1000

    def commit(self) -> None:
        """Commit what was dealt with, in all partitions."""
        self._commit(self.positions.keys())

    def _commit(self, partitions: Collection[TopicPartition]) -> None:
        """Commit what was dealt with in `partitions`; whatever fails is tried again later."""
        if self._options.commit_interval_ms is None:
            return
        self._commit_due_s = time.monotonic() + self._commit_interval_s
        for attempt in range(_COMMIT_ATTEMPTS):
            offsets = {
                each: offset
                for each, offset in self._done.items()
                if each in partitions and self._committed.get(each) != offset
            }
            if not offsets:
                return
            member = self._member.look()
            if member.life != self._life:
                return
            try:
                self._commit_once(offsets, member)
            except StaleMemberEpochError:
                self._member.wait_for_epoch_after(member.epoch, _EPOCH_WAIT_S)
            except _FENCED:
                return  # the next heartbeat is told the same
            except (LogError, NoBrokerError) as error:
                if attempt == _COMMIT_ATTEMPTS - 1:
                    self._on_notice(f"Offsets could not be committed: {error}")
                    return
                time.sleep(_RETRY_PAUSE_S)
            else:
                return

    def _commit_once(self, offsets: Mapping[TopicPartition, int], member: Membership) -> None:
        results = self._requests.commit(
            self._options.group,
            offsets,
            member_id=member.member_id,
            member_epoch=member.epoch,
            url=member.coordinator_url,
        )
        for each, error in results.items():
            if error is None:
                self._committed[each] = offsets[each]
        refused = {each: error for each, error in results.items() if error is not None}
        for each, error in refused.items():
            if not isinstance(error, _FENCED):
                raise type(error)(f"{each}: {error.detail}")
