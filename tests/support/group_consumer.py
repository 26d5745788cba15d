"""A consumer in a group, as strict as one can be, over HTTP through any broker.

It says what it owns in every heartbeat, commits what it has read before it lets a partition go, and
lets go before it says so; and it takes itself for dead when it was not answered for its session.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    JOINING,
    LEAVING,
    LEAVING_FOR_A_WHILE,
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetFetchResponse,
    OffsetToCommit,
    TopicPartitions,
)
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResponse
from kafkalite.wire.records import decode_batches
from tests.support.any_broker import AnyBroker
from tests.support.group_ledger import GroupLedger
from tests.support.waiting import wait_until

_MSGPACK: Final = "application/msgpack"
_MAX_BYTES: Final = 64 << 20
_FETCH_WAIT_MS: Final = 150
_PAUSE_S: Final = 0.05
_NO_MEMBER: Final = frozenset({"UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH"})
ZOMBIE_ERRORS: Final = frozenset(
    {"UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH", "STALE_MEMBER_EPOCH", "FENCED_INSTANCE_ID"}
)

_encode = msgspec.msgpack.Encoder().encode
_numbers = itertools.count()


class _End(Enum):
    """How a consumer ends."""

    LEAVE = "it leaves"
    ABANDON = "nobody hears of it any more, as after kill -9"


class _OutError(Exception):
    """The member is none any more."""


class _AbandonedError(Exception):
    """Not one step further."""


class GroupConsumer:
    """A thread that consumes until it is told otherwise; the test that made it ends it.

    Whatever a client must not be told ends it, and is raised by `check`.
    """

    def __init__(
        self,
        ledger: GroupLedger,
        brokers: Sequence[str],
        *,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        assignor: str | None = None,
        instance_id: str | None = None,
        session_timeout_ms: int = 6_000,
    ) -> None:
        """Assign only; `brokers` are `host:port`."""
        self.name = f"{ledger.group}-{next(_numbers)}"
        self.ledger = ledger
        self.zombie_errors: list[str] = []
        """How commits were refused that it tried right after a pause."""
        self._said = HeartbeatRequest(
            instance_id=instance_id,
            client_id=self.name,
            topics=list(topics),
            pattern=pattern,
            assignor=assignor,
            session_timeout_ms=session_timeout_ms,
        )
        self._session_s = session_timeout_ms / 1000
        self._broker = AnyBroker(brokers, next(_numbers))
        self._path = f"/v1/groups/{ledger.group}"
        self._member_id = self._new_id()
        self._epoch = JOINING
        self._due_s = 0.0
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int | None] = {}
        """Of all that it owns: where to read on; None where that is not known yet."""
        self._committed: dict[TopicPartition, int] = {}
        self._is_clear = threading.Event()
        self._is_clear.set()
        self._is_paused = threading.Event()
        self._is_zombie = False
        self._end: _End | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    # -- for tests -------------------------------------------------------------------------------

    @property
    def member_id(self) -> str:
        return self._member_id

    @property
    def instance(self) -> str | None:
        """Its place in the group, where it is static."""
        return self._said.instance_id

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """What it consumes now."""
        return frozenset(self._positions)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raise what ended it, if something did."""
        if self._failure is not None:
            raise AssertionError(f"{self.name} failed") from self._failure

    def leave(self) -> None:
        """Commit, leave the group, end."""
        self._finish(_End.LEAVE)

    def abandon(self) -> None:
        """End wherever it is, without a word; what it has not committed will be read again."""
        self.ledger.lose_life()
        self._finish(_End.ABANDON)

    def _finish(self, how: _End) -> None:
        self._end = how
        self._is_clear.set()
        self._thread.join()
        self.ledger.release(self._member_id)
        self.check()

    def pause(self) -> None:
        """Have it stand still wherever it is, as SIGSTOP would; it holds what it holds."""
        self._is_clear.clear()
        wait_until(self._is_paused.is_set, f"{self.name} stands still")

    def resume_as_zombie(self) -> None:
        """Go on: before it can notice how long it was away, it commits."""
        self._is_zombie = True
        self._is_paused.clear()
        self._is_clear.set()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._end is None:
                try:
                    self._turn()
                except _OutError:
                    self._lose_life()
            if self._end is _End.LEAVE:
                self._say_good_bye()
        except (_AbandonedError, _OutError):
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._failure = error
        finally:
            self._broker.close()

    def _turn(self) -> None:
        if self._epoch != JOINING and time.monotonic() > self._due_s:
            raise _OutError("not answered for a session")
        self._heartbeat()
        self._let_go()
        self._take_up()
        self._read()
        self._commit()

    def _ask(self, method: str, target: str, message: object = None) -> bytes | str | None:
        """A good answer's body, or the error's name, or None: there was none, try again."""
        self._step()
        body = b"" if message is None else _encode(message)
        answer = self._broker.ask(method, target, body, _MSGPACK)
        self._step()
        if answer is None:
            return None
        if answer.is_good:
            return answer.body
        problem: dict[str, Any] = msgspec.json.decode(answer.body)
        if not problem["retriable"]:
            return str(problem["error"])
        self._broker.turn()
        time.sleep(_PAUSE_S)
        return None

    def _step(self) -> None:
        """Where it can be stopped, paused and killed."""
        if not self._is_clear.is_set():
            self._is_paused.set()
            self._is_clear.wait()
        if self._end is _End.ABANDON:
            raise _AbandonedError
        if self._is_zombie:
            self._is_zombie = False
            self._commit_as_zombie()

    # -- membership ------------------------------------------------------------------------------

    def _heartbeat(self) -> None:
        sent_s = time.monotonic()
        request = msgspec.structs.replace(
            self._said,
            member_id=self._member_id,
            member_epoch=self._epoch,
            owned=_by_topic(self._positions),
        )
        answer = self._ask("POST", f"{self._path}/heartbeat", request)
        if isinstance(answer, str):
            self._put_out(answer)
        elif answer is not None:
            self._take_answer(msgspec.msgpack.decode(answer, type=HeartbeatResponse), sent_s)

    def _take_answer(self, answer: HeartbeatResponse, sent_s: float) -> None:
        assert answer.member_id == self._member_id
        assert answer.member_epoch >= self._epoch, "answers come in order"
        self._epoch = answer.member_epoch
        self._due_s = sent_s + self._session_s
        self._assignment = _partitions(answer.assignment)
        self.ledger.grant(answer.group_epoch, self._member_id, self._assignment)
        self.ledger.renew(self._member_id, self._due_s)

    def _put_out(self, error: str) -> None:
        if error in _NO_MEMBER:
            raise _OutError(error)
        if error == "FENCED_INSTANCE_ID":
            self.ledger.release(self._member_id)
            raise _AbandonedError
        raise AssertionError(f"a heartbeat was answered {error}")

    def _lose_life(self) -> None:
        """Own nothing, and join as somebody else."""
        self.ledger.release(self._member_id)
        self.ledger.lose_life()
        self._positions.clear()
        self._committed.clear()
        self._assignment = frozenset()
        self._member_id, self._epoch = self._new_id(), JOINING

    def _say_good_bye(self) -> None:
        """Commit and leave, trying until its session ends."""
        while time.monotonic() < self._due_s and not self._commit():
            self._heartbeat()
        self.ledger.release(self._member_id)
        epoch = LEAVING if self.instance is None else LEAVING_FOR_A_WHILE
        request = HeartbeatRequest(self._member_id, epoch, instance_id=self.instance)
        while time.monotonic() < self._due_s:
            if self._ask("POST", f"{self._path}/heartbeat", request) is not None:
                return

    def _new_id(self) -> str:
        return f"{self.name}-{uuid.uuid4()}"

    # -- partitions ------------------------------------------------------------------------------

    def _let_go(self) -> None:
        """Commit what goes, and consume it no more; the next heartbeat says so."""
        going = self._positions.keys() - self._assignment
        if going and self._commit():
            self.ledger.release(self._member_id, going)
            for partition in going:
                del self._positions[partition]
                self._committed.pop(partition, None)

    def _take_up(self) -> None:
        """Begin with what came, where the group is."""
        for partition in self._assignment - self._positions.keys():
            self.ledger.take(self._member_id, partition, self._due_s)
            self._positions[partition] = None
        if None not in self._positions.values():
            return
        answer = self._ask("GET", f"{self._path}/offsets")
        if not isinstance(answer, bytes):
            return
        found = msgspec.msgpack.decode(answer, type=OffsetFetchResponse).offsets
        committed = {TopicPartition(each.topic, each.partition): each.offset for each in found}
        for partition, position in self._positions.items():
            if position is None:
                self._positions[partition] = committed.get(partition, 0)
                self._committed[partition] = committed.get(partition, 0)

    def _read(self) -> None:
        wanted = [
            FetchPartition(*partition, position)
            for partition, position in self._positions.items()
            if position is not None and partition in self._assignment
        ]
        if not wanted:
            time.sleep(_PAUSE_S)
            return
        request = FetchRequest(wanted, max_wait_ms=_FETCH_WAIT_MS)
        answer = self._ask("POST", "/v1/fetch", request)
        if not isinstance(answer, bytes):
            assert answer is None, answer
            return
        for result in msgspec.msgpack.decode(answer, type=FetchResponse).partitions:
            assert result.error != "OFFSET_OUT_OF_RANGE", result
            partition = TopicPartition(result.topic, result.partition)
            position = self._positions[partition]
            assert position is not None
            records = [
                record
                for record in decode_batches(result.batches, max_bytes=_MAX_BYTES)
                if record.offset >= position
            ]
            if records:
                assert records[0].offset == position
                values = [record.value for record in records if record.value is not None]
                self.ledger.read(self._member_id, partition, values)
                self._positions[partition] = records[-1].offset + 1

    # -- offsets ---------------------------------------------------------------------------------

    def _commit(self) -> bool:
        """Commit all that was read since; tells whether nothing is left to commit."""
        wanted = {
            partition: position
            for partition, position in self._positions.items()
            if position is not None and position != self._committed.get(partition)
        }
        if not wanted:
            return True
        errors = self._try_to_commit(wanted)
        if errors is None or "STALE_MEMBER_EPOCH" in errors.values():
            return False  # the next heartbeat tells of the newer epoch
        for partition, error in errors.items():
            if error:
                self.ledger.refuse(self._member_id, error)
                self._put_out(error)
            self._committed[partition] = wanted[partition]
        return True

    def _try_to_commit(
        self, offsets: dict[TopicPartition, int]
    ) -> dict[TopicPartition, str] | None:
        """The error of each partition, empty where it is committed; None: try again."""
        answer = self._ask(
            "POST",
            f"{self._path}/offsets",
            OffsetCommitRequest(
                [OffsetToCommit(*partition, offset) for partition, offset in offsets.items()],
                self._member_id,
                self._epoch,
            ),
        )
        if answer is None:
            return None
        if isinstance(answer, str):
            return dict.fromkeys(offsets, answer)
        results = msgspec.msgpack.decode(answer, type=OffsetCommitResponse).results
        return {TopicPartition(each.topic, each.partition): each.error for each in results}

    def _commit_as_zombie(self) -> None:
        offsets = {
            partition: (position or 0) + 1 for partition, position in self._positions.items()
        }
        errors = None
        while errors is None:
            errors = self._try_to_commit(offsets)
        self.zombie_errors += errors.values()
        raise _OutError("it was away for too long")


def _by_topic(partitions: Collection[TopicPartition]) -> list[TopicPartitions]:
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return [TopicPartitions(topic, found) for topic, found in numbers.items()]


def _partitions(found: Collection[TopicPartitions]) -> frozenset[TopicPartition]:
    return frozenset(
        TopicPartition(each.topic, number) for each in found for number in each.partitions
    )
