"""Requests are read within bounds, and answered once."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import (
    ClientGoneError,
    Exchange,
    bool_parameter,
    int_parameter,
    timeout_parameter,
)
from kafkalite.model.errors import InvalidRequestError, RequestTooLargeError

_ALLOWED = frozenset({"acks", "key"})


def _exchange(
    *messages: dict[str, Any], headers: dict[bytes, bytes] | None = None, query: bytes = b""
) -> Exchange:
    pending = list(messages)

    async def receive() -> MutableMapping[str, Any]:
        if not pending:
            await asyncio.Event().wait()
        return pending.pop(0)

    async def send(_message: MutableMapping[str, Any]) -> None:
        raise AssertionError("nothing is to be sent")

    scope = {"headers": list((headers or {}).items()), "query_string": query}
    return Exchange(scope, receive, send)


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


_GONE = {"type": "http.disconnect"}


def test_body_is_joined_from_its_parts() -> None:
    exchange = _exchange(_part(b"ab", more=True), _part(b"", more=True), _part(b"c", more=False))
    assert asyncio.run(exchange.read_body(3)) == b"abc"


@pytest.mark.parametrize(
    "parts",
    [
        [_part(b"abcd", more=False)],
        [_part(b"ab", more=True), _part(b"cd", more=True)],
    ],
)
def test_body_is_refused_while_it_is_read_when_it_passes_the_limit(
    parts: list[dict[str, Any]],
) -> None:
    with pytest.raises(RequestTooLargeError, match="3 bytes"):
        asyncio.run(_exchange(*parts).read_body(3))


def test_body_is_refused_at_its_first_part_when_its_announced_length_passes_the_limit() -> None:
    exchange = _exchange(_part(b"a", more=True), headers={b"content-length": b"4"})
    with pytest.raises(RequestTooLargeError):
        asyncio.run(exchange.read_body(3))


@pytest.mark.parametrize("parts", [[_GONE], [_part(b"a", more=True), _GONE]])
def test_reading_ends_when_the_client_goes_away(parts: list[dict[str, Any]]) -> None:
    with pytest.raises(ClientGoneError):
        asyncio.run(_exchange(*parts).read_body(3))


def test_work_is_given_up_when_the_client_goes_away() -> None:
    async def scenario() -> None:
        started = asyncio.Event()
        ended = asyncio.Event()

        async def work() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with pytest.raises(ClientGoneError):
            await _exchange(_GONE).while_connected(work())
        await asyncio.sleep(0)
        assert started.is_set() == ended.is_set()

    asyncio.run(scenario())


def test_work_goes_on_when_there_is_a_body_that_nobody_reads() -> None:
    async def scenario() -> str:
        async def work() -> str:
            for _ in range(5):
                await asyncio.sleep(0)
            return "done"

        unread = _exchange(_part(b"a", more=True), _part(b"", more=False))
        return await unread.while_connected(work())

    assert asyncio.run(scenario()) == "done"


def test_query_is_decoded() -> None:
    assert _exchange(query=b"acks=all&key=%C3%A9+x").query(_ALLOWED) == {
        "acks": "all",
        "key": "é x",
    }


@pytest.mark.parametrize(
    "query", [b"ack=1", b"acks=1&acks=0", b"key=%ff", b"\xff", b"&".join([b"key=1"] * 40)]
)
def test_query_is_refused_when_it_is_not_understood(query: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        _exchange(query=query).query(_ALLOWED)


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "11", "1_0", "+1", " 1", "٣", "9" * 5000])
def test_number_is_refused_when_it_is_none_or_out_of_bounds(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="offset"):
        int_parameter({"offset": text}, "offset", 0, most=10)


def test_parameters_have_defaults() -> None:
    assert int_parameter({}, "offset", 7) == 7
    assert timeout_parameter({"timeout_ms": "20"}, 5) == 20
    assert not bool_parameter({}, "text")
    assert bool_parameter({"text": "True"}, "text")


def test_yes_or_no_is_refused_when_it_is_neither() -> None:
    with pytest.raises(InvalidRequestError, match="text"):
        bool_parameter({"text": "maybe"}, "text")
