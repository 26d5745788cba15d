"""The parts of a body that has no end, for as long as this broker takes any."""

import asyncio

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.broker.record_streams import RecordStreams


async def next_part(exchange: Exchange, streams: RecordStreams) -> bytes | None:
    """More of the body; None: it has ended, or this broker is about to.

    Raises:
        ClientGoneError: it ends before it is whole.
    """
    if streams.is_closed:
        return None
    wakeup: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reading = asyncio.ensure_future(exchange.read_part())
    streams.stopping.add(wakeup)
    try:
        await asyncio.wait((reading, wakeup), return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        streams.stopping.discard(wakeup)
        reading.cancel()
