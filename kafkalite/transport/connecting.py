"""Making a connection, so that being refused is told apart from all else that may go wrong."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, TypeVar

from kafkalite.transport.errors import PeerRefusedError, PeerUnreachableError

P = TypeVar("P", bound=asyncio.BaseProtocol)

CONNECT_TIMEOUT_S: Final = 3.0
"""For one address; a host that answers at all does so within its network's round trip."""


async def connect(
    host: str, port: int, make_protocol: Callable[[], P], timeout_s: float = CONNECT_TIMEOUT_S
) -> P:
    """Connect to the first address of `host` that takes it, waiting for each up to `timeout_s`.

    Raises:
        PeerRefusedError: every address of the host refuses.
        PeerUnreachableError: anything else; also a name that cannot be looked up.
    """
    loop = asyncio.get_running_loop()
    failures: list[OSError] = []
    try:
        found = await _look_up(host, port)
    except OSError as error:
        raise PeerUnreachableError(f"{host} cannot be looked up: {error}") from error
    for family, address in found:
        try:
            async with asyncio.timeout(timeout_s):
                transport, protocol = await loop.create_connection(
                    make_protocol, address, port, family=family
                )
        except OSError as error:  # TimeoutError is one
            failures.append(error)
            continue
        if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
            # Nobody listens, and the system gave us that very port to come from.
            transport.abort()
            failures.append(ConnectionRefusedError("connected to itself"))
            continue
        return protocol
    if failures and all(isinstance(error, ConnectionRefusedError) for error in failures):
        raise PeerRefusedError(f"Nobody listens at {host}:{port}") from failures[0]
    reason = "; ".join(str(error) or "no answer" for error in failures) or "it has no address"
    raise PeerUnreachableError(f"{host}:{port} cannot be reached: {reason}")


async def _look_up(host: str, port: int) -> list[tuple[int, str]]:
    """The families and addresses of `host`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except RuntimeError:
        # At the interpreter's exit asyncio's threads take nothing any more, and a producer may have
        # records to send: nobody else needs the loop then.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]
