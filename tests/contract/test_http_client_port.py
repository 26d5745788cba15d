"""What the data path needs of an HTTP client: ours, and those that could stand in its place.

What another one cannot do is listed here, with the reason that counts in
docs/decisions/0007-http-client-of-the-data-path.md.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.support.http_clients.httpx_client import HttpxClient
from tests.support.http_clients.ours import OurClient
from tests.support.http_clients.port import HttpClient, InDoubtError, NotSentError
from tests.support.scripted_server import (
    Answering,
    Heard,
    ScriptedServer,
    http,
    scripted_server,
)
from tests.support.zookeeper import free_port

_HERE: Final = "127.0.0.1"
_LARGE: Final = bytes(range(256)) * 4 * 4096
"""4 MiB."""


def _aiohttp() -> HttpClient:
    pytest.importorskip("aiohttp")
    from tests.support.http_clients.aiohttp_client import (  # noqa: PLC0415 - where it is installed
        AiohttpClient,
    )

    return AiohttpClient()


def _pyreqwest() -> HttpClient:
    pytest.importorskip("pyreqwest")
    from tests.support.http_clients.pyreqwest_client import (  # noqa: PLC0415 - likewise
        PyreqwestClient,
    )

    return PyreqwestClient()


_CLIENTS: Final[dict[str, Callable[[], HttpClient]]] = {
    "ours": OurClient,
    "httpx": HttpxClient,
    "aiohttp": _aiohttp,
    "pyreqwest": _pyreqwest,
}
_CANNOT: Final = {
    (
        "aiohttp",
        "test_a_connection_that_was_closed_meanwhile_is_noticed_before_it_is_used",
    ): "sends on a connection whose end the loop has not heard of yet",
    (
        "pyreqwest",
        "test_a_post_that_breaks_off_is_in_doubt_and_is_not_sent_again",
    ): "calls a connection that ends before the answer a failure to connect",
    (
        "pyreqwest",
        "test_a_cancelled_request_leaves_the_others_alone",
    ): "leaves the connection of a cancelled request open",
    (
        "pyreqwest",
        "test_no_connection_is_left_when_it_is_closed",
    ): "leaves connections open when it is closed",
}

Scenario = Callable[[HttpClient, ScriptedServer], Awaitable[None]]


@pytest.fixture(params=list(_CLIENTS))
def make_client(request: pytest.FixtureRequest) -> Callable[[], HttpClient]:
    name: str = request.param
    if name not in {"ours", "httpx"}:
        pytest.importorskip(name)
    reason = _CANNOT.get((name, request.node.originalname))
    if reason is not None:
        pytest.skip(f"{name} {reason}")
    return _CLIENTS[name]


@asynccontextmanager
async def _opened(make_client: Callable[[], HttpClient]) -> AsyncIterator[HttpClient]:
    client = make_client()
    try:
        yield client
    finally:
        await client.close()


def _run(make_client: Callable[[], HttpClient], answer: Answering, scenario: Scenario) -> None:
    async def scene() -> None:
        async with (
            asyncio.timeout(20),
            scripted_server(answer) as server,
            _opened(make_client) as client,
        ):
            await scenario(client, server)

    asyncio.run(scene())


async def _say_yes(_heard: Heard, writer: asyncio.StreamWriter) -> None:
    writer.write(http(b"yes"))


def test_parts_arrive_as_one_body_on_one_kept_connection(
    make_client: Callable[[], HttpClient],
) -> None:
    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        for parts in ([b"one"], [b"a", b"", b"bc" * 50_000, b"d"]):
            answer = await client.post(_HERE, server.broker.port, "/v1/x?y=1", parts, 5)
            assert (answer.status, bytes(answer.body)) == (200, b"yes")
            assert server.heard[-1].body == b"".join(parts)
            assert server.heard[-1].head.startswith(b"POST /v1/x?y=1 HTTP/1.1\r\n")
        assert server.connections == 1

    _run(make_client, _say_yes, scenario)


def test_any_status_is_an_answer(make_client: Callable[[], HttpClient]) -> None:
    async def refuse(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b"no", status="503 Service Unavailable"))

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        answer = await client.get(_HERE, server.broker.port, "/", 5)
        assert (answer.status, bytes(answer.body)) == (503, b"no")

    _run(make_client, refuse, scenario)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, len(_LARGE)])
def test_answers_of_any_size_come_whole(make_client: Callable[[], HttpClient], size: int) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(_LARGE[:size]))

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        for _ in range(3):
            found = await client.get(_HERE, server.broker.port, "/", 5)
            assert bytes(found.body) == _LARGE[:size]
        assert server.connections == 1

    _run(make_client, answer, scenario)


@pytest.mark.parametrize("cut", [1, 40, 70_000])
def test_answers_come_whole_however_they_are_cut(
    make_client: Callable[[], HttpClient], cut: int
) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        whole = http(_LARGE[:100_000])
        for part in (whole[:cut], whole[cut : cut + 1], whole[cut + 1 :]):
            writer.write(part)
            await writer.drain()
            for _ in range(5):  # turns in which the client reads
                await asyncio.sleep(0)

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        for _ in range(2):
            found = await client.get(_HERE, server.broker.port, "/", 5)
            assert bytes(found.body) == _LARGE[:100_000]

    _run(make_client, answer, scenario)


def test_several_requests_are_answered_at_a_time(make_client: Callable[[], HttpClient]) -> None:
    go_on = asyncio.Event()

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(http(heard.body))

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        asked = [
            asyncio.create_task(client.post(_HERE, server.broker.port, "/", [b"%d" % number], 10))
            for number in range(5)
        ]
        await server.until(lambda it: len(it.heard) == 5)
        go_on.set()
        assert [bytes(each.body) for each in await asyncio.gather(*asked)] == [
            b"%d" % number for number in range(5)
        ]

    _run(make_client, answer, scenario)


def test_nothing_was_sent_when_nobody_listens(make_client: Callable[[], HttpClient]) -> None:
    async def scenario(client: HttpClient, _: ScriptedServer) -> None:
        with pytest.raises(NotSentError):
            await client.post(_HERE, free_port(), "/", [b"x"], 5)

    _run(make_client, _say_yes, scenario)


def test_nothing_was_sent_when_there_is_no_such_host(
    make_client: Callable[[], HttpClient],
) -> None:
    async def scenario(client: HttpClient, _: ScriptedServer) -> None:
        with pytest.raises(NotSentError):
            await client.post("no-such-host.invalid", 80, "/", [b"x"], 10)

    _run(make_client, _say_yes, scenario)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
def test_a_post_that_breaks_off_is_in_doubt_and_is_not_sent_again(
    make_client: Callable[[], HttpClient], sent: bytes
) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if heard.body == b"first":
            writer.write(http(b"yes"))
            return
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()
        raise OSError

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        await client.post(_HERE, server.broker.port, "/", [b"first"], 5)
        with pytest.raises(InDoubtError):
            await client.post(_HERE, server.broker.port, "/", [b"second"], 5)
        assert [heard.body for heard in server.heard] == [b"first", b"second"]

    _run(make_client, answer, scenario)


def test_a_connection_that_was_closed_meanwhile_is_noticed_before_it_is_used(
    make_client: Callable[[], HttpClient],
) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b"yes"))
        if heard.connection == 0:
            # The loop has no chance to hear of the end before the next request is sent.
            await writer.drain()
            writer.transport.abort()

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        for _ in range(2):
            found = await client.post(_HERE, server.broker.port, "/", [b"x"], 5)
            assert bytes(found.body) == b"yes"
        assert [heard.connection for heard in server.heard] == [0, 1]

    _run(make_client, answer, scenario)


def test_a_request_that_takes_too_long_is_in_doubt_and_leaves_no_connection(
    make_client: Callable[[], HttpClient],
) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(InDoubtError):
            await client.post(_HERE, server.broker.port, "/", [b"x"], 0.1)
        await server.until(lambda it: it.closed == 1)

    _run(make_client, answer, scenario)


def test_a_cancelled_request_leaves_the_others_alone(
    make_client: Callable[[], HttpClient],
) -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if heard.body != b"wait":
            writer.write(http(heard.body))

    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        port = server.broker.port
        waiting = asyncio.create_task(client.post(_HERE, port, "/", [b"wait"], 10))
        await server.until(lambda it: len(it.heard) == 1)
        waiting.cancel()
        await server.until(lambda it: it.closed == 1)
        found = await client.post(_HERE, port, "/", [b"go"], 5)
        assert bytes(found.body) == b"go"

    _run(make_client, answer, scenario)


def test_names_and_addresses_of_ipv6_are_reached(make_client: Callable[[], HttpClient]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"six", headers=b"connection: close\r\n"))
        writer.close()

    async def scene() -> None:
        try:
            server = await asyncio.start_server(serve, "::1", 0, family=socket.AF_INET6)
        except OSError:
            pytest.skip("this machine has no IPv6")
        async with server, _opened(make_client) as client:
            port = server.sockets[0].getsockname()[1]
            assert bytes((await client.get("::1", port, "/", 5)).body) == b"six"

    asyncio.run(scene())

    async def by_name(client: HttpClient, server: ScriptedServer) -> None:
        found = await client.get("localhost", server.broker.port, "/", 5)
        assert bytes(found.body) == b"yes"

    _run(make_client, _say_yes, by_name)


def test_no_connection_is_left_when_it_is_closed(make_client: Callable[[], HttpClient]) -> None:
    async def scenario(client: HttpClient, server: ScriptedServer) -> None:
        port = server.broker.port
        await asyncio.gather(*(client.post(_HERE, port, "/", [b"x"], 5) for _ in range(4)))
        await client.close()
        await server.until(lambda it: it.closed == it.connections)

    _run(make_client, _say_yes, scenario)
