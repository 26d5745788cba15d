"""The invariants of consumer groups (docs/design/groups.md), looked at from outside.

States and offsets are taken from ZooKeeper's model as they are written; what members believe, from
the members.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from kafkalite.model.ids import TopicPartition
from tests.simulation.cluster import Cluster

_STATE: Final = re.compile(r"/consumers/([^/]+)/state")
_OFFSET: Final = re.compile(r"/consumers/([^/]+)/offsets/([^/]+)/(\d+)")
_ATTEMPTS: Final = 1 << 24

Partitions = frozenset[TopicPartition]
NOTHING: Final[Partitions] = frozenset()


class StoredMember(NamedTuple):
    """A member as ZooKeeper has it."""

    epoch: int
    held: Partitions
    target: Partitions
    instance: str | None

    @property
    def assignment(self) -> Partitions:
        return self.held & self.target


class StoredState(NamedTuple):
    """A group as ZooKeeper has it."""

    epoch: int
    members: Mapping[str, StoredMember]


class Attempt(NamedTuple):
    """One commit of one partition that a member has sent, perhaps more than once."""

    group: str
    member: str
    epoch: int
    partition: TopicPartition
    position: int


class _Lease(NamedTuple):
    member: str
    due_s: float


class GroupChecker:
    """Hears every write to ZooKeeper, and every step of the members. Belongs to the world."""

    def __init__(self, cluster: Cluster, deleted: Collection[str]) -> None:
        """Build; `deleted` are the topics that somebody has asked to delete by now."""
        self._cluster = cluster
        self._deleted = deleted
        self.states: dict[str, StoredState] = {}
        """As they are now."""
        self._past: dict[tuple[str, int], StoredState] = {}
        """Every state that was ever stored, by group and epoch."""
        self._attempts: list[Attempt] = []
        self._written: set[int] = set()
        """Numbers of attempts of which something was written."""
        self._offsets: dict[tuple[str, TopicPartition], int] = {}
        """Number of the attempt that was written last."""
        self._leases: dict[tuple[str, TopicPartition], _Lease] = {}
        self._replaced: set[str] = set()
        """Members whose place another one took, whatever they still do: fenced, by intention."""
        self.granted = self.committed = 0
        cluster.ensemble.model.on_write.append(self._hear)

    def _fail(self, text: str) -> None:
        self._cluster.fail(text)

    # -- what ZooKeeper has -----------------------------------------------------------------------

    def _hear(self, path: str, data: bytes | None, _version: int) -> None:
        match = _STATE.fullmatch(path)
        if match is not None:
            self._state(match[1], data)
            return
        match = _OFFSET.fullmatch(path)
        if match is not None:
            self._offset(match[1], TopicPartition(match[2], int(match[3])), data)

    def _state(self, group: str, data: bytes | None) -> None:
        if data is None:
            self._fail(f"GRP-2 the state of {group} is gone")
            return
        payload = json.loads(data)
        members = {
            member: StoredMember(
                each["epoch"], _flat(each["held"]), _flat(each["target"]), each["instance_id"]
            )
            for member, each in payload["members"].items()
        }
        state = StoredState(payload["epoch"], members)
        shown = {m: (each.epoch, *map(_shown, each[1:3])) for m, each in members.items()}
        who = f"by broker {payload['coordinator']}"
        self._cluster.trace.note("zookeeper", f"{group} epoch={state.epoch} {who} {shown}")
        before = self.states.get(group)
        self.states[group] = state
        if before is not None and state != before and state.epoch <= before.epoch:
            self._fail(f"GRP-2 {group} went from epoch {before.epoch} to {state.epoch}")
        self._past[group, state.epoch] = state
        places = {each.instance for each in members.values()} - {None}
        if before is not None:
            gone = before.members.keys() - members.keys()
            self._replaced |= {each for each in gone if before.members[each].instance in places}
        holders: dict[TopicPartition, str] = {}
        for member, each in members.items():
            for partition in each.held:
                other = holders.setdefault(partition, member)
                if other != member:
                    self._fail(
                        f"GRP-1 {group} epoch {state.epoch}: {partition} is held by {other} and "
                        f"by {member}"
                    )

    def _offset(self, group: str, partition: TopicPartition, data: bytes | None) -> None:
        key = group, partition
        if data is None:
            if partition.topic not in self._deleted:
                self._fail(f"INV-5 a committed offset is gone: {key}")
            self._offsets.pop(key, None)
            return
        number = int(data) % _ATTEMPTS
        attempt = self._attempts[number]
        self._written.add(number)
        what = f"{group} {partition}@{attempt.position} of {attempt.member} in {attempt.epoch}"
        self._cluster.trace.note("zookeeper", f"commit {what}")
        if attempt[0] != group or attempt.partition != partition:
            self._fail(f"GRP-5 a commit of {attempt} is at {key}")
        member = self.states[group].members.get(attempt.member)
        if member is None:
            self._fail(f"GRP-5 who is no member has committed: {what}")
        elif member.epoch != attempt.epoch or partition not in member.held:
            self._fail(f"GRP-5 who is {member} has committed: {what}")
        before = self._offsets.get(key)
        self._offsets[key] = number
        if before is not None:
            self._compare(self._attempts[before], attempt)

    def _compare(self, before: Attempt, now: Attempt) -> None:
        # What a member sent twice, because the first time was not answered, may come late.
        if now.position < before.position and now.member != before.member:
            self._fail(f"INV-5 a committed offset went back: {before} to {now}")

    # -- what members do --------------------------------------------------------------------------

    def grant(
        self, group: str, member: str, epoch: int, group_epoch: int, assignment: Partitions
    ) -> None:
        """A member was answered."""
        self.granted += 1
        state = self._past.get((group, group_epoch))
        stored = None if state is None else state.members.get(member)
        if stored is None or stored.epoch != epoch or stored.assignment != assignment:
            self._fail(
                f"GRP-4 {member} was answered {_shown(assignment)} in epoch {epoch} of "
                f"{group_epoch}, where {stored} is stored"
            )

    def refused(self, group: str, member: str, epoch: int, error: str) -> None:
        """A member was told that it is none, or not at this epoch."""
        state = self.states.get(group)
        stored = None if state is None else state.members.get(member)
        if stored is not None and stored.epoch == epoch:
            self._fail(f"GRP-15 {member} of {group} was told {error}, but {stored} is stored")

    def take(self, group: str, member: str, partition: TopicPartition, due_s: float) -> None:
        """A member begins to consume a partition; it stops by itself when `due_s` comes."""
        now_s = self._cluster.loop.time()
        lease = self._leases.get((group, partition))
        is_other = lease is not None and lease.member not in {member, *self._replaced}
        if lease is not None and is_other and lease.due_s > now_s:
            self._fail(
                f"INV-7 {member} consumes {partition} of {group}, and so does {lease.member} for "
                f"{lease.due_s - now_s:.3f} s"
            )
        self._leases[group, partition] = _Lease(member, due_s)

    def renew(self, group: str, member: str, due_s: float) -> None:
        """A member was answered: it goes on for longer."""
        for key, lease in self._leases.items():
            if key[0] == group and lease.member == member:
                self._leases[key] = lease._replace(due_s=due_s)

    def release(self, group: str, member: str, partitions: Collection[TopicPartition]) -> None:
        """A member consumes these no more."""
        for partition in partitions:
            lease = self._leases.get((group, partition))
            if lease is not None and lease.member == member:
                del self._leases[group, partition]

    def attempt(
        self, group: str, member: str, epoch: int, partition: TopicPartition, position: int
    ) -> int:
        """A member is about to commit; gives the offset that says so."""
        self._attempts.append(Attempt(group, member, epoch, partition, position))
        return position * _ATTEMPTS + len(self._attempts) - 1

    def committed_offset(self, group: str, partition: TopicPartition) -> int:
        """What is stored now; 0 where nothing is."""
        number = self._offsets.get((group, partition))
        return 0 if number is None else self._attempts[number].position

    def was_committed(self, offset: int) -> None:
        """A member was told that this is committed."""
        self.committed += 1
        number = offset % _ATTEMPTS
        if number in self._written:
            return
        attempt = self._attempts[number]
        last = self._offsets.get((attempt.group, attempt.partition))
        # Of several that a member sent, because some were not answered, the last to arrive counts.
        if last is None or self._attempts[last].member != attempt.member:
            self._fail(f"GRP-12 {attempt} is said to be committed")

    def was_read(self, group: str, partition: TopicPartition, offset: int, at_least: int) -> int:
        """A member was told a committed offset, by when `at_least` was; gives the position."""
        position = offset // _ATTEMPTS
        if position < at_least:
            self._fail(f"INV-5 {group} {partition} is said to be at {position}, below {at_least}")
        return position


def _flat(found: Mapping[str, list[int]]) -> Partitions:
    return frozenset(
        TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers
    )


def _shown(partitions: Partitions) -> str:
    return " ".join(map(str, sorted(partitions))) or "-"
