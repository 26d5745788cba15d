"""Small writes of one turn leave together, and one connection's end is no other's."""

import asyncio
from collections.abc import Iterable

import pytest

from kafkalite.api.http import corked_transport
from kafkalite.api.http.corked_transport import CorkedTransport, Outbox


class _Transport(asyncio.Transport):
    """Remembers what is written; like uvloop's, it raises once its client has reset it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes | list[bytes]] = []
        self.is_reset = False
        self.unread = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_reset:
            raise RuntimeError("the handler is closed")
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.written.append(list(map(bytes, list_of_data)))

    def is_closing(self) -> bool:
        return self.is_reset

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.written.append(b"aborted")

    def close(self) -> None:
        self.written.append(b"closed")


def test_small_writes_of_a_turn_are_one() -> None:
    async def scenario() -> None:
        transport = _Transport()
        corked = CorkedTransport(transport, Outbox())
        corked.write(b"head ")
        corked.write(b"body")
        assert transport.written == []
        await asyncio.sleep(0)
        assert transport.written == [b"head body"]

    asyncio.run(scenario())


def test_large_writes_of_a_turn_leave_together_and_are_not_copied() -> None:
    async def scenario() -> None:
        transport = _Transport()
        corked = CorkedTransport(transport, Outbox())
        corked.write(b"head")
        corked.write(b"x" * 100_000)
        assert corked.get_write_buffer_size() == 100_004
        corked.writelines([b"more", memoryview(b"tail")])
        corked.close()
        assert transport.written == [[b"head", b"x" * 100_000, b"more", b"tail"], b"closed"]
        assert corked.get_write_buffer_size() == 0

    asyncio.run(scenario())


def test_many_bytes_do_not_wait_for_the_turn_to_end() -> None:
    async def scenario() -> None:
        transport = _Transport()
        corked = CorkedTransport(transport, Outbox())
        corked.write(b"head")
        corked.write(b"x" * (1 << 20))
        assert transport.written == [[b"head", b"x" * (1 << 20)]]
        corked.writelines([b"y" * (1 << 20)])
        corked.write(b"end")
        assert transport.written[1:] == [b"y" * (1 << 20)]
        await asyncio.sleep(0)
        assert transport.written[2:] == [b"end"]

    asyncio.run(scenario())


@pytest.mark.parametrize("reset", [0, 1])
def test_connection_that_was_reset_keeps_no_other_from_its_answer(reset: int) -> None:
    async def scenario() -> None:
        outbox = Outbox()
        transports = [_Transport(), _Transport()]
        for transport in transports:
            CorkedTransport(transport, outbox).write(b"answer")
        transports[reset].is_reset = True
        await asyncio.sleep(0)
        assert transports[1 - reset].written == [b"answer"]

    asyncio.run(scenario())


def test_closing_does_not_wait_for_ever_for_a_client_that_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corked_transport, "LINGER_S", 0.0)

    async def scenario(unread: int) -> list[bytes | list[bytes]]:
        transport = _Transport()
        transport.unread = unread
        CorkedTransport(transport, Outbox()).close()
        for _ in range(3):
            await asyncio.sleep(0)
        return transport.written

    assert asyncio.run(scenario(1)) == [b"closed", b"aborted"]
    assert asyncio.run(scenario(0)) == [b"closed"]


def test_nothing_is_written_once_somebody_else_took_the_end_over() -> None:
    async def scenario() -> None:
        transport = _Transport()
        ended: list[asyncio.Transport] = []

        def end(of: asyncio.Transport) -> bool:
            ended.append(of)
            return True

        corked = CorkedTransport(transport, Outbox(), end)
        corked.write(b"last words")
        corked.close()
        assert (transport.written, ended) == ([b"last words"], [transport])
        assert corked.is_closing()
        corked.write(b"more")
        corked.close()
        await asyncio.sleep(0)
        assert (transport.written, len(ended)) == ([b"last words"], 1)

    asyncio.run(scenario())
