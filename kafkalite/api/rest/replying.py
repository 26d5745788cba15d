"""Sends the answers of REST Proxy's API."""

import asyncio
from itertools import islice
from typing import Final

from kafkalite.api.data_plane.exchange import NOT_STORED, Exchange
from kafkalite.api.rest.errors import RestAnswer

_JOINED_AT_ONCE: Final = 2_000
"""Rows joined in one go."""


async def send_answer(exchange: Exchange, answer: RestAnswer, *, close: bool = False) -> None:
    """Send it whole; `close` where the rest of the request's body is not wanted."""
    headers = [*answer.headers, NOT_STORED]
    if close:
        headers.append((b"connection", b"close"))
    if not answer.body:
        if answer.status != 204:
            headers.append((b"content-length", b"0"))
        await exchange.start(answer.status, headers)
        await exchange.send_part(b"", more=False)
    else:
        await exchange.respond(answer.status, answer.media, answer.body, headers)


async def joined(rows: list[bytes]) -> bytes:
    """Rows with commas between them; others run while many are joined."""
    if len(rows) <= _JOINED_AT_ONCE:
        return b",".join(rows)
    parts = []
    left = iter(rows)
    while some := list(islice(left, _JOINED_AT_ONCE)):
        parts.append(b",".join(some))
        await asyncio.sleep(0)
    return b",".join(parts)
