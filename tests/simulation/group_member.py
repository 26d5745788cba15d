"""A simulated consumer in a group: strict in what it does, and at the mercy of all else."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from random import Random
from typing import Final

import msgspec

from kafkalite.model.ids import TopicPartition
from kafkalite.transport.errors import PeerError
from kafkalite.transport.peer_reply import PeerReply
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
from tests.simulation.group_checkers import NOTHING, GroupChecker, Partitions
from tests.simulation.network import Network
from tests.simulation.trace import Trace

_MSGPACK: Final = {"content-type": "application/msgpack"}
_OK: Final = 200
_GRACE_S: Final = 1.0
_ODDS_OF_A_COPY: Final = 0.15
_NO_MEMBER: Final = frozenset({"UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH"})
_TRIED_AGAIN: Final = frozenset({"STALE_MEMBER_EPOCH", "UNKNOWN_TOPIC_OR_PARTITION"})
"""The next heartbeat tells of the newer epoch; a broker may not have heard of new partitions."""

_encode = msgspec.msgpack.Encoder().encode
_decode_heartbeat = msgspec.msgpack.Decoder(HeartbeatResponse).decode
_decode_committed = msgspec.msgpack.Decoder(OffsetFetchResponse).decode
_decode_results = msgspec.msgpack.Decoder(OffsetCommitResponse).decode


class _LostError(Exception):
    """The membership is over."""


class SimulatedMember:
    """Consumes nothing but time: its positions grow while it owns partitions, and are committed.

    One life after the other, each with a member id of its own, until it is told to leave, or its
    place is somebody else's. A `careless` one does not look at the clock before it commits.
    """

    def __init__(
        self,
        name: str,
        said: HeartbeatRequest,
        group: str,
        network: Network,
        checker: GroupChecker,
        trace: Trace,
        addresses: Sequence[str],
        random: Random,
        *,
        is_idle: bool,
    ) -> None:
        """Assign only; `said` is what it says of itself in every heartbeat.

        An idle one finds nothing to consume.
        """
        self.name = name
        self.group = group
        self.said = said
        self.is_told_to_leave = False
        self.is_over = False
        self._network = network
        self._checker = checker
        self._trace = trace
        self._addresses = addresses
        self._random = random
        self._address = random.choice(addresses)
        self._is_careless = random.random() < 0.5
        self._waits_ms = random.choice((0, 0, 500, 3_000))
        self._most_at_once = 0 if is_idle else 3
        self._lives = 0
        self._copies: set[asyncio.Task[None]] = set()
        assert said.session_timeout_ms is not None
        self._session_s = said.session_timeout_ms / 1000
        self._begin()

    def _begin(self) -> None:
        self._lives += 1
        self.member_id = f"{self.name}.{self._lives}"
        self.epoch = JOINING
        self._due_s = 0.0
        self._assignment = NOTHING
        self._positions: dict[TopicPartition, int | None] = {}
        self._committed: dict[TopicPartition, int] = {}

    @property
    def owned(self) -> Partitions:
        """What it may be consuming."""
        return frozenset(self._positions)

    @property
    def instance(self) -> str | None:
        return self.said.instance_id

    def _note(self, text: str) -> None:
        self._trace.note(self.member_id, text)

    async def run(self) -> None:
        """Live, until told otherwise."""
        while not self.is_told_to_leave and not self.is_over:
            try:
                await self._turn()
            except _LostError as error:
                self._note(f"has lost its membership: {error}")
                self.forget()
                self._begin()
            await asyncio.sleep(self._random.uniform(0.05, 0.6))
        if not self.is_over:
            await self._leave()
            self.is_over = True

    def forget(self) -> None:
        """It does nothing any more with what it has."""
        self._checker.release(self.group, self.member_id, self._positions)

    async def _turn(self) -> None:
        if not self._is_careless:
            self._look_at_clock()
        await self._commit()
        self._look_at_clock()
        await self._heartbeat()
        await self._let_go()
        await self._take_up()
        self._look_at_clock()
        for partition, position in self._positions.items():
            if position is not None and partition in self._assignment:
                self._positions[partition] = position + self._random.randint(0, self._most_at_once)

    def _look_at_clock(self) -> None:
        if self.epoch != JOINING and self._network.loop.time() >= self._due_s:
            raise _LostError("not answered for its session")

    # -- requests ---------------------------------------------------------------------------------

    async def _ask(
        self, method: str, what: str, message: object = None, wait_ms: int = 0
    ) -> bytes | None:
        """A good answer's body, or None where it may be tried again.

        Raises:
            _LostError: it is no member any more.
        """
        if self._random.random() < 0.1:
            self._address = self._random.choice(self._addresses)
        body = b"" if message is None else _encode(message)
        timeout_s = wait_ms / 1000 + self._random.choice((0.3, _GRACE_S, 3 * _GRACE_S))
        target = f"/v1/groups/{self.group}/{what}"
        try:
            reply = await self._network.exchange(
                self._address, method, target, _MSGPACK, body, timeout_s
            )
        except PeerError:
            self._address = self._random.choice(self._addresses)
            return None
        if reply.status == _OK:
            return reply.body
        self._take_refusal(reply, what)
        return None

    def _take_refusal(self, reply: PeerReply, what: str) -> None:
        problem = msgspec.json.decode(reply.body)
        self._note(f"{what}: {problem['error']} {problem['detail']}")
        if problem["error"] == "FENCED_INSTANCE_ID":
            self.forget()
            self.is_over = True
        if problem["error"] in _NO_MEMBER or self.is_over:
            self._checker.refused(self.group, self.member_id, self.epoch, problem["error"])
            raise _LostError(problem["error"])
        if not problem["retriable"]:
            raise AssertionError(f"{self.member_id} {what}: {problem}")
        self._address = self._random.choice(self._addresses)

    # -- membership -------------------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        sent_s = self._network.loop.time()
        has_news = self._positions.keys() != self._assignment
        wait_ms = 0 if has_news or self.epoch == JOINING else self._waits_ms
        request = msgspec.structs.replace(
            self.said,
            member_id=self.member_id,
            member_epoch=self.epoch,
            owned=_by_topic(self._positions),
            max_wait_ms=wait_ms,
        )
        if self._random.random() < _ODDS_OF_A_COPY:
            late = asyncio.create_task(self._send_late_copy(request), name="copy")
            self._copies.add(late)
            late.add_done_callback(self._copies.discard)
        body = await self._ask("POST", "heartbeat", request, wait_ms)
        if body is None:
            return
        answer = _decode_heartbeat(body)
        assignment = frozenset(
            TopicPartition(each.topic, number)
            for each in answer.assignment
            for number in each.partitions
        )
        if answer.member_epoch != self.epoch:
            self._note(f"epoch={answer.member_epoch} of {answer.group_epoch}: {sorted(assignment)}")
        self._checker.grant(
            self.group, self.member_id, answer.member_epoch, answer.group_epoch, assignment
        )
        if answer.member_epoch < self.epoch:
            return
        self.epoch, self._assignment = answer.member_epoch, assignment
        self._due_s = sent_s + self._session_s
        self._checker.renew(self.group, self.member_id, self._due_s)

    async def _send_late_copy(self, request: HeartbeatRequest) -> None:
        """What was held up on its way arrives when its sender has long moved on."""
        body = _encode(msgspec.structs.replace(request, max_wait_ms=0))
        address = self._random.choice(self._addresses)
        await asyncio.sleep(self._random.uniform(0.0, 3 * _GRACE_S))
        target = f"/v1/groups/{self.group}/heartbeat"
        with contextlib.suppress(PeerError):
            await self._network.exchange(address, "POST", target, _MSGPACK, body, _GRACE_S)

    async def _leave(self) -> None:
        epoch = LEAVING if self.instance is None else LEAVING_FOR_A_WHILE
        self.forget()
        self._positions.clear()
        request = HeartbeatRequest(self.member_id, epoch, instance_id=self.instance, owned=[])
        try:
            while self._network.loop.time() < self._due_s:
                if await self._ask("POST", "heartbeat", request) is not None:
                    self._note("has left")
                    return
        except _LostError:
            pass

    # -- partitions and offsets -------------------------------------------------------------------

    async def _let_go(self) -> None:
        going = self._positions.keys() - self._assignment
        if going and (self._random.random() < 0.1 or await self._commit()):
            self._note(f"lets go of {sorted(going)}")
            self._checker.release(self.group, self.member_id, going)
            for partition in going:
                del self._positions[partition]
                self._committed.pop(partition, None)

    async def _take_up(self) -> None:
        self._look_at_clock()
        for partition in sorted(self._assignment - self._positions.keys()):
            self._checker.take(self.group, self.member_id, partition, self._due_s)
            self._positions[partition] = None
        unknown = [each for each, position in self._positions.items() if position is None]
        if not unknown:
            return
        least = {each: self._checker.committed_offset(self.group, each) for each in unknown}
        body = await self._ask("GET", "offsets")
        if body is None:
            return
        found = {
            (each.topic, each.partition): each.offset for each in _decode_committed(body).offsets
        }
        for partition in unknown:
            offset = found.get(partition, 0)
            position = self._checker.was_read(self.group, partition, offset, least[partition])
            self._positions[partition] = self._committed[partition] = position

    async def _commit(self) -> bool:
        """Commit what is new; tells whether nothing is left."""
        wanted = {
            partition: position
            for partition, position in self._positions.items()
            if position is not None and position != self._committed[partition]
        }
        if not wanted:
            return True
        offsets = [
            OffsetToCommit(
                *partition,
                self._checker.attempt(self.group, self.member_id, self.epoch, partition, position),
            )
            for partition, position in wanted.items()
        ]
        request = OffsetCommitRequest(offsets, self.member_id, self.epoch)
        body = await self._ask("POST", "offsets", request)
        if body is None:
            return False
        is_done = True
        for sent, result in zip(offsets, _decode_results(body).results, strict=True):
            partition = TopicPartition(result.topic, result.partition)
            if not result.error:
                self._checker.was_committed(sent.offset)
                self._committed[partition] = wanted[partition]
            elif result.error in _TRIED_AGAIN:
                is_done = False
            else:
                self._note(f"{partition}: {result.error} {result.message}")
                self._checker.refused(self.group, self.member_id, self.epoch, result.error)
                raise _LostError(result.error)
        return is_done


def _by_topic(partitions: Collection[TopicPartition]) -> list[TopicPartitions]:
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return [TopicPartitions(topic, found) for topic, found in numbers.items()]
