"""What is left of a request once its answer is complete."""

import asyncio
import contextlib
from typing import Final

import pytest
import uvloop

from tests.support.echo_server import echo_server, get, post, send_until_closed

_REFUSED: Final = b"POST /refused HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


def test_body_that_comes_after_its_answer_is_passed_over() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(_REFUSED)
                await reader.readuntil(b"/refused")
                for _ in range(4):
                    writer.write(b"40000\r\n" + b"x" * 0x40000 + b"\r\n")
                    await writer.drain()
                writer.write(b"0\r\n" + b"x: y\r\n" * 20_000 + b"\r\n")
            writer.write(b"\x00\r\n\r\n")  # a request of its own, if a bad one
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            writer.close()

    uvloop.run(scenario())


@pytest.mark.parametrize("size", [10, 300_000])
def test_bad_request_behind_one_that_was_answered_is_told_so(size: int) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post("/sum", bytes(size)))
            await reader.readuntil(b"bytearray" if size > 10 else b"bytes")
            writer.write(b"\x00\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
            writer.close()

    uvloop.run(scenario())


@pytest.mark.parametrize("rest", [b"zz\r\n", b"1\r\nab\r\n", b"0\r\nx y\r\n\r\n"])
def test_body_that_breaks_after_its_answer_gets_no_other_one(rest: bytes) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_REFUSED)
            await reader.readuntil(b"/refused")
            writer.write(rest + get("/smuggled"))
            assert await reader.read() == b""
            writer.close()

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("begun", "part"),
    [
        (b"", b"10000\r\n" + b"x" * 0x10000 + b"\r\n"),
        (b"1;", b"x" * 0x10000),
        (b"0\r\n", b"x: y\r\n" * 10_000),
        (b"0\r\nx: ", b"y" * 0x10000),
    ],
    ids=["chunks", "extension", "trailers", "trailer"],
)
def test_connection_is_closed_when_what_follows_an_answer_never_ends(
    begun: bytes, part: bytes
) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_REFUSED)
            await reader.readuntil(b"/refused")
            writer.write(begun)
            await send_until_closed(writer, part)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b"", "it was answered twice"
            writer.close()

    uvloop.run(scenario())


def test_stream_that_ends_before_its_body_takes_the_connection_with_it() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_REFUSED.replace(b"/refused", b"/given-up"))
            answer = await asyncio.wait_for(reader.read(), 30)
            assert answer.endswith(b"9\r\n/given-up\r\n0\r\n\r\n")
            writer.close()

    uvloop.run(scenario())
