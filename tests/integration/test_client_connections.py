"""A client's connections to a broker, whatever that one does: over sockets of this machine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import pytest
import uvloop

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.connections import Connections
from kafkalite.client.errors import ClosedError, NotSentError
from kafkalite.client.settings import ClientSettings
from kafkalite.model.errors import (
    InvalidRequestError,
    LogError,
    NetworkError,
    RequestTimedOutError,
)
from kafkalite.transport import pipeline
from kafkalite.transport.connecting import connect
from kafkalite.transport.connection import PeerConnection
from kafkalite.wire.batch import Buffer
from kafkalite.wire.messages import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchResult,
    ProduceResponse,
    ProduceResult,
)
from tests.support.scripted_server import (
    Answering,
    Heard,
    ScriptedServer,
    http,
    scripted_server,
)
from tests.support.zookeeper import free_port

_FETCH: Final = FetchRequest([FetchPartition("flights", 0, 17)], max_bytes=1 << 20)
_JSON: Final = {"content-type": "application/json"}

pack = msgspec.msgpack.encode

Scenario = Callable[[Connections, BrokerAddress, ScriptedServer], Awaitable[None]]
NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    made: NewLoop = request.param
    return made


def _run(new_loop: NewLoop, answer: Answering, scenario: Scenario, **settings: object) -> None:
    async def scene() -> None:
        async with asyncio.timeout(20), scripted_server(answer) as server:
            connections = Connections(ClientSettings.of(settings))
            address = BrokerAddress(1, "127.0.0.1", server.broker.port)
            try:
                await scenario(connections, address, server)
            finally:
                await connections.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())


def _produced(heard: Heard) -> bytes:
    """An answer whose offset is the request's whole body, a number."""
    return pack(ProduceResponse([ProduceResult("t", 0, base_offset=int(heard.body))]))


async def _say_produced(heard: Heard, writer: asyncio.StreamWriter) -> None:
    writer.write(http(_produced(heard)))


async def _never(_heard: Heard, _writer: asyncio.StreamWriter) -> None:
    pass


def test_produces_follow_each_other_on_one_connection_in_the_order_of_the_calls(
    new_loop: NewLoop,
) -> None:
    go_on = asyncio.Event()

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(http(_produced(heard)))

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        parts: list[list[Buffer]] = [
            [b"%d" % number, memoryview(b"0"), bytearray(b"1")] for number in range(1, 21)
        ]
        asked = [connections.produce(address, each, 10) for each in parts]
        await server.until(lambda it: len(it.heard) == 1)
        go_on.set()
        offsets = [each.partitions[0].base_offset for each in await asyncio.gather(*asked)]
        assert offsets == [number * 100 + 1 for number in range(1, 21)]
        assert [heard.body for heard in server.heard] == [b"%d" % each for each in offsets]
        assert server.connections == 1
        assert server.heard[0].head.startswith(b"POST /v1/produce HTTP/1.1\r\n")
        assert b"content-type: application/msgpack\r\n" in server.heard[0].head

    _run(new_loop, answer, scenario)


def test_all_outstanding_produces_fail_when_the_connection_breaks(new_loop: NewLoop) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if heard.body == b"2":
            await writer.drain()
            writer.transport.abort()
            raise OSError
        writer.write(http(_produced(heard)))

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        found = await asyncio.gather(
            *(connections.produce(address, [b"%d" % number], 10) for number in range(1, 5)),
            return_exceptions=True,
        )
        assert isinstance(found[-1], NetworkError)
        # The first one's answer may have been overtaken by the end of the connection.
        for each in found[1:]:
            assert isinstance(each, NetworkError)
            assert not isinstance(each, NotSentError)
        again = await connections.produce(address, [b"7"], 10)
        assert again.partitions[0].base_offset == 7
        assert server.connections == 2
        assert [heard.body for heard in server.heard] == [b"1", b"2", b"7"]

    _run(new_loop, answer, scenario)


