"""The place in a group of what the broker reads for a client: an instance, or a stream.

It heartbeats in the broker, as any member does elsewhere. It is a static member: whichever broker
serves the client next joins under the same instance id, takes its place at once, and what the
former one still does is refused.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from kafkalite.broker.consumers.errors import InvalidPatternError
from kafkalite.broker.consumers.ports import Groups
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.errors import (
    FencedInstanceIdError,
    FencedMemberEpochError,
    InvalidRequestError,
    LogError,
    NotCoordinatorError,
    RequestTimedOutError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    JOINING,
    LEAVING,
    NO_MEMBER,
    NO_MEMBER_EPOCH,
    HeartbeatRequest,
    HeartbeatResponse,
    TopicPartitions,
)

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_LEAVE_S: Final = 5.0
_LEAST_TURN_S: Final = 0.02
"""Between two heartbeats that bring nothing new, whatever the coordinator makes of waiting."""
_SETTLED: Final = frozenset({"Stable", "Empty", "Dead"})

_log = logging.getLogger(__name__)

Partitions = frozenset[TopicPartition]


class Membership(NamedTuple):
    """What commits are made as."""

    member_id: str
    epoch: int


_NOBODY: Final = Membership(NO_MEMBER, NO_MEMBER_EPOCH)


class Member(Protocol):
    """Whom the assignment is for."""

    def assigned(self, partitions: Partitions) -> None:
        """These are its own from now on, too."""

    async def revoke(self, partitions: Partitions) -> None:
        """Let these go: others have them once this returns."""

    def lost(self, partitions: Partitions) -> None:
        """These are others' by now, perhaps; nothing can be committed of them."""

    def fenced(self) -> None:
        """Another broker serves the client by now."""


class Identity(NamedTuple):
    """Who a member is, for the coordinator and for people who look."""

    instance_id: str
    client_id: str
    host: str = ""


