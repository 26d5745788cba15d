"""Puts the simulated world in the place of the real one, where the product would reach for it.

The product has no switch for this: names in its outermost modules are replaced for as long as a
simulation runs. Everything else of the product runs as it is, the composition root included.
"""

import asyncio
import contextlib
import logging
import random
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from kafkalite import server
from kafkalite.broker.broker import Broker
from kafkalite.coordination import bridge, zookeeper_coordination
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.session_file import SessionKey
from kafkalite.storage import log_directories
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.transport import http_peers
from kafkalite.transport.connection_pool import ConnectionPool
from kafkalite.transport.errors import PeerRefusedError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import Buffer
from tests.simulation.kazoo_client import Ensemble, SimulatedKazoo
from tests.simulation.machine import Machine, MachineClock
from tests.simulation.network import AsgiApp, Listener
from tests.simulation.process import CURRENT

_MAX_OPEN_FILES: Final = 24
_CONNECT_S: Final = 3.0
_MACHINES_ADDRESS: Final = "192.0.2.1"
"""Of all machines, as it does not matter: they find each other by name."""


def _machine() -> Machine:
    machine = CURRENT.get().machine
    assert machine is not None
    return machine


class _Listener:
    """Stands for a bound socket."""

    def __init__(self, host: str, port: int) -> None:
        self.address = f"{host}:{port}"
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        return _MACHINES_ADDRESS, self._port

    def close(self) -> None:
        pass


class _HttpServer:
    """Stands in for `api.http.server.HttpServer`."""

    def __init__(self, app: AsgiApp, **_: Any) -> None:
        self._app = app
        self._listener: Listener | None = None

    async def start(self, listener: _Listener) -> None:
        machine, process = _machine(), CURRENT.get()
        self._listener = machine.network.listen(process, listener.address, self._app)

    def drain(self) -> None:
        """Nothing: no connection is kept here."""

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop()


class _ConnectionPool(ConnectionPool):
    """A pool whose connections are the simulated network's business."""

    def __init__(self, host: str, port: int, **bounds: Any) -> None:
        super().__init__(host, port, **bounds)
        self._address = f"{host}:{port}"
        self._network = _machine().network

    async def exchange(
        self, request: Sequence[Buffer], max_bytes: int, timeout_s: float
    ) -> PeerReply:
        head, body = request
        first, *lines = bytes(head).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        del headers["content-length"]
        return await self._network.exchange(
            self._address, method, target, headers, bytes(body), timeout_s
        )


async def _connect(host: str, port: int, *_: Any) -> Any:
    if await _machine().network.refuses(f"{host}:{port}", _CONNECT_S):
        raise PeerRefusedError(f"Nobody listens at {host}:{port}")
    return SimpleNamespace(close=lambda: None)


def _make_directories(paths: list[Path]) -> LogDirectories:
    machine = _machine()
    directories = LogDirectories(paths, machine.disk, max_open_files=_MAX_OPEN_FILES)
    machine.directories = directories
    return directories


def _make_broker(*args: Any, **kwargs: Any) -> Broker:
    broker = Broker(*args, **kwargs)
    _machine().broker = broker
    return broker


def _write_session_file(_path: Path, key: SessionKey) -> None:
    _machine().session_key = key


def _remove_session_file(_path: Path) -> None:
    _machine().session_key = None


def _in_thread(self: KazooBridge, work: Any) -> "asyncio.Future[None]":
    """Runs what starts or closes a client, which here take no thread."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer = work()
    if answer is None:
        future.set_result(None)
    else:
        answer.rawlink(lambda _: _settle(future))
    return future


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


@contextlib.contextmanager
def sealed(seed: int, ensemble: Ensemble) -> Iterator[None]:
    """Within it brokers live in the simulated world, and chance comes from `seed`."""
    chance = random.Random(f"{seed}-sealed")
    hashes = iter(range(1, 1 << 60))
    numbers: dict[int, int] = {}
    kept: list[object] = []

    class _Random(random.Random):
        def __init__(self, given: Any = None) -> None:
            super().__init__(chance.getrandbits(64) if given is None else given)

    def number_of(thing: object) -> int:
        """In place of an address, of which sets would take their order."""
        number = numbers.get(id(thing))
        if number is None:
            number = numbers[id(thing)] = next(hashes)
            kept.append(thing)
        return number

    def make_client(_hosts: str, timeout_s: float, key: SessionKey | None = None) -> SimulatedKazoo:
        client = SimulatedKazoo(ensemble, timeout_s, key)
        if key is None:
            _machine().client = client
        return client

    random_before = random.getstate()
    replacements: list[tuple[Any, str, Any]] = [
        (server, "LogDirectories", _make_directories),
        (server, "SystemClock", MachineClock),
        (server, "HttpServer", _HttpServer),
        (server, "Broker", _make_broker),
        (server, "bind", _Listener),
        (server, "_freeze_what_stays", lambda: None),
        (http_peers, "ConnectionPool", _ConnectionPool),
        (http_peers, "connect", _connect),
        (bridge, "make_client", make_client),
        (bridge, "dispose", lambda client: client.begin_close()),
        (KazooBridge, "_in_thread", _in_thread),
        (zookeeper_coordination, "read_session_file", lambda _: _machine().session_key),
        (zookeeper_coordination, "write_session_file", _write_session_file),
        (zookeeper_coordination, "remove_session_file", _remove_session_file),
        (log_directories, "current_boot_id", lambda: _machine().boot_id),
        (random, "Random", _Random),
        (uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4)),
    ]
    replacements += [(kind, "__hash__", number_of) for kind in _classes_hashed_by_address()]
    random.seed(seed)
    with contextlib.ExitStack() as stack:
        for owner, name, replacement in replacements:
            stack.enter_context(patch.object(owner, name, replacement))
        yield
    random.setstate(random_before)


def _classes_hashed_by_address() -> list[type]:
    """The product's classes whose places in sets would differ from run to run."""
    found: dict[type, None] = {}
    for name in sorted(sys.modules):
        if name.split(".")[0] == "kafkalite":
            for thing in vars(sys.modules[name]).values():
                if isinstance(thing, type) and thing.__module__.startswith("kafkalite."):
                    found[thing] = None
    by_address: object = object.__hash__
    return [
        kind
        for kind in found
        if kind.__hash__ is by_address and not issubclass(kind, BaseException)
    ]


class LogCapture(logging.Handler):
    """Takes what the product logs into the trace; `complain` hears of exceptions."""

    def __init__(self, note: Any, complain: Any) -> None:
        super().__init__()
        self._note = note
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        process = CURRENT.get(None)
        who = process.name if process is not None else "?"
        text = record.getMessage()
        self._note(who, f"{record.levelname.lower()}: {text}")
        if record.exc_info and record.exc_info[1] is not None and process and not process.is_dead:
            self._complain(process, {"message": text, "exception": record.exc_info[1]})
