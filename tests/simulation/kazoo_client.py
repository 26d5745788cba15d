"""Clients of the simulated ensemble that look like kazoo's, and what happens between the two.

The product's own `coordination/` runs on top of it unchanged. Requests and answers of a connection
keep their order and take their time; watches come in the same stream as the answers, as ZooKeeper
promises. A connection may break at any moment, also between a write and its answer; a session is
forgotten when nothing was heard of it for its timeout.
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from kazoo import exceptions
from kazoo.protocol.states import KazooState, KeeperState

from kafkalite.coordination.operations import (
    ANY_VERSION,
    Check,
    Create,
    Delete,
    Operation,
    SetData,
    Znode,
)
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import CURRENT, EPOCH_MS, Process
from tests.simulation.zookeeper import RefusedError, Session, ZooKeeperModel

_TICK_S: Final = 0.25
_RETRY_S: Final = 0.5
_SILENCE_SHARE: Final = 2 / 3
"""After this share of its timeout without an answer a client takes its connection for broken."""


class _Connection:
    """One connection of a client; a broken one is never mended."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.is_broken = False
        self.last_arrival = 0.0
        self.last_delivery = 0.0


class Ensemble:
    """The servers, and the network between them and the machines."""

    def __init__(self, loop: SimulatedLoop, random: Random) -> None:
        self.loop = loop
        self.random = random
        self.model = ZooKeeperModel(lambda: EPOCH_MS + int(loop.time() * 1000))
        self.is_available = True
        self.unreachable: set[str] = set()
        """Machines that are cut off from it."""
        self.slowness: float = 1.0
        self._clients: list[SimulatedKazoo] = []
        loop.world.call_later(_TICK_S, self._tick)

    def latency_s(self) -> float:
        random = self.random
        slow = 20 if random.random() < 0.03 else 1
        return random.uniform(0.0001, 0.001) * slow * self.slowness

    def reaches(self, process: Process) -> bool:
        name = process.machine.name if process.machine else ""
        return self.is_available and name not in self.unreachable

    def add(self, client: "SimulatedKazoo") -> None:
        self._clients.append(client)

    def live_clients(self) -> "list[SimulatedKazoo]":
        self._clients = [client for client in self._clients if not client.process.is_dead]
        return list(self._clients)

    # -- what a nemesis does --------------------------------------------------------------------

    def cut_off(self, machine: str) -> None:
        """Let nothing through between the ensemble and a machine."""
        self.unreachable.add(machine)
        for client in self.live_clients():
            if client.process.machine and client.process.machine.name == machine:
                client.break_connection(noticed=False)

    def reconnect(self, machine: str) -> None:
        self.unreachable.discard(machine)

    def drop_connection(self, client: "SimulatedKazoo") -> None:
        """Break a connection so that both sides see it at once."""
        client.break_connection(noticed=True)

    def expire(self, client: "SimulatedKazoo") -> None:
        """Forget the session of a client that is alive."""
        if client.session is not None:
            self.model.end_session(client.session)
            client.break_connection(noticed=True)

    def fail(self) -> None:
        """Lose the quorum: nobody is served, and no session ends."""
        self.is_available = False
        for client in self.live_clients():
            client.break_connection(noticed=True)

    def recover(self) -> None:
        """Be there again; the new leader gives every session its full timeout."""
        self.is_available = True
        self.model.touch_all(self.loop.time())

    def _tick(self) -> None:
        if self.is_available:
            for session in self.model.expire_silent(self.loop.time()):
                for client in self.live_clients():
                    if client.session is session:
                        client.break_connection(noticed=True)
        self.loop.world.call_later(_TICK_S, self._tick)


