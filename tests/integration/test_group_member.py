"""A command's membership of a group, against a coordinator that says what a test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from kafkalite.api.errors import problem_response
from kafkalite.cli.group_member import GroupMember, MemberOptions, Membership
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    FencedMemberEpochError,
    LogError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import HeartbeatRequest, HeartbeatResponse, TopicPartitions
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_NOBODY = "http://127.0.0.1:1"
Answer = HeartbeatResponse | LogError


class _Coordinator:
    """Answers each heartbeat with what `answers` gives for it; news end a wait."""

    def __init__(self) -> None:
        self.heard: list[HeartbeatRequest] = []
        self.partitions: tuple[int, ...] = (0, 1)
        self.epoch = 1
        self.error: LogError | None = None
        self.interval_ms = 3000
        self.is_silent = False
        """Whether every heartbeat is refused for the time being."""
        self.url = ""
        self._changed = threading.Condition()

    def answer(self, request: HeartbeatRequest) -> Answer:
        with self._changed:
            self.heard.append(request)
            self._changed.notify_all()
            if self.is_silent:
                return CoordinatorNotAvailableError()
            if request.max_wait_ms:
                epoch = self.epoch
                self._changed.wait_for(
                    lambda: self.epoch != epoch or self.error, request.max_wait_ms / 1000
                )
            if self.error is not None and request.member_epoch > 0:
                error, self.error = self.error, None
                return error
            return HeartbeatResponse(
                member_id=request.member_id,
                member_epoch=self.epoch if request.member_epoch >= 0 else request.member_epoch,
                heartbeat_interval_ms=self.interval_ms,
                group_epoch=self.epoch,
                state="Stable",
                assignment=[TopicPartitions("t", list(self.partitions))],
                coordinator_id=0,
                coordinator_url=self.url,
            )

    def assign(self, *partitions: int) -> None:
        with self._changed:
            self.partitions = partitions
            self.epoch += 1
            self._changed.notify_all()

    def refuse(self, error: LogError) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[HeartbeatRequest], bool]) -> HeartbeatRequest:
        """The first heartbeat of which it is true."""
        found: list[HeartbeatRequest] = []

        def is_heard() -> bool:
            found[:] = [each for each in self.heard if holds(each)]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(is_heard, 10), self.heard
        return found[0]


@contextmanager
def _served(coordinator: _Coordinator) -> Iterator[_Coordinator]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = coordinator.answer(msgspec.msgpack.decode(body, type=HeartbeatRequest))
            if isinstance(answer, LogError):
                status, _, content = problem_response(answer)
            else:
                status, content = 200, msgspec.msgpack.encode(answer)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    coordinator.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield coordinator
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.fixture
def coordinator() -> Iterator[_Coordinator]:
    with _served(_Coordinator()) as serving:
        yield serving


@contextmanager
def _member(coordinator: _Coordinator, *urls: str, **options: Any) -> Iterator[GroupMember]:
    member = GroupMember(
        MemberOptions("g", topics=("t",))._replace(**options), urls or (coordinator.url,)
    )
    member.start()
    try:
        yield member
    finally:
        member.close()


def _wait_for(member: GroupMember, holds: Callable[[Membership], bool]) -> Membership:
    wait_until(lambda: holds(member.look()), "the membership is as it shall be")
    return member.look()


def _owned(request: HeartbeatRequest) -> list[int]:
    return [number for each in request.owned or () for number in each.partitions]


def test_it_joins_stays_and_leaves(coordinator: _Coordinator) -> None:
    with _member(coordinator, client_id="me", session_timeout_ms=7000) as member:
        assert member.wait_until_joined(10)
        now = member.look()
        assert now.assignment == {_T0, _T1}
        assert (now.epoch, now.coordinator_url) == (1, coordinator.url)
        assert now.member_id.startswith("me-")
        coordinator.wait_for(lambda each: each.max_wait_ms > 0)
    joining, *_, leaving = coordinator.heard
    assert (joining.member_epoch, joining.owned, joining.topics) == (0, [], ["t"])
    assert joining.session_timeout_ms == 7000
    assert leaving.member_epoch == -1
    assert {each.member_id for each in coordinator.heard} == {now.member_id}


def test_what_is_to_go_is_owned_until_it_is_released(coordinator: _Coordinator) -> None:
    coordinator.interval_ms = 100
    with _member(coordinator) as member:
        coordinator.wait_for(lambda each: _owned(each) == [0, 1] and each.max_wait_ms > 0)
        coordinator.assign(1)
        now = _wait_for(member, lambda each: each.assignment == {_T1})
        assert _owned(coordinator.wait_for(lambda each: each.member_epoch == 2)) == [0, 1]
        member.release([_T0], now.life)
        coordinator.wait_for(lambda each: _owned(each) == [1])


def test_what_is_assigned_is_owned_from_the_next_heartbeat_on(coordinator: _Coordinator) -> None:
    coordinator.partitions = ()
    with _member(coordinator):
        coordinator.wait_for(lambda each: each.max_wait_ms > 0)
        coordinator.assign(0)
        heard = coordinator.wait_for(lambda each: each.member_epoch == 2)
        assert (_owned(heard), heard.max_wait_ms) == ([0], 0), "at once"


@pytest.mark.parametrize("error", [UnknownMemberIdError, FencedMemberEpochError])
def test_a_member_that_was_put_out_begins_a_new_life(
    coordinator: _Coordinator, error: type[LogError]
) -> None:
    with _member(coordinator) as member:
        first = _wait_for(member, lambda each: each.assignment != frozenset())
        coordinator.refuse(error())
        second = _wait_for(member, lambda each: each.life == 1 and each.epoch > 0)
        assert second.member_id != first.member_id
        again = coordinator.wait_for(lambda each: each.member_id == second.member_id)
        assert (again.member_epoch, again.owned) == (0, [])
        member.release([_T0], first.life)  # of a life that is over
        assert member.look().assignment == {_T0, _T1}
        coordinator.wait_for(
            lambda each: each.member_id == second.member_id and _owned(each) == [0, 1]
        )


def test_a_member_that_another_one_replaced_is_none_any_more(coordinator: _Coordinator) -> None:
    with _member(coordinator, instance_id="me") as member:
        _wait_for(member, lambda each: each.epoch > 0)
        coordinator.refuse(FencedInstanceIdError("another one has it"))
        with pytest.raises(FencedInstanceIdError):
            _wait_for(member, lambda _: False)
    assert coordinator.heard[-1].member_epoch > 0, "what it does not have it does not leave"


def test_a_static_member_keeps_its_place_when_it_goes(coordinator: _Coordinator) -> None:
    with _member(coordinator, instance_id="me") as member:
        _wait_for(member, lambda each: each.epoch > 0)
    assert coordinator.heard[-1].member_epoch == -2
    assert coordinator.heard[-1].instance_id == "me"


def test_a_member_that_is_not_answered_any_more_owns_nothing(coordinator: _Coordinator) -> None:
    coordinator.interval_ms = 100
    with _member(coordinator, session_timeout_ms=600) as member:
        _wait_for(member, lambda each: each.assignment != frozenset())
        coordinator.is_silent = True
        lost = _wait_for(member, lambda each: each.life == 1)
        assert lost.assignment == frozenset()
        coordinator.is_silent = False
        _wait_for(member, lambda each: each.assignment == {_T0, _T1})


def test_another_broker_is_asked_where_one_is_gone(coordinator: _Coordinator) -> None:
    with _member(coordinator, _NOBODY, coordinator.url) as member:
        assert member.wait_until_joined(10)
        assert member.look().coordinator_url == coordinator.url


def test_who_hangs_up_is_out_until_it_looks_again(coordinator: _Coordinator) -> None:
    coordinator.interval_ms = 100
    with _member(coordinator, max_poll_interval_ms=300) as member:
        first = _wait_for(member, lambda each: each.assignment != frozenset())
        coordinator.wait_for(lambda each: each.member_epoch == -1)
        _wait_for(member, lambda each: each.life == 1 and each.epoch > 0)
        assert member.look().member_id != first.member_id
