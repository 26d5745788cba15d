"""One connection to a broker on which requests follow each other without waiting for answers."""

import asyncio
from collections.abc import Callable, Sequence

from kafkalite.transport.connecting import connect
from kafkalite.transport.connection import PeerConnection
from kafkalite.transport.errors import (
    PeerBusyError,
    PeerError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import Buffer

Tell = Callable[[PeerReply | PeerError], None]
"""Told once what came of a request, on the loop; must not raise."""


class _Outstanding:
    """A request that was sent without a task; stands where a future would."""

    __slots__ = ("_connection", "_is_done", "_pipeline", "_tell", "_timeout_s", "due_s")

    def __init__(
        self,
        pipeline: "Pipeline",
        connection: PeerConnection,
        due_s: float,
        timeout_s: float,
        tell: Tell,
    ) -> None:
        self.due_s = due_s
        """By the loop's clock, when to give it up."""
        self._pipeline = pipeline
        self._connection = connection
        self._timeout_s = timeout_s
        self._tell = tell
        self._is_done = False

    def done(self) -> bool:
        return self._is_done

    def give_up(self) -> None:
        """It took too long; what was sent behind it is lost with it."""
        self._connection.give_up(self)

    def set_result(self, result: PeerReply, /) -> None:
        self._end(result)

    def set_exception(self, error: PeerError | TimeoutError, /) -> None:
        if isinstance(error, TimeoutError):
            error = PeerTimeoutError(
                f"No answer from {self._pipeline.where} in {self._timeout_s} s"
            )
        self._end(error)

    def _end(self, outcome: PeerReply | PeerError) -> None:
        self._is_done = True
        self._pipeline.ended(self)
        self._tell(outcome)


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
        self._begun: dict[_Outstanding, None] = {}
        """What `begin` sent that is not answered."""
        self._alarm: asyncio.TimerHandle | None = None
        """Goes off when the first of them is due: one for all, as nearly none is ever needed."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, because asking for it is a system call each time (Python 3.11's getpid)."""
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
            raise PeerBusyError(f"{self._requests} requests to {self.where} wait already")
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
            raise PeerTimeoutError(f"No answer from {self.where} in {timeout_s} s") from error
        finally:
            self._requests -= 1
            self._used_s = loop.time()

    def close_idle(self, since_s: float) -> None:
        """Close the connection if it has not been used since then, by the loop's clock."""
        if self._connection is not None and not self._requests and self._used_s < since_s:
            self._connection.close()

    def close(self) -> None:
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._connection is not None:
            self._connection.close()

    def begin(
        self, request: Sequence[Buffer], max_bytes: int, timeout_s: float, tell: Tell
    ) -> bool:
        """As `exchange` without a task: send now, and have `tell` called with what comes of it.

        False: nothing was done, as a connection has to be made first, or there are too many
        requests.
        """
        if self._in_line or self._requests >= self._max_requests:
            return False
        connection = self._usable()
        if connection is None:
            return False
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        due_s = loop.time() + timeout_s
        outstanding = _Outstanding(self, connection, due_s, timeout_s, tell)
        self._requests += 1
        self._begun[outstanding] = None
        if self._alarm is None or due_s < self._alarm.when():
            self._set_alarm(loop, due_s)
        connection.send_for(outstanding, request, max_bytes)
        return True

    def ended(self, outstanding: "_Outstanding") -> None:
        """What `begin` sent has its answer, or will not have one."""
        self._begun.pop(outstanding, None)
        self._requests -= 1
        if self._loop is not None:
            self._used_s = self._loop.time()

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(due_s, self._on_alarm, loop)

    def _on_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up what is due; the alarm was set for what may have been answered since."""
        self._alarm = None
        now_s = loop.time()
        for outstanding in list(self._begun):
            if outstanding.due_s <= now_s:
                outstanding.give_up()
        if self._begun:
            self._set_alarm(loop, min(each.due_s for each in self._begun))

    @property
    def where(self) -> str:
        """The address, for messages."""
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
            raise PeerUnreachableError(f"No connection to {self.where} in {timeout_s} s") from error
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
