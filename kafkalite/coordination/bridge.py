"""kazoo's threads and the event loop: the only crossing between them."""

# ruff: noqa: ANN401 - kazoo has no types; this and client.py are the edge where that ends

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from kazoo import exceptions
from kazoo.protocol.states import KazooState, KeeperState

from kafkalite.coordination.client import ConnectString, dispose, make_client, unreachable
from kafkalite.coordination.errors import (
    BadVersionError,
    ConnectionLostError,
    CoordinationError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    TransactionFailedError,
)
from kafkalite.coordination.operations import (
    ANY_VERSION,
    Check,
    Create,
    Delete,
    Operation,
    SetData,
    Znode,
)
from kafkalite.coordination.session import Link
from kafkalite.coordination.session_file import SessionKey

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

REQUEST_TIMEOUT_S: Final = 10.0
"""How long one request, retries of reads included, may take."""
_PIPELINED: Final = 1_000
"""Reads that are under way at once."""
_REVIVE_AFTER_S: Final = 1.0

_ERRORS: Final[tuple[tuple[type[Exception], type[CoordinationError], str], ...]] = (
    (exceptions.NoNodeError, NoNodeError, "does not exist"),
    (exceptions.NodeExistsError, NodeExistsError, "exists already"),
    (exceptions.BadVersionError, BadVersionError, "was changed meanwhile"),
    (exceptions.NotEmptyError, NotEmptyError, "has children"),
    (exceptions.ConnectionLoss, ConnectionLostError, "the connection was lost"),
    (exceptions.SessionExpiredError, ConnectionLostError, "the session expired"),
    (exceptions.ConnectionClosedError, ConnectionLostError, "the connection was closed"),
    (exceptions.SessionMovedError, ConnectionLostError, "the session moved"),
    (exceptions.OperationTimeoutError, ConnectionLostError, "the operation timed out"),
)
_LINKS: Final = {
    KazooState.CONNECTED: Link.CONNECTED,
    KazooState.SUSPENDED: Link.SUSPENDED,
    KazooState.LOST: Link.LOST,
}


def translate(error: BaseException, about: str) -> CoordinationError:
    """kazoo's exception in our words; `about` says what was asked, usually a path."""
    for theirs, ours, text in _ERRORS:
        if isinstance(error, theirs):
            return ours(f"{about}: {text}")
    return CoordinationError(f"{about}: {type(error).__name__} {error}".rstrip())


class _Watcher:
    """What kazoo is given as a watch; equal for equal callbacks, because kazoo keeps a set."""

    __slots__ = ("_callback", "_cross")

    def __init__(
        self, cross: Callable[[Callable[[], None]], None], callback: Callable[[], None]
    ) -> None:
        self._cross = cross
        self._callback = callback

    def __call__(self, _event: object) -> None:
        self._cross(self._callback)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Watcher) and other._callback == self._callback

    def __hash__(self) -> int:
        return hash(self._callback)


