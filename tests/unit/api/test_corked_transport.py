"""Small writes of one turn leave together, and one connection's end is no other's."""

import asyncio

import pytest

from kafkalite.api.corked_transport import CorkedTransport, Outbox


class _Transport(asyncio.Transport):
    """Remembers what is written; like uvloop's, it raises once its client has reset it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_reset = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_reset:
            raise RuntimeError("the handler is closed")
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_reset

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


def test_order_is_kept_when_a_large_write_or_the_end_follows() -> None:
    async def scenario() -> None:
        transport = _Transport()
        corked = CorkedTransport(transport, Outbox())
        corked.write(b"head")
        corked.write(b"x" * 100_000)
        corked.write(b"tail")
        corked.close()
        assert [each[:6] for each in transport.written] == [b"head", b"xxxxxx", b"tail", b"closed"]

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
