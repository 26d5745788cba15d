"""Sends the answers of REST Proxy's API."""

from kafkalite.api.exchange import Exchange
from kafkalite.api.rest.errors import RestAnswer


async def send_answer(exchange: Exchange, answer: RestAnswer, *, close: bool = False) -> None:
    """Send it whole; `close` where the rest of the request's body is not wanted."""
    headers = [*answer.headers]
    if close:
        headers.append((b"connection", b"close"))
    if answer.status == 204:
        await exchange.start(204, headers)
        await exchange.send_part(b"", more=False)
    else:
        await exchange.respond(answer.status, answer.media, answer.body, headers)
