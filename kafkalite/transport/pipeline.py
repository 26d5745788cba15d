"""One connection to a broker on which requests follow each other without waiting for answers."""

import asyncio
from collections.abc import Sequence

from kafkalite.transport.connecting import connect
from kafkalite.transport.connection import PeerConnection
from kafkalite.transport.errors import PeerBusyError, PeerTimeoutError, PeerUnreachableError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import Buffer


class Pipeline:
    """Sends requests to one address in the order of the calls, up to `max_requests` at a time.

    The other side answers in that order, too. When the connection breaks, or an answer does not
    come in time, all that is outstanding fails, and the next request makes another connection.
    Lives on the loop; `close()` ends it.
    """

    def __init__(
        self, host: str, port: int, *, max_requests: int, connect_timeout_s: float
    ) -> None:
        self._host = host
        self._port = port
        self._max_requests = max_requests
        self._connect_timeout_s = connect_timeout_s
        self._connection: PeerConnection | None = None
        self._requests = 0
        self._connecting = asyncio.Lock()
        """Held while a connection is made; those that wait for it get it in their order."""
        self._in_line = 0
        """How many hold it or wait for it."""
        self._used_s = 0.0
        self._is_closed = False

    async def exchange(
        self, request: Sequence[Buffer], max_bytes: int, timeout_s: float
    ) -> PeerReply:
        """Send a request behind those before; its answer's body is bounded by `max_bytes`.

        The parts of the request must stay as they are until there is an answer.

        Raises:
            PeerError: as `ConnectionPool.exchange` says.
        """
        if self._requests >= self._max_requests:
            raise PeerBusyError(f"{self._requests} requests to {self._where} wait already")
        self._requests += 1
        loop = asyncio.get_running_loop()
        try:
            # Nobody overtakes those that wait for the connection.
            connection = None if self._in_line else self._usable()
            if connection is not None:
                return await connection.answer_to(connection.send(request, max_bytes), timeout_s)
            due_s = loop.time() + timeout_s
            connection, reply = await self._sent_in_line(request, max_bytes, timeout_s)
            return await connection.answer_to(reply, due_s - loop.time())
        except TimeoutError as error:
            raise PeerTimeoutError(f"No answer from {self._where} in {timeout_s} s") from error
        finally:
            self._requests -= 1
            self._used_s = loop.time()

    def close_idle(self, since_s: float) -> None:
        """Close the connection if it has not been used since then, by the loop's clock."""
        if self._connection is not None and not self._requests and self._used_s < since_s:
            self._connection.close()

    def close(self) -> None:
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()

    @property
    def _where(self) -> str:
        return f"{self._host}:{self._port}"

    async def _sent_in_line(
        self, request: Sequence[Buffer], max_bytes: int, timeout_s: float
    ) -> "tuple[PeerConnection, asyncio.Future[PeerReply]]":
        """Send on a connection that has to be made, by us or by those who came first."""
        self._in_line += 1
        try:
            async with asyncio.timeout(timeout_s), self._connecting:
                connection = self._usable() or await self._connect()
                return connection, connection.send(request, max_bytes)
        except TimeoutError as error:
            raise PeerUnreachableError(
                f"No connection to {self._where} in {timeout_s} s"
            ) from error
        finally:
            self._in_line -= 1

    def _usable(self) -> PeerConnection | None:
        """The connection, unless it is closed, or would be found so."""
        connection = self._connection
        if connection is None or not connection.is_open:
            return None
        # While answers are due, that something has come says nothing of an end.
        return connection if connection.requests or connection.is_alive() else None

    async def _connect(self) -> PeerConnection:
        if self._connection is not None:
            self._connection.close()
        connection = await connect(self._host, self._port, PeerConnection, self._connect_timeout_s)
        self._connection = connection
        if self._is_closed:
            connection.close()
            raise PeerBusyError("The connections are closed")
        return connection
