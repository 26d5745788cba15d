"""A client that is still sending gets to read what it was told, and is not listened to for ever."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from kafkalite.api.http import last_words
from kafkalite.api.http.last_words import LastWords


class _Transport(asyncio.Transport):
    """Notes what is done to it; the connection is lost when it is aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.protocol: asyncio.BaseProtocol | None = None
        self.unread = 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write_eof(self) -> None:
        self.done.append("eof")

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_reading(self) -> bool:
        return False

    def resume_reading(self) -> None:
        self.done.append("reads")

    def close(self) -> None:
        self.done.append("closed")
        if not self.unread:
            cast("LastWords", self.protocol).connection_lost(None)

    def abort(self) -> None:
        self.done.append("aborted")
        cast("LastWords", self.protocol).connection_lost(None)


def _run(scenario: Callable[[_Transport, LastWords, list[object]], None]) -> None:
    async def run() -> None:
        transport = _Transport()
        lost: list[object] = []
        last = LastWords(transport, lost.append)
        last.begin()
        scenario(transport, last, lost)

    assert LastWords.open_count == 0
    asyncio.run(run())
    assert LastWords.open_count == 0


def test_what_still_comes_is_read_and_forgotten() -> None:
    def scenario(transport: _Transport, last: LastWords, lost: list[object]) -> None:
        assert transport.protocol is last
        assert transport.done == ["eof", "reads"]
        last.data_received(b"x" * 1_000_000)
        assert (transport.done, lost) == (["eof", "reads"], [])
        last.connection_lost(None)
        assert lost == [None]

    _run(scenario)


def test_who_sends_on_and_on_is_reset() -> None:
    def scenario(transport: _Transport, last: LastWords, lost: list[object]) -> None:
        for _ in range(9):
            if not lost:
                last.data_received(b"x" * (1 << 20))
        assert transport.done[-1] == "aborted"
        assert lost == [None]

    _run(scenario)


def test_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_words, "_MOST_S", 0.0)

    async def run() -> None:
        transport = _Transport()
        lost = asyncio.Event()
        LastWords(transport, lambda _: lost.set()).begin()
        await asyncio.wait_for(lost.wait(), 30)
        assert transport.done[-1] == "aborted"

    asyncio.run(run())


def test_answer_that_is_still_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_words, "_MOST_S", 0.0)

    async def run() -> None:
        transport = _Transport()
        transport.unread = 1
        lost = asyncio.Event()
        LastWords(transport, lambda _: lost.set()).begin()
        for _ in range(20):
            await asyncio.sleep(0)
        assert transport.done == ["eof", "reads"]
        transport.unread = 0
        await asyncio.wait_for(lost.wait(), 30)
        assert transport.done[-1] == "aborted"

    asyncio.run(run())


@pytest.mark.parametrize("most_at_once", [0, 256])
def test_client_that_reads_nothing_is_not_waited_for_without_an_end(
    monkeypatch: pytest.MonkeyPatch, most_at_once: int
) -> None:
    monkeypatch.setattr(last_words, "_MOST_S", 0.0)
    monkeypatch.setattr(last_words, "LINGER_S", 0.0)
    monkeypatch.setattr(last_words, "_MOST_AT_ONCE", most_at_once)

    async def run() -> None:
        transport = _Transport()
        transport.unread = 1
        lost = asyncio.Event()
        LastWords(transport, lambda _: lost.set()).begin()
        await asyncio.wait_for(lost.wait(), 30)
        assert transport.done[-1] == "aborted"

    asyncio.run(run())


def test_one_of_too_many_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_words, "_MOST_AT_ONCE", 0)

    def scenario(transport: _Transport, _last: LastWords, lost: list[object]) -> None:
        assert (transport.done, lost) == (["closed"], [None])

    _run(scenario)
