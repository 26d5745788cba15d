"""Server-sent events as bytes, and their way out."""

import asyncio
import logging
from collections.abc import Coroutine, MutableMapping
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive
from kafkalite.api.streams import event_stream
from kafkalite.api.streams.event_stream import (
    EventStream,
    WithoutCutStreams,
    check_accept,
    encode_event,
    while_read,
)
from kafkalite.model.errors import NotAcceptableError


def _read(stream: bytes) -> list[dict[str, str]]:
    """The events of a stream, as the standard has browsers read them."""
    events, fields = [], {"data": ""}
    for line in stream.decode().splitlines():
        if line.startswith(":"):
            continue
        name, _, text = line.partition(":")
        text = text.removeprefix(" ")
        if name == "data":
            fields["data"] += text + "\n"
        elif name:
            fields[name] = text
        else:
            events.append({**fields, "data": fields["data"].removesuffix("\n")})
            fields = {"data": ""}
    return events


def test_an_event_has_what_was_given() -> None:
    event = encode_event(b'{"a":1}', name="records", event_id="abc", retry_ms=500)
    assert _read(event) == [{"event": "records", "id": "abc", "retry": "500", "data": '{"a":1}'}]
    assert _read(encode_event(b"x")) == [{"data": "x"}]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_data_with_line_ends_stay_one_event(end: bytes) -> None:
    event = encode_event(b"[1," + end + end + b"event: forged" + end + b"2]", name="n")
    assert _read(event) == [{"event": "n", "data": "[1,\n\nevent: forged\n2]"}]


@pytest.mark.parametrize("accept", ["", "*/*", "text/event-stream", "text/html, TEXT/*;q=0.1"])
def test_who_takes_events_gets_them(accept: str) -> None:
    check_accept(accept)


@pytest.mark.parametrize("accept", ["application/json", "image/*,text/html"])
def test_who_does_not_is_told(accept: str) -> None:
    with pytest.raises(NotAcceptableError):
        check_accept(accept)


def _exchange(sent: list[MutableMapping[str, Any]], taking: asyncio.Event) -> Exchange:
    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("nothing is read")

    async def send(message: MutableMapping[str, Any]) -> None:
        await taking.wait()
        sent.append(message)

    return Exchange({"headers": []}, receive, send)


def test_a_stream_keeps_silent_connections_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        sent: list[MutableMapping[str, Any]] = []
        taking = asyncio.Event()
        taking.set()
        events = EventStream(_exchange(sent, taking))
        await events.start([(b"x", b"y")])
        assert (b"content-type", b"text/event-stream") in sent[0]["headers"]
        await events.keep_alive()
        assert len(sent) == 1
        monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.0)
        await events.keep_alive()
        await events.end()
        assert [message["body"] for message in sent[1:]] == [b":\n\n", b""]
        assert [message["more_body"] for message in sent[1:]] == [True, False]

    asyncio.run(scenario())


def test_several_events_are_a_chunk_each() -> None:
    async def scenario() -> None:
        sent: list[MutableMapping[str, Any]] = []
        taking = asyncio.Event()
        taking.set()
        events = EventStream(_exchange(sent, taking))
        await events.send_each([b"a", b"bc"])
        assert [(message["body"], message["more_body"]) for message in sent] == [
            (b"a", True),
            (b"bc", True),
        ]

    asyncio.run(scenario())


def test_a_client_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_PATIENCE_S", 0.0)

    async def scenario() -> None:
        events = EventStream(_exchange([], asyncio.Event()))
        with pytest.raises(ClientGoneError):
            await events.send(encode_event(b"x"))
        with pytest.raises(ClientGoneError):
            await events.send_each([encode_event(b"x")])

    asyncio.run(scenario())


def test_only_a_stream_that_was_cut_off_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_PATIENCE_S", 0.0)
    record = logging.makeLogRecord({"msg": "ASGI callable returned without completing response."})

    async def is_reported_after(exchange: Exchange, stream: Coroutine[Any, Any, None]) -> bool:
        with pytest.raises(ClientGoneError):
            await while_read(exchange, stream)
        return WithoutCutStreams().filter(record)

    async def is_reported_after_answer(exchange: Exchange) -> bool:
        with pytest.raises(ClientGoneError):
            await EventStream(exchange).send(b"a report of a record")
        return WithoutCutStreams().filter(record)

    async def go() -> None:
        raise ClientGoneError

    async def scenario() -> None:
        silent = asyncio.Event()
        exchange = _exchange([], asyncio.Event())
        exchange._receive = _never(silent)
        cut = is_reported_after(exchange, EventStream(exchange).send(encode_event(b"x")))
        gone = is_reported_after(exchange, go())
        bare = is_reported_after_answer(_exchange([], asyncio.Event()))
        tasks = [asyncio.create_task(each) for each in (cut, gone, bare)]
        assert list(await asyncio.gather(*tasks)) == [False, True, False]

    asyncio.run(scenario())


def _never(event: asyncio.Event) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        await event.wait()
        return {"type": "http.disconnect"}

    return receive
