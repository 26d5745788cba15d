"""The asyncio shell around the machine: sockets, the clock, and one thread that commits."""

import asyncio
import logging
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter

from kafkalite.zkserver import words
from kafkalite.zkserver.config import ZooKeeperConfig
from kafkalite.zkserver.connection import Connection
from kafkalite.zkserver.data_directory import DataDirectory
from kafkalite.zkserver.errors import StorageError
from kafkalite.zkserver.machine import Client, Limits, Machine, Now, Outgoing
from kafkalite.zkserver.replies import PASSWORD_BYTES
from kafkalite.zkserver.store import ZnodeStore
from kafkalite.zkserver.traffic import Traffic

_log = logging.getLogger(__name__)


class AddressInUseError(Exception):
    """The server cannot listen where it was told to; the text is a sentence for the operator."""


class ZooKeeperServer:
    """A standalone ZooKeeper inside this process.

    Belongs to the loop it was started on and is used on that loop only; a thread of its own runs
    the commits. All requests that came while one commit ran share the next one, and are answered
    when it is durable. `start()` once, `stop()` once; between them `wait_failed()` returns only
    when storage has failed, after which nothing is answered any more and the owner must stop it.
    """

    def __init__(self, config: ZooKeeperConfig) -> None:
        self._config = config
        self._directory = DataDirectory(config.data_dir)
        self._store = ZnodeStore(config.data_dir)
        limits = Limits(
            config.tick_ms, config.least_session_timeout_ms, config.largest_session_timeout_ms
        )
        self._machine = Machine(limits, lambda: os.urandom(PASSWORD_BYTES))
        self._traffic = Traffic()
        self._connections: dict[Client, Connection] = {}
        self._per_address: Counter[str] = Counter()
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="zookeeper-commit")
        self._listener: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._pump_scheduled = False
        self._committing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None
        self._stopping = False
        self._started_ms = 0

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._listener is None:
            raise RuntimeError("not started")
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Take the data directory, load what is in it and listen.

        Raises:
            StorageError: the directory or its content cannot be used.
            AddressInUseError: nobody can listen at the address and port.
        """
        self._directory.acquire()
        try:
            self._store.open()
            now = _now()
            self._machine.restore(self._store.load(), now)
            self._started_ms = now.monotonic_ms
            await self._listen()
            self._directory.announce()
        except BaseException:
            self._store.close()
            self._directory.release()
            self._committer.shutdown()
            raise
        self._tick()

    async def stop(self) -> None:
        """Take no more requests, store and answer those taken, close everything.

        Sessions stay: their clients may come back within their timeouts.
        """
        self._stopping = True
        if self._ticker is not None:
            self._ticker.cancel()
        if self._listener is not None:
            self._listener.close()
        self._pump()
        await self._idle.wait()
        for connection in list(self._connections.values()):
            connection.close()
        self._committer.shutdown()
        self._store.close()
        self._directory.release()

    async def wait_failed(self) -> None:
        """Wait until storage has failed; the log says why."""
        await self._failed.wait()

    # -- ConnectionOwner --------------------------------------------------------------------------

    def opened(self, connection: Connection) -> bool:
        limit = self._config.max_connections_per_address
        if self._stopping or self._failure is not None:
            return False
        if limit and self._per_address[connection.host] >= limit:
            self._traffic.rejected_connections += 1
            _log.warning("too many connections from %s (maximum %d)", connection.host, limit)
            return False
        self._per_address[connection.host] += 1
        self._connections[connection.client] = connection
        return True

    def frame_received(self, connection: Connection, frame: bytes) -> None:
        if self._stopping:
            return
        self._traffic.received += 1
        self._traffic.outstanding += 1
        self._machine.received(connection.client, frame, _now())
        self._schedule_pump()

    def word_received(self, connection: Connection, word: str) -> str | None:
        self._traffic.received += 1
        view = words.View(
            self._config,
            self.port,
            _now().monotonic_ms - self._started_ms,
            self._machine,
            self._traffic,
            [each.view for each in self._connections.values()],
        )
        return words.answer(word, view)

    def lost(self, connection: Connection) -> None:
        if self._connections.pop(connection.client, None) is None:
            return
        self._traffic.outstanding -= connection.outstanding
        self._per_address[connection.host] -= 1
        if not self._per_address[connection.host]:
            del self._per_address[connection.host]
        self._machine.disconnected(connection.client)

    # -- time and storage -------------------------------------------------------------------------

    async def _listen(self) -> None:
        host, port = self._config.address or None, self._config.port
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(lambda: Connection(self), host, port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise AddressInUseError(
                f"Cannot listen on {host or '0.0.0.0'}:{port}: {reason}."
            ) from error

    def _tick(self) -> None:
        self._machine.tick(_now())
        self._schedule_pump()
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(self._config.tick_ms / 1000, self._tick)

    def _schedule_pump(self) -> None:
        """Act on the machine once everything that has arrived by now is taken in."""
        if not self._pump_scheduled and not self._committing:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        if self._committing or self._failure is not None:
            return
        batch, outgoing = self._machine.ready()
        if batch is None:
            self._send(outgoing)
            return
        self._committing = True
        self._idle.clear()
        loop = asyncio.get_running_loop()
        commit = loop.run_in_executor(self._committer, self._store.commit, batch)
        commit.add_done_callback(lambda done: self._committed(outgoing, done.exception()))

    def _committed(self, outgoing: list[Outgoing], error: BaseException | None) -> None:
        self._committing = False
        if error is None:
            self._send(outgoing)
            self._pump()
        else:
            # Memory is ahead of the disk now; to answer anything would be to promise it.
            _log.error("%s", error, exc_info=None if isinstance(error, StorageError) else error)
            self._failure = error
            self._failed.set()
            for connection in self._connections.values():
                connection.abort()
        if not self._committing:
            self._idle.set()

    def _send(self, outgoing: list[Outgoing]) -> None:
        sent_ms = _now().monotonic_ms
        for client, group in groupby(outgoing, attrgetter("client")):
            connection = self._connections.get(client)
            if connection is not None:
                self._send_to(connection, list(group), sent_ms)

    def _send_to(self, connection: Connection, group: list[Outgoing], sent_ms: int) -> None:
        frames = [item.frame for item in group if item.frame is not None]
        if frames:
            connection.send(frames)
            self._traffic.sent += len(frames)
        answered = 0
        for item in group:
            if item.received_ms is not None:
                answered += 1
                self._traffic.answered(sent_ms - item.received_ms)
        connection.answered(answered)
        if group[-1].frame is None:
            connection.close()


def _now() -> Now:
    return Now(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)
