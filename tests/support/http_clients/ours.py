"""`kafkalite.transport` behind the port."""

from collections.abc import Sequence

from kafkalite.transport.connection_pool import ConnectionPool
from kafkalite.transport.errors import PeerError
from tests.support.http_clients.port import Answer, InDoubtError, NotSentError

_MAX_BYTES = 64 << 20


class OurClient:
    """A pool of `transport/`, as brokers have for each other and clients for fetches."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str, int], ConnectionPool] = {}

    async def post(
        self, host: str, port: int, target: str, parts: Sequence[bytes], timeout_s: float
    ) -> Answer:
        return await self._send("POST", host, port, target, parts, timeout_s)

    async def get(self, host: str, port: int, target: str, timeout_s: float) -> Answer:
        return await self._send("GET", host, port, target, (), timeout_s)

    async def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    async def _send(
        self,
        method: str,
        host: str,
        port: int,
        target: str,
        parts: Sequence[bytes],
        timeout_s: float,
    ) -> Answer:
        pool = self._pools.get((host, port))
        if pool is None:
            pool = ConnectionPool(host, port, max_connections=8, max_waiting=100)
            self._pools[host, port] = pool
        head = (
            f"{method} {target} HTTP/1.1\r\nhost: {host}:{port}\r\n"
            f"content-length: {sum(map(len, parts))}\r\n\r\n"
        )
        try:
            reply = await pool.exchange((head.encode(), *parts), _MAX_BYTES, timeout_s)
        except PeerError as error:
            raise (InDoubtError if error.was_sent else NotSentError)(str(error)) from error
        return Answer(reply.status, reply.content)
