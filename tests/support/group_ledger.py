"""The book of one consumer group: what its consumers were granted, read, and were refused."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from kafkalite.model.ids import TopicPartition


@dataclass(slots=True)
class _Lease:
    """Somebody consumes a partition, until it says otherwise, or its session is over."""

    owner: str
    due_s: float


@dataclass
class GroupLedger:
    """Thread-safe. Whatever must not be ends in `contradictions`."""

    group: str
    contradictions: list[str] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """Commits that were refused for good: who, and by which error."""
    lives_lost: int = 0
    """How often a membership ended that nobody had ended."""
    _granted: dict[int, dict[TopicPartition, str]] = field(default_factory=dict)
    _leases: dict[TopicPartition, _Lease] = field(default_factory=dict)
    _read: Counter[bytes] = field(default_factory=Counter)
    _readers: dict[TopicPartition, list[str]] = field(default_factory=dict)
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    # -- what consumers enter --------------------------------------------------------------------

    def grant(self, epoch: int, member: str, partitions: Iterable[TopicPartition]) -> None:
        """An answer of this group epoch says that a member may consume `partitions`."""
        with self._mutex:
            granted = self._granted.setdefault(epoch, {})
            for partition in partitions:
                other = granted.setdefault(partition, member)
                if other != member:
                    self._contradict(f"epoch {epoch}: {partition} is {other}'s and {member}'s")

    def take(self, member: str, partition: TopicPartition, due_s: float) -> None:
        """A member begins to consume a partition; its session is good until `due_s`."""
        with self._mutex:
            lease = self._leases.get(partition)
            if lease is not None and lease.owner != member and lease.due_s > time.monotonic():
                self._contradict(f"{member} takes {partition}, which {lease.owner} consumes")
            self._leases[partition] = _Lease(member, due_s)

    def renew(self, member: str, due_s: float) -> None:
        """A member was answered: its session is longer."""
        with self._mutex:
            for lease in self._leases.values():
                if lease.owner == member:
                    lease.due_s = due_s

    def release(self, member: str, partitions: Iterable[TopicPartition] | None = None) -> None:
        """A member consumes `partitions` (None: all that it has) no more."""
        with self._mutex:
            for partition in list(self._leases) if partitions is None else partitions:
                lease = self._leases.get(partition)
                if lease is not None and lease.owner == member:
                    del self._leases[partition]

    def read(self, member: str, partition: TopicPartition, values: Iterable[bytes]) -> None:
        with self._mutex:
            self._read.update(values)
            readers = self._readers.setdefault(partition, [])
            if member not in readers[-1:]:
                readers.append(member)

    def refuse(self, member: str, error: str) -> None:
        with self._mutex:
            self.refusals.append((member, error))

    def lose_life(self) -> None:
        with self._mutex:
            self.lives_lost += 1

    def _contradict(self, text: str) -> None:
        self.contradictions.append(f"{self.group}: {text}")

    # -- what tests ask --------------------------------------------------------------------------

    def owner_of(self, partition: TopicPartition) -> str | None:
        """Who consumes it now, as far as consumers say."""
        with self._mutex:
            lease = self._leases.get(partition)
            return None if lease is None else lease.owner

    def missing(self, values: Collection[bytes]) -> set[bytes]:
        """Those that nobody of the group has read."""
        with self._mutex:
            return set(values) - self._read.keys()

    def repeated(self) -> list[bytes]:
        """What was read more than once."""
        with self._mutex:
            return [value for value, times in self._read.items() if times > 1]

    def check(self) -> None:
        """No partition had two owners."""
        with self._mutex:
            assert not self.contradictions, self.contradictions
