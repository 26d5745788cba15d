"""What is sent on to other brokers at the same time is bounded, and who is refused is told why."""

import pytest

from kafkalite.broker.sending_room import SendingRoom
from kafkalite.model.errors import ThrottlingQuotaExceededError

_MIB = 1 << 20


def _room(max_requests: int = 10, max_bytes: int = 100) -> SendingRoom:
    return SendingRoom(max_requests, max_bytes, to="others", instead="wait")


def _refusal(room: SendingRoom, size: int) -> str:
    with pytest.raises(ThrottlingQuotaExceededError) as caught, room.taken(size):
        pytest.fail(f"there was room for {size} bytes")
    return str(caught.value)


def test_requests_are_counted_until_they_end_however_they_do() -> None:
    room = _room(max_requests=1)
    fails: dict[str, int] = {}
    with pytest.raises(KeyError), room.taken(0):
        fails[_refusal(room, 0)] += 1
    with room.taken(0):
        assert "being sent on to others as may be; wait" in _refusal(room, 0)


def test_bytes_are_counted_until_they_are_sent() -> None:
    room = _room()
    with room.taken(60), room.taken(40):
        assert _refusal(room, 1)
    with room.taken(100):
        pass


def test_a_lease_gets_a_part_of_what_is_left_and_gives_it_back_when_it_is_dropped() -> None:
    room = _room(max_bytes=16 * _MIB)
    small = room.lease(5)
    large = room.lease(100 * _MIB)
    assert small.size == 5
    assert large.size == 2 * _MIB - 1
    assert _refusal(room, 15 * _MIB)
    del small, large
    with room.taken(16 * _MIB):
        pass


def test_a_lease_is_refused_rather_than_made_too_small_to_be_of_use() -> None:
    room = _room(max_bytes=2 * _MIB)
    held = [room.lease(_MIB) for _ in range(2)]
    with pytest.raises(ThrottlingQuotaExceededError, match=r"Answers of others .* wait"):
        room.lease(_MIB)
    held.pop()
    assert room.lease(_MIB).size == _MIB
