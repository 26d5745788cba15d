"""Answers to whole requests are, byte for byte, what uvicorn sends for the same through ASGI."""

import asyncio
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.errors import problem_response
from kafkalite.model.errors import NotEnoughReplicasError, UnknownTopicOrPartitionError
from tests.support.whole_requests import Received

_STATE = ("response_started", "response_complete", "keep_alive", "waiting_for_100_continue")


def _state(received: Received) -> list[Any]:
    cycle = received.cycle
    return [
        *(getattr(cycle, name) for name in _STATE),
        cycle.message_event.is_set(),
        received.transport.is_closed,
        received.answers,
    ]


def _exchange(received: Received) -> Exchange:
    cycle: Any = received.cycle  # uvicorn's types of messages are narrower than ASGI's
    return Exchange(cycle.scope, cycle.receive, cycle.send)


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("status", [200, 202])
def test_answer_and_what_it_leaves_are_those_of_asgi(status: int, keep_alive: bool) -> None:
    async def scenario() -> None:
        whole, usual = Received(keep_alive=keep_alive), Received(keep_alive=keep_alive)
        whole.request.respond(status, b"application/json", b'{"a":1}')
        exchange = _exchange(usual)
        await exchange.respond(status, b"application/json", b'{"a":1}')
        assert whole.transport.sent == usual.transport.sent
        assert _state(whole) == _state(usual)

    asyncio.run(scenario())


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("kind", [NotEnoughReplicasError, UnknownTopicOrPartitionError])
def test_refusal_and_what_it_leaves_are_those_of_asgi(
    kind: type[NotEnoughReplicasError], keep_alive: bool
) -> None:
    async def scenario() -> None:
        whole, usual = Received(keep_alive=keep_alive), Received(keep_alive=keep_alive)
        problem = problem_response(kind("no"))
        whole.request.refuse(problem)
        exchange = _exchange(usual)
        await exchange.refuse(problem)
        assert whole.transport.sent == usual.transport.sent
        assert _state(whole) == _state(usual)

    asyncio.run(scenario())


def test_answer_goes_nowhere_when_its_client_has_gone() -> None:
    received = Received()
    received.cycle.disconnected = True
    received.request.respond(200, b"text/plain", b"late")
    assert received.transport.sent == b""
    assert received.answers == 0


def test_header_is_found_by_its_name_and_empty_when_it_is_missing() -> None:
    request = Received(media=b"text/\xe9").request
    assert request.header(b"content-type") == "text/é"
    assert request.header(b"accept") == ""


def test_answer_in_parts_is_that_of_the_whole() -> None:
    async def scenario() -> None:
        parts, whole = Received(), Received()
        parts.request.respond_parts(200, b"text/plain", [b"a", memoryview(b"bc"), b"d"], 4)
        whole.request.respond(200, b"text/plain", b"abcd")
        assert parts.transport.sent == whole.transport.sent
        assert _state(parts) == _state(whole)

    asyncio.run(scenario())


def test_going_of_the_client_is_told_once_and_nothing_else_is() -> None:
    async def scenario() -> None:
        received = Received()
        gone: list[bool] = []
        received.request.when_gone(lambda: gone.append(True))
        received.cycle.message_event.set()
        assert gone == []
        received.cycle.disconnected = True
        received.cycle.message_event.set()
        received.cycle.message_event.set()
        assert gone == [True]

    asyncio.run(scenario())


def test_client_that_has_gone_already_is_told_of() -> None:
    async def scenario() -> None:
        received = Received()
        received.cycle.disconnected = True
        gone: list[bool] = []
        received.request.when_gone(lambda: gone.append(True))
        assert gone == [True]

    asyncio.run(scenario())


def test_headers_of_every_answer_are_in_those_without_asgi_too() -> None:
    async def scenario() -> None:
        whole, usual = Received(), Received()
        for received in (whole, usual):
            received.cycle.default_headers = [(b"x-request-id", b"a"), (b"vary", b"Origin")]
        whole.request.respond(200, b"text/plain", b"x")
        await _exchange(usual).respond(200, b"text/plain", b"x")
        ours, uvicorns = (each.transport.sent.split(b"\r\n") for each in (whole, usual))
        assert sorted(ours) == sorted(uvicorns)
        assert (ours[0], ours[-2:]) == (uvicorns[0], [b"", b"x"])

    asyncio.run(scenario())


def test_id_of_a_request_is_its_clients() -> None:
    async def scenario() -> None:
        received = Received()
        assert len(received.request.request_id) == 16
        received.cycle.scope["headers"] = [(b"x-request-id", b"mine")]
        assert received.request.request_id == "mine"

    asyncio.run(scenario())
