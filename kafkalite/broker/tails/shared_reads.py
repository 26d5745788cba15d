"""Reads for many who wait for the same records: they wait once, and go on in turns.

One record wakes every tail of its partition, and nearly all of them stand at its end. If each
looked for itself, and all went on at once, a producer would wait for its answer until hundreds had
read, encoded and sent.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Final

import msgspec

from kafkalite.broker.consumers.ports import Reads
from kafkalite.broker.partition_read import PartitionRead, ReadPiece
from kafkalite.wire.messages import FetchRequest

_AT_ONCE: Final = 2
"""Of those that were woken, in each turn of the loop: others come in between."""

_encode: Final = msgspec.msgpack.Encoder().encode


class _SharedFetch:
    """One fetch, and those who wait for it."""

    __slots__ = ("task", "turns")

    def __init__(self, task: asyncio.Task[list[PartitionRead]]) -> None:
        self.task = task
        self.turns: dict[asyncio.Future[None], None] = {}
        """In the order in which they came."""


class SharedReads:
    """Implements Reads by others'. Lives on the loop; a fetch lasts as long as anyone waits."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._shared: dict[bytes, _SharedFetch] = {}
        """By all that a request says but how long it may take."""
        self._woken: deque[asyncio.Future[None]] = deque()

    def try_fetch(self, request: FetchRequest) -> list[PartitionRead] | None:
        """See Reads."""
        return self._reads.try_fetch(request)

    async def fetch(self, request: FetchRequest) -> list[PartitionRead]:
        """See Reads; nothing at all where the time is up, perhaps a little early."""
        key = _encode(msgspec.structs.replace(request, max_wait_ms=0))
        shared = self._shared.get(key)
        if shared is None:
            shared = _SharedFetch(asyncio.create_task(self._reads.fetch(request)))
            self._shared[key] = shared
            shared.task.add_done_callback(partial(self._found, key, shared))
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(request.max_wait_ms / 1000, _give, turn)
        shared.turns[turn] = None
        try:
            await turn
            return shared.task.result() if shared.task.done() else []
        finally:
            timer.cancel()
            del shared.turns[turn]
            if not shared.turns and self._shared.get(key) is shared:
                del self._shared[key]
                shared.task.cancel()

    async def read_piece(self, piece: ReadPiece) -> bytes:
        """See Reads."""
        return await self._reads.read_piece(piece)

    def _found(
        self, key: bytes, shared: _SharedFetch, _task: asyncio.Task[list[PartitionRead]]
    ) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]
        is_idle = not self._woken
        self._woken.extend(shared.turns)
        if is_idle:
            self._next()

    def _next(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._woken))):
            _give(self._woken.popleft())
        if self._woken:
            asyncio.get_running_loop().call_soon(self._next)


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