def test_a_produce_without_an_answer_in_time_takes_those_behind_it_along(
    new_loop: NewLoop,
) -> None:
    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        late = connections.produce(address, [b"1"], 0.1)
        behind = connections.produce(address, [b"2"], 10)
        found = await asyncio.gather(late, behind, return_exceptions=True)
        assert [type(each) for each in found] == [RequestTimedOutError, NetworkError]
        await server.until(lambda it: it.closed == 1)

    _run(new_loop, _never, scenario)


def test_produces_on_an_open_connection_have_each_its_own_time(new_loop: NewLoop) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if heard.body != b"3":
            writer.write(http(_produced(heard)))

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        await connections.produce(address, [b"1"], 10)
        # Answered long before it is due, and no reason to end what comes behind it.
        await connections.produce(address, [b"2"], 0.05)
        long = connections.produce(address, [b"3"], 10)
        short = connections.produce(address, [b"3"], 0.2)
        found = await asyncio.gather(long, short, return_exceptions=True)
        assert [type(each) for each in found] == [NetworkError, RequestTimedOutError]
        await server.until(lambda it: it.closed == 1)
        assert len(server.heard) == 4
        await connections.produce(address, [b"4"], 10)

    _run(new_loop, answer, scenario)


def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_another_one(
    new_loop: NewLoop,
) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(_produced(heard)))

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        await connections.produce(address, [b"1"], 10)
        connections.produce(address, [b"2"], 10).cancel()
        third = await connections.produce(address, [b"3"], 10)
        assert third.partitions[0].base_offset == 3
        assert server.connections == 1

    _run(new_loop, answer, scenario)


def test_a_connection_that_was_closed_meanwhile_is_not_produced_to(new_loop: NewLoop) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(_produced(heard)))
        if heard.connection == 0:
            # The loop has no chance to hear of the end before the next request is sent.
            await writer.drain()
            writer.transport.abort()

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        for number in (1, 2):
            await connections.produce(address, [b"%d" % number], 5)
        assert [heard.connection for heard in server.heard] == [0, 1]

    _run(new_loop, answer, scenario)


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_batches_are_parts_of_the_answer(new_loop: NewLoop, size: int) -> None:
    batches = bytes(range(250)) * (size // 250)

    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        results = [FetchResult("flights", number, batches=batches) for number in range(2)]
        writer.write(http(pack(FetchResponse(partitions=results))))

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        answer = await connections.fetch(address, _FETCH, 5)
        first, second = (each.batches for each in answer.partitions)
        assert bytes(first) == bytes(second) == batches
        assert first.obj is second.obj, "one answer, and no copies"
        assert msgspec.msgpack.decode(server.heard[0].body, type=FetchRequest) == _FETCH

    _run(new_loop, answer, scenario)


def test_waiting_fetches_keep_nothing_else_from_a_broker(new_loop: NewLoop) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if b"/v1/produce" in heard.head:
            writer.write(http(_produced(heard)))
        elif b"/v1/groups" in heard.head:
            writer.write(http(b"{}"))

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        waiting = [asyncio.create_task(connections.fetch(address, _FETCH, 10)) for _ in range(9)]
        await server.until(lambda it: len(it.heard) >= 1)
        await connections.produce(address, [b"1"], 5)
        reply = await connections.request(address, "POST", "/v1/groups/g", _JSON, b"{}", 5)
        assert (reply.status, reply.body) == (200, b"{}")
        for each in waiting:
            each.cancel()

    _run(new_loop, answer, scenario)


def test_a_refusal_is_raised_as_its_error(new_loop: NewLoop) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        body = b'{"error":"INVALID_REQUEST","detail":"No.","why":1}'
        writer.write(http(body, status="400 Bad Request"))

    async def scenario(connections: Connections, address: BrokerAddress, _: object) -> None:
        with pytest.raises(InvalidRequestError, match=r"No\.") as caught:
            await connections.produce(address, [b"1"], 5)
        assert caught.value.extra == {"why": 1}
        with pytest.raises(InvalidRequestError):
            await connections.fetch(address, _FETCH, 5)

    _run(new_loop, answer, scenario)


def test_an_answer_of_somebody_else_is_an_error_of_the_network(new_loop: NewLoop) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b"<html>"))

    async def scenario(connections: Connections, address: BrokerAddress, _: object) -> None:
        with pytest.raises(NetworkError, match="is not a broker of kafkalite"):
            await connections.fetch(address, _FETCH, 5)

    _run(new_loop, answer, scenario)


