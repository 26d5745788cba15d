"""A member of a consumer group: joins, stays, lets go of partitions, leaves.

Heartbeats are a task of their own, so that a member stays one while its records are worked on, or
while there are none. A heartbeat waits at the coordinator until there is news.

- What the member may consume (`assignment`) comes from the coordinator. What it may be consuming
  (`owned`) grows with the assignment before anybody consumes it, and shrinks only when whoever
  consumes has said `release`; every heartbeat tells it. So nobody else gets a partition that
  somebody here still reads.
- A membership that ended without being left (fenced, or not heard of for the session timeout,
  counted from when the last answered heartbeat was sent) begins a new life: nothing is owned then,
  and what was owned must not be committed.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from kafkalite.client.consumer.listener import Partitions
from kafkalite.client.consumer.ports import HeartbeatPort, Pauses
from kafkalite.model.errors import FencedMemberEpochError, LogError, UnknownMemberIdError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    JOINING,
    LEAVING,
    LEAVING_FOR_A_WHILE,
    HeartbeatRequest,
    HeartbeatResponse,
    TopicPartitions,
)

_LONGEST_ANSWER_S: Final = 10.0
"""How much longer than it was asked to wait a broker may stay silent, ..."""
_ANSWERS_A_SESSION: Final = 3
"""... but no longer than this part of a session, so that another broker can be asked in time."""
_LEAVE_TIMEOUT_S: Final = 3.0
_EARLY_PAUSE_S: Final = 0.5
"""After an answer without news that came before its time."""
_FIRST_INTERVAL_S: Final = 3.0
_LOST: Final = (UnknownMemberIdError, FencedMemberEpochError)
_ALWAYS: Final = float("inf")


class MemberOptions(NamedTuple):
    """What a member says of itself; times are Kafka's consumer settings."""

    group: str
    topics: tuple[str, ...] = ()
    pattern: str | None = None
    """Or a regular expression that whole names of topics match."""
    client_id: str = "consumer"
    instance_id: str | None = None
    rack: str | None = None
    assignor: str | None = None
    session_timeout_ms: int = 45_000
    max_poll_interval_ms: int = 300_000
    """Who does not look at its membership for so long has hung up: the member leaves for it."""


class Membership(NamedTuple):
    """What a member is at one moment."""

    member_id: str
    epoch: int
    life: int
    """Grows whenever all that was owned is lost."""
    assignment: Partitions