class ConsumerMembership:
    """One member. Owns the task that heartbeats, from `subscribe` to `leave` or `stop`."""

    def __init__(
        self,
        groups: Groups,
        group: str,
        identity: Identity,
        member: Member,
        *,
        session_timeout_ms: int,
    ) -> None:
        """Assign only.

        Args:
            groups: the coordinators.
            group: its group.
            identity: who it is.
            member: told what it owns.
            session_timeout_ms: without an answer for so long, it owns nothing any more.
        """
        self._groups = groups
        self._group = group
        self._instance_id, self._client_id, self._host = identity
        self._member = member
        self._session_timeout_s = session_timeout_ms / 1000
        self._member_id = uuid.uuid4().hex
        self._epoch = JOINING
        self._topics: tuple[str, ...] = ()
        self._pattern: str | None = None
        self._owned: Partitions = frozenset()
        self._state = ""
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._answered: asyncio.Future[None] | None = None
        """Who subscribes waits for the answer to that, and for no other."""
        self._heard = 0.0
        self._changes = ReadWaiters()

    @property
    def identity(self) -> Membership:
        """As whom to commit: as nobody, where there is no subscription."""
        if self._task is None:
            return _NOBODY
        return Membership(self._member_id, self._epoch)

    @property
    def is_active(self) -> bool:
        return self._task is not None

    @property
    def is_settled(self) -> bool:
        """Whether it has partitions, or will not get any before something else changes."""
        return bool(self._owned) or self._state in _SETTLED

    async def subscribe(self, topics: Sequence[str], pattern: str | None) -> None:
        """Join with a subscription, or change it; returns once the coordinator has taken it.

        Raises:
            InvalidPatternError: the pattern is none.
            LogError: it is refused for another reason.
        """
        former = self._topics, self._pattern
        self._topics, self._pattern = tuple(topics), pattern
        if self._answered is not None and not self._answered.done():
            self._answered.cancel()
        answered = self._answered = asyncio.get_running_loop().create_future()
        self._woken.set()
        if self._task is None:
            self._heard = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._run())
        try:
            await answered
        except (LogError, InvalidPatternError):
            self._topics, self._pattern = former
            self._woken.set()
            raise

    async def wait_settled(self, timeout_s: float) -> None:
        """Wait until `is_settled`, or no longer than that."""
        due = asyncio.get_running_loop().time() + timeout_s
        while self.is_active and not self.is_settled:
            left = due - asyncio.get_running_loop().time()
            if left <= 0 or not await wait_any([self._changes], left):
                return

    async def leave(self) -> None:
        """Go for good: others get the partitions at once."""
        if self._task is None:
            return
        await self.stop()
        request = HeartbeatRequest(
            member_id=self._member_id, member_epoch=LEAVING, instance_id=self._instance_id
        )
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self._groups.heartbeat(self._group, request, self._host)
        except (LogError, TimeoutError) as error:
            _log.info("%s could not leave group %s: %s", self._instance_id, self._group, error)
        self._epoch = JOINING
        self._member_id = uuid.uuid4().hex

    async def stop(self) -> None:
        """Heartbeat no more, and say nothing: the place stays for whoever serves it next."""
        task, self._task = self._task, None
        if task is None:
            return
        if task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(NotCoordinatorError("The consumer instance was let go"))
            self._answered.exception()
        self._owned = frozenset()
        self._state = ""
        self._changes.wake()

    # -- the task -------------------------------------------------------------------------------

    async def _run(self) -> None:
        wait_ms = 0
        pause_s = _FIRST_PAUSE_S
        while True:
            self._woken.clear()
            begun = asyncio.get_running_loop().time()
            waiting, request = self._answered, self._request(wait_ms)
            wait_ms = 0
            try:
                answer = await self._ask(request)
            except LogError as error:
                if not self._refused(error, waiting):
                    return
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            if answer is None:
                continue  # there is something else to say
            pause_s = _FIRST_PAUSE_S
            if await self._take(answer, waiting):
                continue
            wait_ms = max(answer.heartbeat_interval_ms, 1)
            elapsed = asyncio.get_running_loop().time() - begun
            if elapsed < _LEAST_TURN_S:
                await self._pause(_LEAST_TURN_S - elapsed)

    def _request(self, wait_ms: int) -> HeartbeatRequest:
        return HeartbeatRequest(
            member_id=self._member_id,
            member_epoch=self._epoch,
            instance_id=self._instance_id,
            client_id=self._client_id,
            topics=list(self._topics),
            pattern=self._pattern,
            owned=_by_topic(self._owned),
            max_wait_ms=wait_ms,
        )

    async def _ask(self, request: HeartbeatRequest) -> HeartbeatResponse | None:
        """The coordinator's answer; None where there is news to tell it before that comes."""
        asking = asyncio.ensure_future(self._groups.heartbeat(self._group, request, self._host))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((asking, woken), return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            woken.cancel()
            if not asking.done():
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    async def _take(
        self, answer: HeartbeatResponse, waiting: "asyncio.Future[None] | None"
    ) -> bool:
        """Make the answer true; gives whether there is something to say about it at once."""
        self._heard = asyncio.get_running_loop().time()
        if answer.member_epoch < self._epoch:
            return True  # it was overtaken by a later one
        self._member_id, self._epoch = answer.member_id, answer.member_epoch
        self._state = answer.state
        assigned = frozenset(
            TopicPartition(each.topic, number)
            for each in answer.assignment
            for number in each.partitions
        )
        gained, gone = assigned - self._owned, self._owned - assigned
        self._owned |= assigned
        if gained:
            self._member.assigned(gained)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        self._changes.wake()
        if gone:
            await self._member.revoke(gone)
            self._owned -= gone
        return bool(gained or gone)

    def _refused(self, error: LogError, waiting: "asyncio.Future[None] | None") -> bool:
        """Draw conclusions from a refusal; False where there is no use in going on."""
        match error:
            case FencedInstanceIdError() | NotCoordinatorError():
                self._fail(waiting, error)
                self._task = None
                self._member.fenced()
                return False
            case UnknownMemberIdError() | FencedMemberEpochError() | StaleMemberEpochError():
                self._lose()
                self._member_id = uuid.uuid4().hex
                return True
        if waiting is not None and not waiting.done() and not error.retriable:
            self._fail(waiting, error)
            if self._epoch == JOINING:
                self._task = None  # it never was a member
                return False
        since = asyncio.get_running_loop().time() - self._heard
        if self._owned and since > self._session_timeout_s:
            self._lose()
        if waiting is not None and not waiting.done() and since > self._session_timeout_s:
            self._fail(waiting, RequestTimedOutError(error.detail))
        _log.info("Heartbeat of %s in group %s: %s", self._instance_id, self._group, error)
        return True

    def _fail(self, waiting: "asyncio.Future[None] | None", error: LogError) -> None:
        if waiting is None or waiting.done():
            return
        reason: Exception = error
        if isinstance(error, InvalidRequestError) and self._pattern is not None:
            reason = InvalidPatternError(error.detail)
        waiting.set_exception(reason)
        waiting.exception()  # it counts as seen: who waited may be gone

    def _lose(self) -> None:
        lost, self._owned = self._owned, frozenset()
        self._epoch = JOINING
        self._state = ""
        if lost:
            self._member.lost(lost)
        self._changes.wake()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass


def _by_topic(partitions: Partitions) -> list[TopicPartitions]:
    topics: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        topics.setdefault(topic, []).append(number)
    return [TopicPartitions(topic, numbers) for topic, numbers in topics.items()]