def test_it_is_told_when_nothing_was_sent(new_loop: NewLoop) -> None:
    async def scenario(connections: Connections, _: BrokerAddress, __: object) -> None:
        nobody = BrokerAddress(1, "127.0.0.1", free_port())
        for asked in (
            connections.produce(nobody, [b"1"], 5),
            connections.fetch(nobody, _FETCH, 5),
            connections.request(nobody, "GET", "/", {}, b"", 5),
        ):
            with pytest.raises(NotSentError, match="Nobody listens"):
                await asked

    _run(new_loop, _say_produced, scenario)


def test_headers_cannot_be_broken_out_of(new_loop: NewLoop) -> None:
    async def scenario(connections: Connections, address: BrokerAddress, _: object) -> None:
        for target, headers in (("/ HTTP/1.1\r\na: b", {}), ("/", {"a": "b\nc: d"})):
            with pytest.raises(ValueError, match="line break"):
                await connections.request(address, "GET", target, headers, b"", 5)

    _run(new_loop, _say_produced, scenario)


@pytest.mark.slow
def test_connections_that_nobody_uses_are_closed(new_loop: NewLoop) -> None:
    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        await connections.produce(address, [b"1"], 5)
        await connections.request(address, "POST", "/", {}, b"2", 5)
        assert server.connections == 2
        await server.until(lambda it: it.closed == 2)
        await connections.produce(address, [b"1"], 5)

    _run(new_loop, _say_produced, scenario, connections_max_idle_ms=1)


def test_what_is_outstanding_fails_when_it_is_closed(new_loop: NewLoop) -> None:
    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        asked: list[asyncio.Future[Any]] = [
            connections.produce(address, [b"1"], 10),
            connections.produce(address, [b"2"], 10),
            asyncio.create_task(connections.fetch(address, _FETCH, 10)),
        ]
        await server.until(lambda it: len(it.heard) == 3)
        await connections.close()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, LogError) for each in found), found
        with pytest.raises(ClosedError):
            await connections.produce(address, [b"1"], 10)
        with pytest.raises(ClosedError):
            await connections.fetch(address, _FETCH, 10)
        await server.until(lambda it: it.closed == it.connections)

    _run(new_loop, _never, scenario)


def test_nobody_overtakes_those_that_waited_for_the_connection(
    new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[asyncio.Future[ProduceResponse]] = []

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        async def connect_and_come_late(*arguments: Any) -> PeerConnection:
            connection: PeerConnection = await connect(*arguments)
            # Its turn comes after the first one has sent, and before the second one is woken.
            late.append(connections.produce(address, [b"3"], 5))
            return connection

        monkeypatch.setattr(pipeline, "connect", connect_and_come_late)
        await asyncio.gather(*(connections.produce(address, [each], 5) for each in (b"1", b"2")))
        await late[0]
        assert [heard.body for heard in server.heard] == [b"1", b"2", b"3"]

    _run(new_loop, _say_produced, scenario)


def test_nobody_overtakes_those_that_are_yet_to_see_that_there_is_a_connection(
    new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[asyncio.Future[ProduceResponse]] = []

    async def scenario(
        connections: Connections, address: BrokerAddress, server: ScriptedServer
    ) -> None:
        def produce(number: bytes) -> None:
            late.append(connections.produce(address, [number], 5))

        async def connect_and_come_late(*arguments: Any) -> PeerConnection:
            connection: PeerConnection = await connect(*arguments)
            # Called when the connection is in use, and before what is called now has had a turn.
            asyncio.get_running_loop().call_soon(produce, b"3")
            produce(b"2")
            return connection

        monkeypatch.setattr(pipeline, "connect", connect_and_come_late)
        await connections.produce(address, [b"1"], 5)
        await asyncio.gather(*late)
        assert [heard.body for heard in server.heard] == [b"1", b"2", b"3"]

    _run(new_loop, _say_produced, scenario)
