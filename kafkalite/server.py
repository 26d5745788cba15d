"""The composition root: puts one broker together and runs it until it is told to stop."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import resource
import signal
import socket
from collections.abc import Awaitable, Coroutine
from typing import Final

import uvloop

from kafkalite.api.asgi import Dispatcher
from kafkalite.api.data_plane.controller import ControllerEndpoint
from kafkalite.api.data_plane.fetch import FetchEndpoint
from kafkalite.api.data_plane.produce import ProduceEndpoint
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.data_plane.records import RecordsEndpoint
from kafkalite.api.groups.endpoint import GroupsEndpoint
from kafkalite.api.http.options import HttpOptions, http_options
from kafkalite.api.http.server import HttpServer, bind
from kafkalite.api.lazy_control import LazyControl
from kafkalite.api.rest.mount import consumers_endpoint, topics_endpoint
from kafkalite.api.rest.proxy import RestProxy
from kafkalite.api.streams.endpoint import streams_endpoint
from kafkalite.api.streams.event_stream import WithoutCutStreams
from kafkalite.api.v3.mount import v3_endpoint
from kafkalite.broker.broker import Broker, IdentityError
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.system_clock import SystemClock
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.listener import Listener
from kafkalite.coordination.errors import CoordinationError
from kafkalite.coordination.zookeeper_coordination import ZooKeeperCoordination
from kafkalite.model.ids import BrokerId
from kafkalite.storage.errors import StorageError
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.transport.http_peers import HttpPeers

_SESSION_FILE: Final = ".zookeeper_session"
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 64 << 20
_LARGEST_KEPT_BYTES: Final = 32 << 20
"""The most that glibc takes."""
_SETTLE_S: Final = 10.0
_PEER_CONNECTIONS: Final = 128
"""To each other broker, for each kind of request."""
_PEER_ANSWER_BYTES: Final = 128 << 20
"""More than any broker answers another one: a bound on what a broken one may send."""

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The broker cannot start; a sentence for the operator that names the way out."""


def serve(settings: BrokerSettings) -> None:
    """Run a broker until SIGTERM or SIGINT.

    Raises:
        StartError: it cannot start.
    """
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(WithoutCutStreams())
    _raise_descriptor_limit()
    _keep_freed_memory()
    uvloop.run(_serve(settings))


async def _serve(settings: BrokerSettings) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    listener = _bind(settings.listeners)
    try:
        directories = LogDirectories(settings.log_directories)
        await _starting(asyncio.to_thread(directories.open))
        try:
            await _run(settings, directories, listener, asked_to_stop)
        finally:
            await asyncio.to_thread(directories.close)
    finally:
        listener.close()


async def _run(
    settings: BrokerSettings,
    directories: LogDirectories,
    listener: socket.socket,
    asked_to_stop: asyncio.Event,
) -> None:
    clock, view = SystemClock(), MetadataView()

    def make_membership(broker: Broker) -> ZooKeeperCoordination:
        return ZooKeeperCoordination(
            settings.zookeeper_connect,
            session_timeout_ms=settings.zookeeper_session_timeout_ms,
            connection_timeout_ms=settings.connection_timeout_ms,
            session_file=directories.first_healthy / _SESSION_FILE,
            view=view,
            clock=clock,
            on_suspended=broker.on_suspended,
            on_lost=broker.on_lost,
            on_connected=broker.on_connected,
        )

    peers = HttpPeers(max_connections=_PEER_CONNECTIONS, max_answer_bytes=_PEER_ANSWER_BYTES)
    try:
        broker = Broker(settings, view, directories, clock, peers, make_membership)
    except CoordinationError as error:
        raise StartError(str(error)) from error
    address, port = listener.getsockname()[:2]
    advertised = settings.advertised_listener(port)
    http = _http_server(settings, broker, http_options(settings, address, advertised))
    async with contextlib.AsyncExitStack() as stopping:
        # In the opposite order, and each whatever becomes of the others.
        stopping.push_async_callback(peers.close)
        stopping.push_async_callback(broker.close)
        stopping.push_async_callback(broker.leave)
        stopping.push_async_callback(http.stop)
        stopping.callback(broker.stop_waiting)
        stopping.callback(http.drain)
        stopping.push_async_callback(broker.hand_over)
        await _unless(asked_to_stop, _start(broker, http, listener, advertised))
        await asked_to_stop.wait()
        _log.info("Stopping")
    _log.info("Stopped")


async def _start(
    broker: Broker, http: HttpServer, listener: socket.socket, advertised: Listener
) -> None:
    await _starting(broker.open())
    await http.start(listener)
    await _starting(broker.join(advertised.host, advertised.port))
    await broker.wait_until_settled(_SETTLE_S)
    _freeze_what_stays()
    _log.info("Broker %d is ready at %s", broker.id, advertised.url)


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do `work`, but leave off when `stop` is set: a start may take minutes."""
    doing = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if doing.done():
        doing.result()
    else:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


def _http_server(settings: BrokerSettings, broker: Broker, options: HttpOptions) -> HttpServer:
    slots = ProduceSlots(settings.queued_max_requests)

    def suspect_replica(broker_id: BrokerId) -> None:
        replica = broker.view.brokers.get(broker_id)
        if replica is not None:
            broker.controller_client.suspect(replica)

    dispatcher = Dispatcher(
        ProduceEndpoint(broker.append_path, settings.socket_request_max_bytes, slots),
        FetchEndpoint(broker.fetch_path, broker.replication.sessions, suspect_replica),
        RecordsEndpoint(
            broker.partitions,
            broker.record_append_path,
            broker.fetch_path,
            settings.socket_request_max_bytes,
            slots,
        ),
        ControllerEndpoint(broker.controller),
        GroupsEndpoint(broker.groups, broker.group_routing, broker.view),
        streams_endpoint(broker),
        RestProxy(
            consumers_endpoint(broker), topics_endpoint(broker, slots), v3_endpoint(broker, slots)
        ),
        LazyControl(broker),
    )

    def count_connections(number: int) -> None:
        broker.probe.connections = number

    return HttpServer(
        dispatcher,
        count=count_connections,
        max_connections=settings.max_connections,
        max_idle_ms=settings.connections_max_idle_ms,
        express=dispatcher.express,
        options=options,
    )


def _bind(listener: Listener) -> socket.socket:
    try:
        return bind(listener.host, listener.port)
    except OSError as error:
        raise StartError(
            f"Cannot listen on {listener}: {error.strerror}. Is another broker running? "
            "Change listeners, or stop it."
        ) from error


async def _starting(step: Awaitable[None]) -> None:
    """Await a step of the start; what an operator can mend becomes a StartError."""
    try:
        await step
    except (CoordinationError, IdentityError, StorageError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(
            f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        ) from error


def _raise_descriptor_limit() -> None:
    """As many descriptors as the system lets us have: logs, indexes and connections take them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _log.warning("The limit on open files stays as it is: %s", error)


def _keep_freed_memory() -> None:
    """Have malloc keep the buffers of large requests instead of giving each back to the system.

    Getting their pages anew costs more than all that is done with them. Only glibc does this.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)


def _freeze_what_stays() -> None:
    """Keep modules and partitions out of the garbage collector's rounds: they are not garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
