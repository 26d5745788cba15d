"""The connections to one broker for one purpose: kept, bounded, and waited for in turn."""

import asyncio
from collections.abc import Sequence

from kafkalite.transport.connecting import CONNECT_TIMEOUT_S, connect
from kafkalite.transport.connection import PeerConnection
from kafkalite.transport.errors import PeerBusyError, PeerTimeoutError, PeerUnreachableError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import Buffer


class ConnectionPool:
    """Up to `max_connections` connections to one address, and up to `max_waiting` who want one.

    Lives on the loop. `close()` ends it: requests in work fail, and so do those that wait.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_connections: int,
        max_waiting: int,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._max_waiting = max_waiting
        self._slots = asyncio.Semaphore(max_connections)
        self._waiting = 0
        self._requests = 0
        """Those that wait, and those in work."""
        self._idle: list[tuple[PeerConnection, float]] = []
        """With when they were used, by the loop's clock. The one used last comes last, and is used
        first: the others age, and are let go."""
        self._in_use: set[PeerConnection] = set()
        self._is_closed = False

    async def exchange(
        self, request: Sequence[Buffer], max_bytes: int, timeout_s: float
    ) -> PeerReply:
        """Send a request on a connection of ours; its answer's body is bounded by `max_bytes`.

        Raises:
            PeerError: as `Peers` says.
        """
        loop = asyncio.get_running_loop()
        due_s = loop.time() + timeout_s
        self._requests += 1
        try:
            await self._take_slot(timeout_s)
            connection: PeerConnection | None = None
            try:
                connection = self._kept() or await self._connected(timeout_s, due_s - loop.time())
                reply = connection.send(request, max_bytes)
                return await connection.answer_to(reply, due_s - loop.time())
            finally:
                self._slots.release()
                if connection is not None:
                    self._give_back(connection)
        except TimeoutError as error:
            raise PeerTimeoutError(f"No answer from {self._where} in {timeout_s} s") from error
        finally:
            self._requests -= 1

    @property
    def is_unused(self) -> bool:
        """Whether another one in its place would do as well: no connection lives, nobody waits."""
        return not self._requests and not any(each.is_alive() for each, _ in self._idle)

    def close_idle(self, since_s: float) -> None:
        """Close the connections that have not been used since then, by the loop's clock."""
        for connection, used_s in self._idle:
            if used_s < since_s:
                connection.close()
        self._idle = [(each, used_s) for each, used_s in self._idle if each.is_open]

    def close(self) -> None:
        self._is_closed = True
        for connection in (*(each for each, _ in self._idle), *self._in_use):
            connection.close()
        self._idle.clear()

    @property
    def _where(self) -> str:
        return f"{self._host}:{self._port}"

    async def _take_slot(self, timeout_s: float) -> None:
        if not self._slots.locked():
            await self._slots.acquire()  # without waiting, and so without a timeout, which costs
            return
        if self._waiting >= self._max_waiting:
            raise PeerBusyError(f"{self._waiting} requests to {self._where} wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise self._no_connection(timeout_s) from error
        finally:
            self._waiting -= 1

    def _kept(self) -> PeerConnection | None:
        """A connection that was used before and is still there."""
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_alive():
                self._in_use.add(connection)
                return connection
            connection.close()
        return None

    async def _connected(self, timeout_s: float, left_s: float) -> PeerConnection:
        """A new connection, made in what is left of `timeout_s`."""
        try:
            async with asyncio.timeout(left_s):
                connection = await connect(
                    self._host, self._port, PeerConnection, self._connect_timeout_s
                )
        except TimeoutError as error:
            raise self._no_connection(timeout_s) from error
        self._in_use.add(connection)
        if self._is_closed:
            connection.close()
            raise PeerBusyError("The connections are closed")
        return connection

    def _no_connection(self, timeout_s: float) -> PeerUnreachableError:
        return PeerUnreachableError(f"No connection to {self._where} in {timeout_s} s")

    def _give_back(self, connection: PeerConnection) -> None:
        self._in_use.discard(connection)
        if connection.is_free and not self._is_closed:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.close()