class _Answer:
    """What kazoo gives for a request: done some day."""

    def __init__(self) -> None:
        self.value: Any = None
        self.exception: BaseException | None = None
        self._is_done = False
        self._links: list[Callable[[Any], None]] = []

    def rawlink(self, callback: Callable[[Any], None]) -> None:
        if self._is_done:
            callback(self)
        else:
            self._links.append(callback)

    def finish(self, value: Any = None, exception: BaseException | None = None) -> None:
        if self._is_done:
            return
        self._is_done = True
        self.value, self.exception = value, exception
        for link in self._links:
            link(self)


class SimulatedKazoo:
    """Stands in for `kazoo.client.KazooClient`, as far as `coordination/bridge.py` uses it."""

    def __init__(self, ensemble: Ensemble, timeout_s: float, key: Any = None) -> None:
        self.process = CURRENT.get()
        self.client_state = KeeperState.CLOSED
        self._ensemble = ensemble
        self._loop = ensemble.loop
        self._model = ensemble.model
        self._timeout_s = timeout_s
        self._key: tuple[int, bytes] | None = None if key is None else tuple(key)
        self._listeners: list[Callable[[str], None]] = []
        self._connection: _Connection | None = None
        """As long as this side believes in it."""
        self._pending: dict[int, _Answer] = {}
        self._xid = 0
        self._watchers: dict[tuple[str, str], dict[Callable[[object], None], None]] = {}
        self._is_started = False
        self._closing: _Answer | None = None
        ensemble.add(self)
        self.process.when_dead.append(self._process_died)
        self.process.when_stopped.append(self._process_stopped)
        self.process.when_continued.append(self._process_continued)

    # -- life -----------------------------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        return None if self._connection is None else self._connection.session

    @property
    def client_id(self) -> tuple[int, bytes] | None:
        return self._key if self._connection is not None else None

    def add_listener(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

    def start_async(self) -> None:
        self._is_started = True
        self._connect_soon()

    def begin_close(self) -> _Answer:
        """Close the session; done when the ensemble has confirmed it, or never."""
        self._closing = closing = _Answer()
        self._is_started = False
        connection = self._connection
        if connection is None:
            closing.finish()
        else:
            self._at_server(connection, partial(self._close_at_server, connection))
        return closing

    def _close_at_server(self, connection: _Connection) -> None:
        self._model.end_session(connection.session)
        self._at_client(connection, self._closed)

    def _closed(self) -> None:
        self._connection = None
        self._fail_pending(exceptions.ConnectionClosedError())
        if self._closing is not None:
            self._closing.finish()

    def _connect_soon(self) -> None:
        delay = self._ensemble.random.uniform(0.01, _RETRY_S)
        if self._key is None:
            delay /= 20
        self.process.call_later(delay, self._connect)

    def _connect(self) -> None:
        if not self._is_started or self._connection is not None:
            return
        if not self._ensemble.reaches(self.process):
            self._connect_soon()
            return
        self._loop.world.call_later(self._ensemble.latency_s(), self._accept)

    def _accept(self) -> None:
        """The ensemble gets the request for a session."""
        process = self.process
        if process.is_dead or not self._ensemble.reaches(process):
            process.call(self._connect_soon)
            return
        latency = self._ensemble.latency_s()
        if self._key is not None:
            session = self._model.find_session(*self._key)
            if session is None:
                process.call_later(latency, self._expired)
                return
            for other in self._ensemble.live_clients():
                if other is not self and other.session is session:
                    other.break_connection(noticed=True)
        else:
            session = self._model.begin_session(self._timeout_s)
        session.silent_since = self._loop.time() if process.is_stopped else None
        process.call_later(latency, self._connected, _Connection(session))

    def _connected(self, connection: _Connection) -> None:
        session = connection.session
        if not self._is_started or self._connection is not None:
            session.silent_since = self._loop.time()
            return
        if not session.is_alive or not self._ensemble.reaches(self.process):
            session.silent_since = self._loop.time()
            self._connect_soon()
            return
        self._connection = connection
        self._key = session.id, session.password
        self.client_state = KeeperState.CONNECTED
        self._tell(KazooState.CONNECTED)

    def _expired(self) -> None:
        self._key = None
        self.client_state = KeeperState.EXPIRED_SESSION
        self._tell(KazooState.LOST)
        self._connect_soon()

    def _tell(self, state: str) -> None:
        for listener in self._listeners:
            listener(state)

    # -- breaking -------------------------------------------------------------------------------

    def break_connection(self, *, noticed: bool) -> None:
        """Let nothing more through; the client sees it soon, or when it has waited for long."""
        connection = self._connection
        if connection is None or connection.is_broken:
            return
        connection.is_broken = True
        connection.session.silent_since = self._loop.time()
        delay = self._ensemble.latency_s()
        if not noticed:
            patience = self._timeout_s * _SILENCE_SHARE
            delay = self._ensemble.random.uniform(patience / 2, patience)
        self.process.call_later(delay, self._lose, connection)

    def _lose(self, connection: _Connection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        self.client_state = KeeperState.CONNECTING
        self._fail_pending(exceptions.ConnectionLoss())
        if self._closing is not None:
            return
        self._tell(KazooState.SUSPENDED)
        watchers = [one for group in self._watchers.values() for one in group]
        self._watchers.clear()
        for watcher in watchers:
            watcher(None)
        self._connect_soon()

    def _fail_pending(self, error: Exception) -> None:
        pending, self._pending = self._pending, {}
        for answer in pending.values():
            answer.finish(exception=error)

    def _process_died(self) -> None:
        if self._connection is not None:
            self._connection.is_broken = True
            self._connection.session.silent_since = self._loop.time()

    def _process_stopped(self) -> None:
        if self._connection is not None and not self._connection.is_broken:
            self._connection.session.silent_since = self._loop.time()

    def _process_continued(self) -> None:
        connection = self._connection
        if connection is None or connection.is_broken:
            return
        if connection.session.is_alive:
            connection.session.silent_since = None
        else:
            self.break_connection(noticed=True)

    # -- requests -------------------------------------------------------------------------------

    def get_async(self, path: str, watch: Any = None) -> _Answer:
        return self._ask(partial(self._get, path, watch))

    def exists_async(self, path: str, watch: Any = None) -> _Answer:
        return self._ask(partial(self._exists, path, watch))

    def get_children_async(self, path: str, watch: Any = None) -> _Answer:
        return self._ask(partial(self._children, path, watch))

    def sync_async(self, path: str) -> _Answer:
        return self._ask(lambda _: path)

    def create_async(self, path: str, value: bytes = b"", *, ephemeral: bool = False) -> _Answer:
        return self._ask(partial(self._one, Create(path, value, ephemeral)))

    def ensure_path_async(self, path: str) -> _Answer:
        return self._ask(lambda session: self._model.ensure(path, session))

    def set_async(self, path: str, value: bytes, version: int = ANY_VERSION) -> _Answer:
        return self._ask(partial(self._one, SetData(path, value, version)))

    def transaction(self) -> "_Transaction":
        return _Transaction(lambda operations: self._ask(partial(self._commit, operations)))

    def _get(self, path: str, watch: Any, session: Session) -> tuple[bytes, Any]:
        znode = self._model.get(path)
        if znode is None:
            raise RefusedError("NoNodeError")
        self._watch("data", path, watch, session)
        return znode.data, _stat(znode)

    def _exists(self, path: str, watch: Any, session: Session) -> Any:
        self._watch("data", path, watch, session)
        znode = self._model.get(path)
        return None if znode is None else _stat(znode)

    def _children(self, path: str, watch: Any, session: Session) -> list[str]:
        names = self._model.children(path)
        if names is None:
            raise RefusedError("NoNodeError")
        self._watch("children", path, watch, session)
        return names

    def _one(self, operation: Operation, session: Session) -> Any:
        (version,) = self._model.commit([operation], session)
        return SimpleNamespace(version=version)

    def _commit(self, operations: Sequence[Operation], session: Session) -> list[Any]:
        try:
            versions = self._model.commit(operations, session)
        except RefusedError as error:
            results: list[Any] = [exceptions.RolledBackError() for _ in range(error.index)]
            results.append(_exception(error))
            results += [exceptions.RuntimeInconsistency()] * (len(operations) - len(results))
            return results
        return [SimpleNamespace(version=version) for version in versions]

    def _watch(self, kind: str, path: str, watch: Any, session: Session) -> None:
        if watch is None:
            return
        connection = self._connection
        if connection is None or connection.session is not session:
            return
        self._watchers.setdefault((kind, path), {})[watch] = None
        self._model.watch(session, kind, path, partial(self._fired, connection, kind, path))

    def _fired(self, connection: _Connection, kind: str, path: str) -> None:
        if not connection.is_broken:
            self._at_client(connection, partial(self._call_watchers, kind, path))

    def _call_watchers(self, kind: str, path: str) -> None:
        for watcher in self._watchers.pop((kind, path), {}):
            watcher(None)

    def _ask(self, work: Callable[[Session], Any]) -> _Answer:
        """Have the ensemble do `work`."""
        answer = _Answer()
        connection = self._connection
        if connection is None:
            answer.finish(exception=exceptions.ConnectionLoss())
            return answer
        self._xid += 1
        self._pending[self._xid] = answer
        self._at_server(connection, partial(self._serve, connection, self._xid, work))
        return answer

    def _serve(self, connection: _Connection, xid: int, work: Callable[[Session], Any]) -> None:
        if not connection.session.is_alive:
            return
        try:
            value, error = work(connection.session), None
        except RefusedError as refused:
            value, error = None, _exception(refused)
        self._at_client(connection, partial(self._take_answer, xid, value, error))

    def _take_answer(self, xid: int, value: Any, error: Exception | None) -> None:
        answer = self._pending.pop(xid, None)
        if answer is not None:
            answer.finish(value, error)

    def _at_server(self, connection: _Connection, work: Callable[[], None]) -> None:
        now = self._loop.time()
        when = max(connection.last_arrival, now + self._ensemble.latency_s())
        connection.last_arrival = when

        def arrive() -> None:
            if not connection.is_broken:
                work()

        self._loop.call_at(when, arrive, context=self._loop.world.context)

    def _at_client(self, connection: _Connection, work: Callable[[], None]) -> None:
        now = self._loop.time()
        when = max(connection.last_delivery, now + self._ensemble.latency_s())
        connection.last_delivery = when

        def arrive() -> None:
            if self._connection is connection and not connection.is_broken:
                work()

        self._loop.call_at(when, arrive, context=self.process.context)


class _Transaction:
    """Gathers operations; stands in for kazoo's TransactionRequest."""

    def __init__(self, commit: Callable[[Sequence[Operation]], _Answer]) -> None:
        self._commit = commit
        self._operations: list[Operation] = []

    def create(
        self, path: str, value: bytes, *, ephemeral: bool = False, sequence: bool = False
    ) -> None:
        self._operations.append(Create(path, value, ephemeral, sequence))

    def set_data(self, path: str, value: bytes, version: int = ANY_VERSION) -> None:
        self._operations.append(SetData(path, value, version))

    def delete(self, path: str, version: int = ANY_VERSION) -> None:
        self._operations.append(Delete(path, version))

    def check(self, path: str, version: int) -> None:
        self._operations.append(Check(path, version))

    def commit_async(self) -> _Answer:
        return self._commit(self._operations)


def _stat(znode: Znode) -> Any:
    return SimpleNamespace(
        version=znode.version,
        czxid=znode.created,
        mzxid=znode.modified,
        ephemeralOwner=znode.owner,
        mtime=znode.modified_ms,
    )


def _exception(error: RefusedError) -> Exception:
    kind: type[Exception] = getattr(exceptions, error.reason)
    return kind()
