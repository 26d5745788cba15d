"""A client of a stream that stops reading: who is slow is told, and then let go."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from kafkalite.api.data_plane.exchange import Exchange, Scope


class StallingClient:
    """Takes so many parts of the answer, then for a while none: `refuses` of them fail."""

    def __init__(self, takes: int, refuses: int, query: str) -> None:
        """Ask with a query string."""
        self.sent: list[bytes] = []
        self._takes = takes
        self._refuses = refuses
        scope: Scope = {"headers": [], "query_string": query.encode(), "client": None}
        self.exchange = Exchange(scope, self._receive, self._send)

    async def _receive(self) -> MutableMapping[str, Any]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("it goes on for ever")

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if len(self.sent) >= self._takes and self._refuses:
            self._refuses -= 1
            await asyncio.get_running_loop().create_future()
        self.sent.append(message.get("body", b"head"))