class KazooBridge:
    """One kazoo client, used from the event loop.

    Owned by ZooKeeperCoordination. All methods are called on the loop, and callbacks come there. A
    request that is made without a connection fails at once instead of being sent some day.
    Reads are retried until REQUEST_TIMEOUT_S has passed; writes are not, because one whose
    connection broke may have happened: ConnectionLostError, and the caller looks.
    Life: `connect`, requests, `close`.
    """

    def __init__(
        self,
        connect: ConnectString,
        session_timeout_ms: int,
        on_link: Callable[[Link, SessionKey | None], None],
        resume: SessionKey | None = None,
    ) -> None:
        """Build, without connecting.

        Args:
            connect: where ZooKeeper is, and the chroot below which all paths are.
            session_timeout_ms: what to ask for.
            on_link: called for each change of the connection; with the session where connected.
            resume: a session to take up again.
        """
        self._connect_string = connect
        self._chroot = connect.chroot
        self._on_link = on_link
        self._client = make_client(connect.hosts, session_timeout_ms / 1000, resume)
        self._client.add_listener(self._hear_kazoo)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected = asyncio.Event()
        self._closing = False
        self._last_session_id: int | None = None
        self._generation = 0

    @property
    def generation(self) -> int:
        """Counts sessions: what was read in an earlier one may be newer than what is read now.

        It is raised before anything that was read in the new session comes back.
        """
        return self._generation

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    @property
    def session(self) -> SessionKey | None:
        """The session, while connected."""
        key = self._client.client_id
        return None if key is None else SessionKey(*key)

    async def connect(self, timeout_s: float) -> None:
        """Connect, and have a session.

        Raises:
            CoordinationError: nobody answered in time; it names the servers.
        """
        self._loop = asyncio.get_running_loop()
        await self._in_thread(self._client.start_async)
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            await self.close(0.0)
            raise unreachable(self._connect_string, timeout_s) from None

    async def close(self, timeout_s: float) -> bool:
        """Close the session, so that its ephemeral znodes go at once, and free everything.

        Gives whether that was done. A server that does not answer is left behind after `timeout_s`;
        the session then ends by its timeout, and the threads with the process.
        """
        self._loop = asyncio.get_running_loop()
        self._closing = True
        was_connected = self._connected.is_set()
        self._connected.clear()
        closing = self._in_thread(partial(dispose, self._client))
        done, _ = await asyncio.wait({closing}, timeout=timeout_s)
        closing.add_done_callback(_log_failure)
        return was_connected and bool(done) and closing.exception() is None

    # -- reading --------------------------------------------------------------------------------

    async def get(self, path: str, watch: Callable[[], None] | None = None) -> Znode | None:
        """Read a znode, None when there is none; `watch` is called once when that changes.

        The watch of a znode that does not exist waits for its creation.
        """
        while True:
            data = await self._read(path, partial(self._client.get_async, self._full(path)), watch)
            if data is not None or watch is None:
                return None if data is None else _znode(*data)
            # kazoo sets no watch where there is nothing to get.
            if await self._read(
                path, partial(self._client.exists_async, self._full(path)), watch
            ) is None:  # fmt: skip
                return None

    async def children(
        self, path: str, watch: Callable[[], None] | None = None
    ) -> list[str] | None:
        """Names of the children, None when there is no such znode."""
        ask = partial(self._client.get_children_async, self._full(path))
        names: list[str] | None = await self._read(path, ask, watch)
        return names

    async def get_many(self, paths: Sequence[str]) -> list[Znode | None]:
        """Read many znodes in few round trips; None where there is none."""
        results = await self._read_many(paths, self._client.get_async)
        return [None if result is None else _znode(*result) for result in results]

    async def children_many(self, paths: Sequence[str]) -> list[list[str] | None]:
        """Names of the children of many znodes; None where there is no such znode."""
        return await self._read_many(paths, self._client.get_children_async)

    async def sync(self) -> None:
        """Make what is read next at least as new as now, whatever server answers."""
        await self._retrying(
            "sync", lambda: self._call("sync", partial(self._client.sync_async, self._full("/")))
        )

    # -- writing --------------------------------------------------------------------------------

    async def create(self, path: str, data: bytes = b"", *, ephemeral: bool = False) -> None:
        """Create a znode.

        Raises:
            CoordinationError: NodeExistsError, NoNodeError (of the parent), ConnectionLostError.
        """
        await self._call(
            path, partial(self._client.create_async, self._full(path), data, ephemeral=ephemeral)
        )

    async def ensure(self, path: str) -> None:
        """Create a znode and what is above it, chroot included, where missing."""
        full = self._full(path)
        await self._retrying(
            path, lambda: self._call(path, partial(self._client.ensure_path_async, full))
        )

    async def set(self, path: str, data: bytes, version: int = ANY_VERSION) -> int:
        """Replace a znode's data; gives the new version.

        Raises:
            CoordinationError: BadVersionError, NoNodeError, ConnectionLostError.
        """
        stat = await self._call(
            path, partial(self._client.set_async, self._full(path), data, version)
        )
        new_version: int = stat.version
        return new_version

    async def commit(self, operations: Sequence[Operation]) -> list[int]:
        """Do all of `operations` or nothing; gives the version each one left (0 for a new znode).

        Raises:
            CoordinationError: TransactionFailedError, ConnectionLostError.
        """
        transaction = self._client.transaction()
        for operation in operations:
            self._add(transaction, operation)
        results = await self._call("transaction", transaction.commit_async)
        for index, result in enumerate(results):
            # The others are told that they were rolled back, or not tried.
            if isinstance(result, Exception) and not isinstance(
                result, exceptions.RolledBackError | exceptions.RuntimeInconsistency
            ):
                raise TransactionFailedError(index, translate(result, operations[index].path))
        if any(isinstance(result, Exception) for result in results):
            raise CoordinationError(f"transaction: refused without a reason: {results}")
        return [getattr(result, "version", 0) for result in results]

    def _add(self, transaction: Any, operation: Operation) -> None:
        path = self._full(operation.path)
        match operation:
            case Create():
                transaction.create(
                    path,
                    operation.data,
                    ephemeral=operation.ephemeral,
                    sequence=operation.sequential,
                )
            case SetData():
                transaction.set_data(path, operation.data, operation.version)
            case Delete():
                transaction.delete(path, operation.version)
            case Check():
                transaction.check(path, operation.version)

    # -- crossing -------------------------------------------------------------------------------

    def _full(self, path: str) -> str:
        return (self._chroot + path).rstrip("/") or "/"

    async def _read(
        self, path: str, ask: Callable[..., Any], watch: Callable[[], None] | None
    ) -> Any:
        """Ask for one thing, retrying; None when there is no such znode."""
        watcher = None if watch is None else _Watcher(self._cross, watch)
        try:
            return await self._retrying(path, lambda: self._call(path, partial(ask, watch=watcher)))
        except NoNodeError:
            return None

    async def _read_many(self, paths: Sequence[str], ask: Callable[[str], Any]) -> list[Any]:
        results: list[Any] = []
        for start in range(0, len(paths), _PIPELINED):
            some = paths[start : start + _PIPELINED]
            results += await self._retrying(some[0], partial(self._call_many, some, ask))
        return results

    async def _retrying(self, about: str, attempt: Callable[[], Any]) -> Any:
        """Repeat an idempotent request whose connection broke, when there is one again."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                while True:
                    await self._connected.wait()
                    try:
                        return await attempt()
                    except ConnectionLostError:
                        await asyncio.sleep(0)  # let the news of the connection in first
                        if self._closing:
                            raise
        except TimeoutError:
            raise ConnectionLostError(f"{about}: ZooKeeper did not answer in time") from None

    async def _call(self, about: str, ask: Callable[[], Any]) -> Any:
        """Send one request and wait for its answer."""
        results = await self._send(about, (ask,))
        if isinstance(results[0], BaseException):
            raise translate(results[0], about) from None
        return results[0]

    async def _call_many(self, paths: Sequence[str], ask: Callable[[str], Any]) -> list[Any]:
        results = await self._send(paths[0], [partial(ask, self._full(path)) for path in paths])
        found: list[Any] = []
        for path, result in zip(paths, results, strict=True):
            if isinstance(result, exceptions.NoNodeError):
                found.append(None)
            elif isinstance(result, BaseException):
                raise translate(result, path) from None
            else:
                found.append(result)
        return found

    async def _send(self, about: str, asks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Send requests back to back; gives each one's result or exception."""
        if not self._connected.is_set():
            raise ConnectionLostError(f"{about}: there is no connection to ZooKeeper")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        gathering = _Gathering(len(asks), partial(self._cross, partial(_resolve, future)))
        for index, ask in enumerate(asks):
            ask().rawlink(partial(gathering.add, index))
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await future
        except TimeoutError:
            raise ConnectionLostError(f"{about}: ZooKeeper did not answer in time") from None
        return gathering.results

    def _cross(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop; called by kazoo's threads."""
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(callback)
            except RuntimeError:
                _log.debug("The loop closed while ZooKeeper had news")

    def _hear_kazoo(self, state: str) -> None:
        """Called by kazoo's connection thread, which must not be kept waiting."""
        link = _LINKS[state]
        died = link is Link.LOST and self._client.client_state == KeeperState.CLOSED
        self._cross(partial(self._take_link, link, self.session, died))

    def _take_link(self, link: Link, session: SessionKey | None, died: bool) -> None:
        if self._closing:
            return
        if link is Link.CONNECTED:
            if session is not None and session.session_id != self._last_session_id:
                self._last_session_id = session.session_id
                self._generation += 1
            self._connected.set()
        else:
            self._connected.clear()
        if died and self._loop is not None:
            # kazoo's thread met something that it gives up for, such as an answer that is garbage.
            _log.error("The connection to ZooKeeper broke down; connecting anew")
            self._loop.call_later(_REVIVE_AFTER_S, self._revive)
        self._on_link(link, session)

    def _revive(self) -> None:
        if not self._closing:
            self._in_thread(self._client.start_async).add_done_callback(_log_failure)

    def _in_thread(self, work: Callable[[], object]) -> "asyncio.Future[None]":
        """Run what may block in a daemon thread of its own: an executor would be waited for."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            error: Exception | None = None
            try:
                work()
            except Exception as caught:  # noqa: BLE001 - whatever it was, it belongs to the caller
                error = caught
            self._cross(partial(_resolve, future, error))

        threading.Thread(target=run, name="zookeeper-call", daemon=True).start()
        return future


class _Gathering:
    """Results of requests that were sent together; filled by kazoo's completion thread only."""

    __slots__ = ("_missing", "_when_complete", "results")

    def __init__(self, count: int, when_complete: Callable[[], None]) -> None:
        self.results: list[Any] = [None] * count
        self._missing = set(range(count))
        self._when_complete = when_complete

    def add(self, index: int, result: Any) -> None:
        if index not in self._missing:
            return  # kazoo may report a request twice when it is closed meanwhile
        self._missing.discard(index)
        self.results[index] = result.value if result.exception is None else result.exception
        if not self._missing:
            self._when_complete()


def _resolve(future: "asyncio.Future[Any]", error: Exception | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _log_failure(future: "asyncio.Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _log.warning("The connection to ZooKeeper: %s", error)


def _znode(data: bytes, stat: Any) -> Znode:
    owner = stat.ephemeralOwner or 0
    return Znode(data, stat.version, stat.czxid, stat.mzxid, owner, stat.mtime)
