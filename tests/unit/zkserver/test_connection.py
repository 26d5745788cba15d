"""A connection cuts frames out of bytes, and holds back a client that is too fast."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from kafkalite.zkserver import connection as connection_module
from kafkalite.zkserver.connection import MAX_FRAME_BYTES, MAX_OUTSTANDING, Connection


class FakeTransport(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 4000)})
        self.written: list[bytes] = []
        self.is_read = True
        self.end = ""
        self.aborted = asyncio.Event()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return self.end != ""

    def close(self) -> None:
        self.end = "closed"

    def abort(self) -> None:
        self.end = "aborted"
        self.aborted.set()


class FakeOwner:
    """A server that only keeps what connections give it."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.accepts = accepts
        self.frames: list[bytes] = []
        self.left: list[Connection] = []

    def opened(self, _connection: Connection) -> bool:
        return self.accepts

    def frame_received(self, _connection: Connection, frame: bytes) -> None:
        self.frames.append(frame)

    def word_received(self, _connection: Connection, word: str) -> str | None:
        return "imok" if word == "ruok" else None

    def lost(self, connection: Connection) -> None:
        self.left.append(connection)


class Wire:
    """A connection between a fake server and a fake transport."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.owner = FakeOwner(accepts=accepts)
        self.transport = FakeTransport()
        self.connection = Connection(self.owner)
        self.connection.connection_made(self.transport)


def _frame(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def _run(scenario: Callable[[Wire], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own: connections set their deadlines on it."""

    async def run() -> None:
        wire = Wire()
        await scenario(wire)
        wire.connection.connection_lost(None)

    asyncio.run(run())


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_frames_are_cut_out_however_the_bytes_come(step: int) -> None:
    async def scenario(wire: Wire) -> None:
        data = _frame(b"first") + _frame(b"") + _frame(b"x" * 300)
        for start in range(0, len(data), step):
            wire.connection.data_received(data[start : start + step])
        assert wire.owner.frames == [b"first", b"", b"x" * 300]
        assert (wire.connection.received, wire.connection.outstanding) == (3, 3)

    _run(scenario)


@pytest.mark.parametrize("length", [-1, MAX_FRAME_BYTES + 1])
def test_connection_is_dropped_when_a_length_is_out_of_bounds(length: int) -> None:
    async def scenario(wire: Wire) -> None:
        data = _frame(b"good") + struct.pack("!i", length) + _frame(b"never")
        wire.connection.data_received(data)
        assert (wire.owner.frames, wire.transport.end) == ([b"good"], "aborted")

    _run(scenario)


def test_word_is_answered_and_the_connection_closed() -> None:
    async def scenario(wire: Wire) -> None:
        wire.connection.data_received(b"ru")
        assert wire.transport.end == ""
        wire.connection.data_received(b"ok\n")
        assert (wire.transport.written, wire.transport.end) == ([b"imok"], "closed")
        assert wire.owner.frames == []

    _run(scenario)


def test_word_inside_a_session_is_no_word() -> None:
    async def scenario(wire: Wire) -> None:
        wire.connection.data_received(_frame(b"first"))
        wire.connection.data_received(b"ruok")
        assert (wire.transport.written, wire.transport.end) == ([], "aborted")

    _run(scenario)


def test_client_is_not_read_while_too_many_of_its_requests_are_unanswered() -> None:
    async def scenario(wire: Wire) -> None:
        wire.connection.data_received(_frame(b"x") * (MAX_OUTSTANDING + 10))
        assert len(wire.owner.frames) == MAX_OUTSTANDING
        assert not wire.transport.is_read
        wire.connection.answered(4)
        assert (len(wire.owner.frames), wire.transport.is_read) == (MAX_OUTSTANDING + 4, False)
        wire.connection.answered(100)
        assert (len(wire.owner.frames), wire.transport.is_read) == (MAX_OUTSTANDING + 10, True)

    _run(scenario)


def test_client_is_not_read_while_it_does_not_read_its_answers() -> None:
    async def scenario(wire: Wire) -> None:
        wire.connection.pause_writing()
        wire.connection.data_received(_frame(b"x"))
        assert (wire.owner.frames, wire.transport.is_read) == ([], False)
        wire.connection.resume_writing()
        assert (wire.owner.frames, wire.transport.is_read) == ([b"x"], True)

    _run(scenario)


def test_frames_are_written_together_and_not_after_the_end() -> None:
    async def scenario(wire: Wire) -> None:
        wire.connection.send([b"a"])
        wire.connection.send([b"b", b"c"])
        wire.connection.close()
        wire.connection.send([b"d"])
        assert (wire.transport.written, wire.connection.sent) == ([b"a", b"bc"], 3)

    _run(scenario)


@pytest.mark.parametrize("name", ["CONNECT_TIMEOUT_S", "CLOSE_TIMEOUT_S"])
def test_connection_is_dropped_when_its_client_stays_silent_or_deaf(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, name, 0)

    async def scenario(wire: Wire) -> None:
        if name == "CLOSE_TIMEOUT_S":
            wire.connection.data_received(_frame(b"x"))
            wire.connection.close()
        async with asyncio.timeout(5):
            await wire.transport.aborted.wait()

    _run(scenario)


def test_connection_is_dropped_when_the_server_refuses_it() -> None:
    wire = Wire(accepts=False)
    assert wire.transport.end == "aborted"


def test_view_shows_the_address_and_the_counts() -> None:
    async def scenario(wire: Wire) -> None:
        wire.connection.data_received(_frame(b"x"))
        wire.connection.client.session_id = 0xAB
        view = str(wire.connection.view)
        assert view == " /10.0.0.1:4000[1](queued=1,recved=1,sent=0,sid=0xab)"

    _run(scenario)
