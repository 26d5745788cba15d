"""Members of consumer groups as load: many on few connections, or one on a connection each."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import msgspec

from benchmarks.connection import Connection, WrongAnswerError, make_request
from kafkalite.wire.group_messages import (
    JOINING,
    LEAVING,
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetToCommit,
    TopicPartitions,
)

_MSGPACK: Final = "application/msgpack"
_TIMEOUT_S: Final = 120.0
_LONG_WAIT_MS: Final = 10_000
_SESSION_MS: Final = 600_000
"""Members that only commit for a while, and say nothing else, are to stay."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(HeartbeatResponse).decode
_decode_committed = msgspec.msgpack.Decoder(OffsetCommitResponse).decode


class GroupMember:
    """What one member knows; speaks when it is told to."""

    def __init__(self, group: str, name: str, topic: str) -> None:
        self.group = group
        self.name = name
        self.topic = topic
        self.epoch = JOINING
        self.assignment: frozenset[int] = frozenset()
        self.owned: frozenset[int] = frozenset()

    def beat(self, connection: Connection, wait_ms: int = 0) -> None:
        """Say what it owns; let go at once of what it is to let go of."""
        body = connection.expect(self.heartbeat_request(wait_ms)).body
        answer = _decode(body)
        self.epoch = answer.member_epoch
        self.assignment = frozenset(n for each in answer.assignment for n in each.partitions)
        self.owned = self.assignment

    def heartbeat_request(self, wait_ms: int = 0) -> bytes:
        """The bytes of its next heartbeat."""
        request = HeartbeatRequest(
            self.name,
            self.epoch,
            topics=[self.topic],
            session_timeout_ms=_SESSION_MS,
            owned=[TopicPartitions(self.topic, sorted(self.owned))] if self.owned else [],
            max_wait_ms=wait_ms,
        )
        return make_request("POST", f"{self._path}/heartbeat", _encode(request), _MSGPACK)

    def commit_request(self, offset: int, count: int) -> bytes:
        """The bytes of a commit of `count` of its partitions."""
        offsets = [OffsetToCommit(self.topic, n, offset) for n in sorted(self.owned)[:count]]
        request = OffsetCommitRequest(offsets, self.name, self.epoch)
        return make_request("POST", f"{self._path}/offsets", _encode(request), _MSGPACK)

    def leave(self, connection: Connection) -> None:
        """Say good-bye; it may join again."""
        self.epoch, self.owned = LEAVING, frozenset()
        connection.expect(self.heartbeat_request())
        self.epoch, self.assignment = JOINING, frozenset()

    @property
    def _path(self) -> str:
        return f"/v1/groups/{self.group}"


def check_committed(body: memoryview) -> None:
    """Raise WrongAnswerError unless all of a commit is committed."""
    for result in _decode_committed(body).results:
        if result.error:
            raise WrongAnswerError(f"{result.topic}-{result.partition}: {result.error}")


def settle(port: int, groups: Iterable[Sequence[GroupMember]], *, threads: int) -> None:
    """Have the members of each group join, and speak until nothing changes any more."""

    def settle_one(members: Sequence[GroupMember]) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        with Connection(port) as connection:
            before = None
            while before != (before := [(each.epoch, each.assignment) for each in members]):
                if time.monotonic() > deadline:
                    raise WrongAnswerError(f"{members[0].group} does not settle")
                for each in members:
                    each.beat(connection)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(settle_one, groups))


class Rebalance(NamedTuple):
    """How one went."""

    seconds: float
    """From the newcomer's first heartbeat to the last change of anybody."""
    moved: int
    """Partitions that somebody who stayed had to give away."""


class PollingGroup:
    """A group whose members wait for news, each in a thread with a connection of its own.

    The first `count` - 1 stay; the last one comes and goes. A context manager.
    """

    def __init__(self, port: int, group: str, topic: str, partitions: int, count: int) -> None:
        self._port = port
        self._partitions = partitions
        self._members = [GroupMember(group, f"m{number}", topic) for number in range(count - 1)]
        self._newcomer = GroupMember(group, "newcomer", topic)
        self._changed = threading.Condition()
        self._changed_at = 0.0
        self._lost: dict[str, frozenset[int]] = {}
        self._is_over = False
        self._failures: list[Exception] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "PollingGroup":
        for member in self._members:
            self._run(member, lambda: self._is_over)
        self._wait_until_settled(self._members)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        with Connection(self._port) as connection:
            for member in self._members[:1]:  # wakes the others
                GroupMember(member.group, "waker", member.topic).beat(connection)
        for thread in self._threads:
            thread.join()

    def admit(self) -> Rebalance:
        """Have the newcomer join, until all have settled; then it leaves again."""
        self._lost.clear()
        is_done = threading.Event()
        started = time.perf_counter()
        thread = self._run(self._newcomer, is_done.is_set)
        self._wait_until_settled([*self._members, self._newcomer])
        seconds = self._changed_at - started
        moved = sum(len(lost) for lost in self._lost.values())
        is_done.set()
        with Connection(self._port) as connection:
            self._newcomer.leave(connection)
        thread.join()
        self._newcomer.epoch, self._newcomer.assignment = JOINING, frozenset()
        self._wait_until_settled(self._members)
        return Rebalance(seconds, moved)

    def _run(self, member: GroupMember, is_over: Callable[[], bool]) -> threading.Thread:
        def live() -> None:
            try:
                with Connection(self._port) as connection:
                    while not is_over():
                        self._beat(member, connection)
            except (OSError, WrongAnswerError) as error:
                if not is_over():
                    self._failures.append(error)

        thread = threading.Thread(target=live, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _beat(self, member: GroupMember, connection: Connection) -> None:
        before, epoch = member.assignment, member.epoch
        member.beat(connection, _LONG_WAIT_MS if epoch != JOINING else 0)
        if member.epoch == epoch:
            return
        now = time.perf_counter()
        with self._changed:
            self._changed_at = now
            lost = self._lost.get(member.name, frozenset()) | (before - member.assignment)
            self._lost[member.name] = lost
            self._changed.notify_all()

    def _wait_until_settled(self, members: Sequence[GroupMember]) -> None:
        """Wait until they have everything, in shares as even as can be."""
        least = self._partitions // len(members)

        def is_settled() -> bool:
            sizes = [len(member.assignment) for member in members]
            return bool(self._failures) or (
                sum(sizes) == self._partitions and max(sizes) - min(sizes) <= 1
                and min(sizes) == least
            )  # fmt: skip

        with self._changed:
            settled = self._changed.wait_for(is_settled, _TIMEOUT_S)
        if self._failures:
            raise self._failures[0]
        if not settled:
            raise WrongAnswerError("the group does not settle")