class GroupMember:
    """Owned by a consumer: `start`, then `look` often, `release` what went, and `close`.

    Lives on the loop, but for what says otherwise.
    """

    def __init__(
        self,
        options: MemberOptions,
        port: HeartbeatPort,
        backoff: Pauses,
        on_news: Callable[[], None],
        on_trouble: Callable[[LogError], None],
    ) -> None:
        """Assign only.

        Args:
            options: what the member says of itself.
            port: where heartbeats go.
            backoff: pauses after those that are not answered.
            on_news: called on the loop when there is something to `look` at.
            on_trouble: called on the loop with why a heartbeat is not answered.
        """
        self._options = options
        self._port = port
        self._backoff = backoff
        self._on_news = on_news
        self._on_trouble = on_trouble
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._answer_s = min(
            _LONGEST_ANSWER_S, options.session_timeout_ms / 1000 / _ANSWERS_A_SESSION
        )
        self._interval_s = _FIRST_INTERVAL_S
        self._member_id = self._new_id()
        self._epoch = JOINING
        self._life = 0
        self._assignment: Partitions = frozenset()
        self._owned: Partitions = frozenset()
        self._reported: Partitions | None = None
        self._subscribed: tuple[tuple[str, ...], str | None] | None = None
        """What the coordinator has been told last."""
        self._looked_s = time.monotonic()
        self._is_stopping = False
        self._is_in_trouble = False
        self._failure: Exception | None = None
        """What ended the membership for good."""
        self.session_due_s = _ALWAYS
        """When the membership ends unless it is heard of; any thread may read it."""

    # -- for whoever consumes --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join."""
        self._task = asyncio.create_task(self._beat(), name="heartbeats")

    def subscribe(self, topics: tuple[str, ...], pattern: str | None) -> None:
        """Want these from now on."""
        self._options = self._options._replace(topics=topics, pattern=pattern)
        self._changed.set()

    def hold(self) -> None:
        """Whoever consumes is waiting in a poll: it has not hung up. Any thread may call it."""
        self._looked_s = _ALWAYS

    def note_poll(self, now_s: float) -> None:
        """Whoever consumes got something to work on. Any thread may call it."""
        self._looked_s = now_s

    def look(self) -> Membership:
        """What the member is now.

        Raises:
            LogError: it is none any more, and cannot be one again.
        """
        if self._failure is not None:
            raise self._failure
        if self._epoch != JOINING and time.monotonic() > self.session_due_s:
            self._lose()
        self._changed.set()
        return Membership(self._member_id, self._epoch, self._life, self._assignment)

    def release(self, partitions: Iterable[TopicPartition], life: int) -> None:
        """Say that nobody here consumes these any more, in the `life` in which they were owned."""
        if life == self._life:
            self._owned -= frozenset(partitions)
            self._changed.set()

    async def wait_for_epoch_after(self, epoch: int, timeout_s: float) -> bool:
        """Wait until the member's epoch is another one than `epoch`; False when it is not."""
        await self._until(lambda: self._epoch != epoch, timeout_s)
        return self._epoch != epoch

    async def close(self) -> None:
        """Leave the group, unless nobody can be told so; what was committed before counts."""
        # Also where a first heartbeat may have been taken whose answer is under way.
        may_be_member = self._epoch != JOINING or (
            self._reported is not None and not self._is_in_trouble
        )
        self._is_stopping = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if may_be_member and self._failure is None:
            await self._leave()

    # -- the task --------------------------------------------------------------------------------

    async def _beat(self) -> None:
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 - whoever polls would wait for ever
            self._fail(error)

    async def _run(self) -> None:
        while not self._is_stopping:
            if self._is_overdue():
                await self._leave()
                self._lose()
                await self._until(lambda: not self._is_overdue())
            if self._owned - self._assignment:
                # What is to go is told as soon as it has gone.
                await self._until(lambda: not self._owned - self._assignment, self._interval_s)
            request = self._next_request()
            sent_s = time.monotonic()
            try:
                response = await self._exchange(request)
            except _LOST:
                self._lose()
            except LogError as error:
                if not error.retriable:
                    self._fail(error)
                    return
                await self._note_trouble(error)
            else:
                if response is not None:
                    await self._take(request, response, sent_s)

    def _is_overdue(self) -> bool:
        return time.monotonic() > self._looked_s + self._options.max_poll_interval_ms / 1000

    def _next_request(self) -> HeartbeatRequest:
        options = self._options
        is_joining = self._epoch == JOINING
        subscribed = (options.topics, options.pattern)
        has_news = (
            self._reported != self._owned
            or self._subscribed != subscribed
            or bool(self._owned - self._assignment)
        )
        self._reported = self._owned
        self._subscribed = subscribed
        wait_ms = 0 if is_joining or has_news else int(self._interval_s * 1000)
        return HeartbeatRequest(
            self._member_id,
            self._epoch,
            instance_id=options.instance_id,
            client_id=options.client_id,
            rack=options.rack,
            topics=list(options.topics),
            pattern=options.pattern or "",
            assignor=options.assignor,
            session_timeout_ms=options.session_timeout_ms,
            rebalance_timeout_ms=options.max_poll_interval_ms,
            owned=_by_topic(self._owned),
            max_wait_ms=wait_ms,
        )

    async def _exchange(self, request: HeartbeatRequest) -> HeartbeatResponse | None:
        """The answer to a heartbeat; None where another one has to be sent instead.

        Raises:
            LogError: it was refused, or no broker answers.
        """
        timeout_s = request.max_wait_ms / 1000 + self._answer_s
        asking = asyncio.create_task(self._port.heartbeat(request, timeout_s))
        try:
            if not request.max_wait_ms:
                return await asking
            while True:
                self._changed.clear()
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait((asking, changed), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                if asking.done():
                    return asking.result()
                if self._subscribed != (self._options.topics, self._options.pattern):
                    return None
        finally:
            asking.cancel()

    async def _take(
        self, request: HeartbeatRequest, response: HeartbeatResponse, sent_s: float
    ) -> None:
        assignment = frozenset(
            TopicPartition(each.topic, number)
            for each in response.assignment
            for number in each.partitions
        )
        if response.member_epoch < self._epoch:
            return  # of an earlier request, which took a longer way
        is_news = assignment != self._assignment or response.member_epoch != self._epoch
        self._interval_s = max(response.heartbeat_interval_ms / 1000, 0.1)
        self._member_id = response.member_id
        self._epoch = response.member_epoch
        self.session_due_s = sent_s + self._options.session_timeout_ms / 1000
        self._assignment = assignment
        self._owned |= assignment
        self._is_in_trouble = False
        self._backoff.reset()
        if is_news:
            self._tell()
        elif time.monotonic() - sent_s < request.max_wait_ms / 2000:
            await asyncio.sleep(_EARLY_PAUSE_S)

    def _lose(self) -> None:
        """Own nothing any more, and join anew, as somebody else."""
        self._life += 1
        self._member_id = self._new_id()
        self._epoch = JOINING
        self._assignment = self._owned = frozenset()
        self._reported = None
        self.session_due_s = _ALWAYS
        self._tell()

    async def _note_trouble(self, trouble: LogError) -> None:
        self._is_in_trouble = True
        self._on_trouble(trouble)
        if self._epoch != JOINING and time.monotonic() > self.session_due_s:
            self._lose()
        self._tell()
        await asyncio.sleep(self._backoff.next_pause())

    def _fail(self, failure: Exception) -> None:
        self._lose()
        self._failure = failure
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._on_news()

    def _new_id(self) -> str:
        return f"{self._options.client_id}-{uuid.uuid4()}"

    async def _leave(self) -> None:
        """Say good-bye, once; a session timeout does the same, later."""
        is_static = self._options.instance_id is not None
        request = HeartbeatRequest(
            self._member_id,
            LEAVING_FOR_A_WHILE if is_static else LEAVING,
            instance_id=self._options.instance_id,
        )
        with contextlib.suppress(LogError):
            await self._port.heartbeat(request, _LEAVE_TIMEOUT_S)

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait until something changes such that `condition` holds, or the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()


def _by_topic(partitions: Iterable[TopicPartition]) -> list[TopicPartitions]:
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return [TopicPartitions(topic, found) for topic, found in numbers.items()]
