"""Finds the brokers through ZooKeeper, for commands that are given `--zookeeper`."""

import logging
import socket
import threading
import time
from typing import Any, Final

from kazoo import exceptions

from kafkalite.coordination import codec, paths
from kafkalite.coordination.bridge import translate
from kafkalite.coordination.client import (
    ConnectString,
    dispose,
    make_client,
    parse_connect,
    unreachable,
)
from kafkalite.coordination.errors import CoordinationError, MalformedZnodeError
from kafkalite.model.cluster import Broker

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S: Final = 0.5
_PROBE_TIMEOUT_S: Final = 1.0
_PROBE: Final = b"srvr / HTTP/1.0\r\n\r\n"
"""Its first four bytes are a word that any ZooKeeper answers; a server of HTTP reads on."""


def find_brokers(connect: str, timeout_s: float) -> list[Broker]:
    """The live brokers by id. Blocks; not for use on an event loop.

    Args:
        connect: `host:port[,host:port...][/chroot]`.
        timeout_s: how long it may take altogether.

    Raises:
        CoordinationError: ZooKeeper cannot be reached, or no broker is registered there; the
            message says so.
    """
    where = parse_connect(connect)
    deadline = time.monotonic() + timeout_s
    _check_someone_listens(where, timeout_s)
    client = make_client(where.hosts, timeout_s)
    try:
        if not client.start_async().wait(timeout_s):
            raise unreachable(where, timeout_s)
        brokers = _read_brokers(client, where, deadline)
    except client.handler.timeout_exception:
        raise unreachable(where, timeout_s) from None
    finally:
        # A server that is silent would make this wait again.
        closing = threading.Thread(target=_dispose, args=(client,), daemon=True)
        closing.start()
        closing.join(_CLOSE_TIMEOUT_S)
    if not brokers:
        raise CoordinationError(
            f"No broker is registered in ZooKeeper at {where}. "
            "Is one running, with this zookeeper.connect?"
        )
    return brokers


def _check_someone_listens(where: ConnectString, timeout_s: float) -> None:
    """Raise CoordinationError at once where no server is one: kazoo would try on and on."""
    refusals = []
    for server in where.hosts.split(","):
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout_s) as connection:
                speaks_http = _speaks_http(connection, min(timeout_s, _PROBE_TIMEOUT_S))
        except (ConnectionRefusedError, socket.gaierror) as error:
            refusals.append(error.strerror or "refused")
        except OSError:
            return  # it may answer yet
        else:
            if not speaks_http:
                return
            raise CoordinationError(
                f"Cannot reach ZooKeeper at {where}: {server} answers in HTTP. If that is a "
                f"broker, name it with --bootstrap-server {server} instead."
            )
    raise CoordinationError(
        f"Cannot reach ZooKeeper at {where}: {', '.join(dict.fromkeys(refusals))}. Is it running, "
        "and is the address right?"
    )


def _speaks_http(connection: socket.socket, timeout_s: float) -> bool:
    connection.settimeout(timeout_s)
    connection.sendall(_PROBE)
    return connection.recv(5) == b"HTTP/"


def _read_brokers(client: Any, where: ConnectString, deadline: float) -> list[Broker]:  # noqa: ANN401 - kazoo has no types
    def remaining_s() -> float:
        return max(0.0, deadline - time.monotonic())

    parent = where.chroot + paths.BROKER_IDS
    try:
        names = client.get_children_async(parent).get(timeout=remaining_s())
    except exceptions.NoNodeError:
        return []
    except exceptions.KazooException as error:
        raise translate(error, parent) from error
    brokers = []
    for broker_id in sorted(int(name) for name in names if name.isdecimal()):
        path = paths.broker(broker_id)
        try:
            data, stat = client.get_async(where.chroot + path).get(timeout=remaining_s())
        except exceptions.NoNodeError:
            continue  # it went meanwhile
        except exceptions.KazooException as error:
            raise translate(error, path) from error
        try:
            brokers.append(codec.decode_broker(path, data, broker_id, stat.czxid))
        except MalformedZnodeError as error:
            _log.warning("%s; the broker is left out", error)
    return brokers


def _dispose(client: Any) -> None:  # noqa: ANN401 - kazoo has no types
    try:
        dispose(client)
    except (exceptions.KazooException, OSError) as error:
        _log.debug("Leaving ZooKeeper: %s", error)
