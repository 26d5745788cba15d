"""A producer and what it stands on, closed by several at a time."""

import asyncio
from typing import Any

from kafkalite.client.producer.assembly import Assembly


class _Part:
    """A core, cluster or connections: closing takes until it may end."""

    def __init__(self, name: str, closed: list[str]) -> None:
        self._name = name
        self._closed = closed
        self.may_end = asyncio.Event()

    async def close(self, _timeout_s: float | None = None) -> None:
        if self._name not in self._closed:
            self._closed.append(self._name)
            await self.may_end.wait()


def test_who_closes_second_leaves_the_first_one_what_it_needs_to_send_the_rest() -> None:
    async def story() -> None:
        closed: list[str] = []
        parts: list[Any] = [_Part(name, closed) for name in ("core", "cluster", "connections")]
        assembly = Assembly(*parts)
        closing = [asyncio.create_task(assembly.close(None)) for _ in range(2)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == ["core"]
        assert not any(task.done() for task in closing), "closed means closed for both"
        for part in parts:
            part.may_end.set()
        await asyncio.gather(*closing)
        assert closed == ["core", "cluster", "connections"]

    asyncio.run(story())
