"""A large body is gathered in room that grows with what comes, and given out as it is."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange
from kafkalite.api.http.large_body import LARGE_BODY, LargeBody, announced_size
from kafkalite.model.errors import RequestTooLargeError
from tests.support.whole_requests import Received

_KIB = 1 << 10


class _Receiving:
    """A request of `size` bytes of body, of which `begin` has come."""

    def __init__(self, size: int, begin: bytes = b"") -> None:
        self.cycle = Received(begin).cycle
        self.cycle.more_body = True
        self.taken: list[LargeBody] = []
        self.body = LargeBody(self.cycle, size, self.taken.append)

    def feed(self, part: bytes) -> bool:
        """Put all of `part` where there is room; gives whether the body is whole then."""
        is_whole = False
        while part:
            room = self.body.room()
            size = min(len(room), len(part))
            room[:size] = part[:size]
            part = part[size:]
            is_whole = self.body.arrived(size)
        return is_whole

    def go_away(self) -> None:
        self.cycle.disconnected = True
        self.cycle.message_event.set()


def _read(receiving: _Receiving, *acts: Callable[[], object]) -> bytes | None:
    """What `read` gives while `acts` happen, one a turn of the loop."""

    async def scenario() -> bytes | None:
        reading = asyncio.create_task(receiving.body.read())
        for act in acts:
            await asyncio.sleep(0)
            assert not reading.done()
            act()
        body = await reading
        return None if body is None else bytes(body)

    return asyncio.run(scenario())


def test_body_is_what_came_before_it_was_read_and_after() -> None:
    receiving = _Receiving(6, b"ab")
    assert _read(receiving, lambda: receiving.feed(b"cd"), lambda: receiving.feed(b"ef")) == (
        b"abcdef"
    )
    assert receiving.taken == [receiving.body]


def test_body_that_was_whole_before_it_was_read_is_given_at_once() -> None:
    receiving = _Receiving(2, b"ab")
    receiving.cycle.more_body = False
    assert _read(receiving) == b"ab"
    assert not receiving.taken


def test_read_ends_when_the_client_goes_away_within_the_body() -> None:
    receiving = _Receiving(6, b"ab")
    assert _read(receiving, lambda: receiving.feed(b"cd"), receiving.go_away) is None


def test_read_ends_when_the_client_went_away_before_it() -> None:
    receiving = _Receiving(6, b"ab")
    receiving.go_away()
    assert _read(receiving) is None


def test_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    receiving = _Receiving(2)
    receiving.cycle.waiting_for_100_continue = True
    assert _read(receiving, lambda: receiving.feed(b"ab")) == b"ab"
    sent = receiving.cycle.transport
    assert vars(sent)["sent"] == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_room_grows_with_what_has_come_and_not_with_what_is_announced() -> None:
    receiving = _Receiving(1 << 40)
    assert len(receiving.body.room()) == 16 * _KIB
    receiving.body.arrived(16 * _KIB)
    came = 16 * _KIB
    for _ in range(4):
        room = receiving.body.room()
        assert len(room) + came <= max(256 * _KIB, 5 * came)
        receiving.body.arrived(len(room))
        came += len(room)
    assert came == 256 * _KIB * 5**3


@pytest.mark.parametrize("size", [1, 256 * _KIB, 256 * _KIB + 1, 3 << 20])
def test_room_ends_with_the_body(size: int) -> None:
    receiving = _Receiving(size)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert not receiving.feed(body[:-1])
    assert len(receiving.body.room()) == 1
    assert receiving.feed(body[-1:])
    assert receiving.cycle.body == body


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ([(b"host", b"x"), (b"content-length", b"70000")], 70_000),
        ([(b"transfer-encoding", b"chunked")], 0),
        ([], 0),
    ],
)
def test_announced_size_is_that_of_the_head(headers: list[tuple[bytes, bytes]], size: int) -> None:
    cycle = Received().cycle
    cycle.scope["headers"] = headers
    assert announced_size(cycle) == size


def _exchange(receiving: _Receiving) -> Exchange:
    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the body is read otherwise")

    async def send(_message: MutableMapping[str, Any]) -> None:
        raise AssertionError("nothing is to be sent")

    return Exchange({"headers": [], "extensions": {LARGE_BODY: receiving.body}}, receive, send)


def test_exchange_reads_a_large_body_whole() -> None:
    receiving = _Receiving(2, b"ab")
    receiving.cycle.more_body = False
    assert asyncio.run(_exchange(receiving).read_body(2)) == b"ab"


def test_exchange_refuses_a_large_body_before_any_room_is_made_for_it() -> None:
    receiving = _Receiving(3, b"ab")
    with pytest.raises(RequestTooLargeError, match="2 bytes"):
        asyncio.run(_exchange(receiving).read_buffer(2))
    assert not receiving.taken


def test_exchange_gives_up_when_the_client_goes_away_within_a_large_body() -> None:
    receiving = _Receiving(3, b"ab")
    receiving.go_away()
    with pytest.raises(ClientGoneError):
        asyncio.run(_exchange(receiving).read_buffer(3))
