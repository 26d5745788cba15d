"""A consumer's membership of a group, against a coordinator that says what a test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from kafkalite.client.backoff import Backoff
from kafkalite.client.consumer.membership import GroupMember, MemberOptions, Membership
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    FencedMemberEpochError,
    LogError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import HeartbeatRequest, HeartbeatResponse, TopicPartitions

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_DEADLINE_S = 10


class _Coordinator:
    """Answers each heartbeat; news end a wait."""

    def __init__(self) -> None:
        self.heard: list[HeartbeatRequest] = []
        self.partitions: tuple[int, ...] = (0, 1)
        self.epoch = 1
        self.error: LogError | None = None
        self.interval_ms = 3000
        self.troubles: list[LogError] = []
        """What the member was told of them."""
        self.is_silent = False
        """Whether every heartbeat is refused for the time being."""
        self._changed = asyncio.Condition()

    async def heartbeat(self, request: HeartbeatRequest, timeout_s: float) -> HeartbeatResponse:
        async with self._changed:
            self.heard.append(request)
            self._changed.notify_all()
            if self.is_silent:
                raise CoordinatorNotAvailableError
            if request.max_wait_ms:
                epoch = self.epoch
                try:
                    async with asyncio.timeout(request.max_wait_ms / 1000):
                        await self._changed.wait_for(lambda: self.epoch != epoch or self.error)
                except TimeoutError:
                    pass
            if self.error is not None and request.member_epoch > 0:
                error, self.error = self.error, None
                raise error
            return HeartbeatResponse(
                member_id=request.member_id,
                member_epoch=self.epoch if request.member_epoch >= 0 else request.member_epoch,
                heartbeat_interval_ms=self.interval_ms,
                group_epoch=self.epoch,
                state="Stable",
                assignment=[TopicPartitions("t", list(self.partitions))],
                coordinator_id=0,
                coordinator_url="",
            )

    async def assign(self, *partitions: int) -> None:
        async with self._changed:
            self.partitions = partitions
            self.epoch += 1
            self._changed.notify_all()

    async def refuse(self, error: LogError) -> None:
        async with self._changed:
            self.error = error
            self._changed.notify_all()

    async def wait_for(self, holds: Callable[[HeartbeatRequest], bool]) -> HeartbeatRequest:
        """The first heartbeat of which it is true."""
        async with self._changed, asyncio.timeout(_DEADLINE_S):
            await self._changed.wait_for(lambda: any(map(holds, self.heard)))
        return next(filter(holds, self.heard))


@asynccontextmanager
async def _member(coordinator: _Coordinator, **options: Any) -> AsyncIterator[GroupMember]:
    asked = MemberOptions("g", topics=("t",))._replace(**options)
    member = GroupMember(
        asked, coordinator, Backoff(20, 40), lambda: None, coordinator.troubles.append
    )
    member.start()
    try:
        yield member
    finally:
        await member.close()
        assert len(asyncio.all_tasks()) == 1


async def _wait_for(member: GroupMember, holds: Callable[[Membership], bool]) -> Membership:
    async with asyncio.timeout(_DEADLINE_S):
        while not holds(now := member.look()):  # noqa: ASYNC110 - it has no event for this
            await asyncio.sleep(0.005)
    return now


def _owned(request: HeartbeatRequest) -> list[int]:
    return [number for each in request.owned or () for number in each.partitions]


def _run(story: Callable[[_Coordinator], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        await story(_Coordinator())

    asyncio.run(told())


def test_it_joins_stays_and_leaves() -> None:
    async def story(coordinator: _Coordinator) -> None:
        async with _member(coordinator, client_id="me", session_timeout_ms=7000) as member:
            await coordinator.wait_for(lambda each: each.max_wait_ms > 0)
            now = member.look()
            assert now.assignment == {_T0, _T1}
            assert now.epoch == 1
            assert now.member_id.startswith("me-")
        joining, *_, leaving = coordinator.heard
        assert (joining.member_epoch, joining.owned, joining.topics) == (0, [], ["t"])
        assert joining.session_timeout_ms == 7000
        assert leaving.member_epoch == -1
        assert {each.member_id for each in coordinator.heard} == {now.member_id}

    _run(story)


def test_what_is_to_go_is_owned_until_it_is_released() -> None:
    async def story(coordinator: _Coordinator) -> None:
        coordinator.interval_ms = 100
        async with _member(coordinator) as member:
            await coordinator.wait_for(lambda each: _owned(each) == [0, 1] and each.max_wait_ms > 0)
            await coordinator.assign(1)
            now = await _wait_for(member, lambda each: each.assignment == {_T1})
            told = await coordinator.wait_for(lambda each: each.member_epoch == 2)
            assert _owned(told) == [0, 1]
            member.release([_T0], now.life)
            await coordinator.wait_for(lambda each: _owned(each) == [1])

    _run(story)


def test_what_is_assigned_is_owned_from_the_next_heartbeat_on() -> None:
    async def story(coordinator: _Coordinator) -> None:
        coordinator.partitions = ()
        async with _member(coordinator):
            await coordinator.wait_for(lambda each: each.max_wait_ms > 0)
            await coordinator.assign(0)
            heard = await coordinator.wait_for(lambda each: each.member_epoch == 2)
            assert (_owned(heard), heard.max_wait_ms) == ([0], 0), "at once"

    _run(story)


def test_another_subscription_is_told_at_once() -> None:
    async def story(coordinator: _Coordinator) -> None:
        async with _member(coordinator) as member:
            await coordinator.wait_for(lambda each: each.max_wait_ms > 0)
            member.subscribe(("u",), None)
            heard = await coordinator.wait_for(lambda each: each.topics == ["u"])
            assert heard.max_wait_ms == 0

    _run(story)


@pytest.mark.parametrize("error", [UnknownMemberIdError, FencedMemberEpochError])
def test_a_member_that_was_put_out_begins_a_new_life(error: type[LogError]) -> None:
    async def story(coordinator: _Coordinator) -> None:
        async with _member(coordinator) as member:
            first = await _wait_for(member, lambda each: each.assignment != frozenset())
            await coordinator.refuse(error())
            second = await _wait_for(member, lambda each: each.life == 1 and each.epoch > 0)
            assert second.member_id != first.member_id
            again = await coordinator.wait_for(lambda each: each.member_id == second.member_id)
            assert (again.member_epoch, again.owned) == (0, [])
            await _wait_for(member, lambda _: member._owned == {_T0, _T1})
            member.release([_T0], first.life)  # of a life that is over
            assert member._owned == {_T0, _T1}
            assert member.look().assignment == {_T0, _T1}
            await coordinator.wait_for(
                lambda each: each.member_id == second.member_id and _owned(each) == [0, 1]
            )

    _run(story)


def test_a_member_that_another_one_replaced_is_none_any_more() -> None:
    async def story(coordinator: _Coordinator) -> None:
        async with _member(coordinator, instance_id="me") as member:
            await _wait_for(member, lambda each: each.epoch > 0)
            await coordinator.refuse(FencedInstanceIdError("another one has it"))
            with pytest.raises(FencedInstanceIdError):
                await _wait_for(member, lambda _: False)
        assert coordinator.heard[-1].member_epoch > 0, "what it does not have it does not leave"

    _run(story)


def test_a_static_member_keeps_its_place_when_it_goes() -> None:
    async def story(coordinator: _Coordinator) -> None:
        async with _member(coordinator, instance_id="me") as member:
            await _wait_for(member, lambda each: each.epoch > 0)
        assert coordinator.heard[-1].member_epoch == -2
        assert coordinator.heard[-1].instance_id == "me"

    _run(story)


@pytest.mark.slow
def test_a_member_that_is_not_answered_any_more_owns_nothing() -> None:
    async def story(coordinator: _Coordinator) -> None:
        coordinator.interval_ms = 100
        async with _member(coordinator, session_timeout_ms=400) as member:
            await _wait_for(member, lambda each: each.assignment != frozenset())
            assert coordinator.troubles == []
            coordinator.is_silent = True
            lost = await _wait_for(member, lambda each: each.life == 1)
            assert lost.assignment == frozenset()
            assert isinstance(coordinator.troubles[0], CoordinatorNotAvailableError)
            coordinator.is_silent = False
            await _wait_for(member, lambda each: each.assignment == {_T0, _T1})

    _run(story)


def test_who_sleeps_past_its_session_owns_nothing_when_it_looks() -> None:
    async def story(coordinator: _Coordinator) -> None:
        async with _member(coordinator) as member:
            before = await _wait_for(member, lambda each: each.assignment != frozenset())
            member.session_due_s = 0.0  # as after SIGCONT, before any heartbeat is answered
            now = member.look()
            assert (now.life, now.assignment) == (before.life + 1, frozenset())

    _run(story)


@pytest.mark.slow
def test_who_hangs_up_is_out_until_it_polls_again() -> None:
    async def story(coordinator: _Coordinator) -> None:
        coordinator.interval_ms = 100
        async with _member(coordinator, max_poll_interval_ms=200) as member:
            first = await _wait_for(member, lambda each: each.assignment != frozenset())
            member.note_poll(asyncio.get_running_loop().time())
            await coordinator.wait_for(lambda each: each.member_epoch == -1)
            joined = len(coordinator.heard)
            await _wait_for(member, lambda each: each.life == 1)
            assert len(coordinator.heard) == joined, "nobody joins who does not poll"
            member.hold()
            again = await _wait_for(member, lambda each: each.epoch > 0)
            assert again.member_id != first.member_id

    _run(story)


def test_a_stale_answer_changes_nothing() -> None:
    async def story(coordinator: _Coordinator) -> None:
        coordinator.epoch = 5
        async with _member(coordinator) as member:
            await _wait_for(member, lambda each: each.epoch == 5)
            late = HeartbeatResponse("m", 3, 3000, 3, "Stable", [], 0, "")
            request = msgspec.structs.replace(coordinator.heard[-1], member_epoch=2)
            await member._take(request, late, 0.0)
            assert member.look().assignment == {_T0, _T1}

    _run(story)


def test_what_nobody_foresaw_ends_the_membership_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else whoever polls would wait for ever for partitions that nobody asks for."""

    async def story() -> None:
        coordinator = _Coordinator()

        async def heartbeat(request: HeartbeatRequest, timeout_s: float) -> HeartbeatResponse:
            raise ZeroDivisionError

        monkeypatch.setattr(coordinator, "heartbeat", heartbeat)
        async with _member(coordinator) as member:
            with pytest.raises(ZeroDivisionError):
                await _wait_for(member, lambda now: now.epoch > 0)

    asyncio.run(story())
