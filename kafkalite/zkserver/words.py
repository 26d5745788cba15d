"""The four-letter words: what an operator may ask with nothing but a socket."""

import os
import platform
import resource
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kafkalite.zkserver.config import ZooKeeperConfig
from kafkalite.zkserver.machine import Machine
from kafkalite.zkserver.traffic import Traffic

# Clients and tools read a number from this to learn what they may ask: the release of ZooKeeper
# whose behaviour this server has.
VERSION = "3.8.0-kafkalite, built on 2024-12-29 17:54 UTC"
WORD_BYTES = 4


class ConnectionView(NamedTuple):
    """One connection as `stat` and `cons` list it."""

    address: str
    session_id: int
    queued: int
    received: int
    sent: int

    def __str__(self) -> str:
        interest = 1 if self.session_id else 0
        counts = f"queued={self.queued},recved={self.received},sent={self.sent}"
        session = f",sid={self.session_id:#x}" if self.session_id else ""
        return f" /{self.address}[{interest}]({counts}{session})"


class View(NamedTuple):
    """What the words show; gathered for each of them."""

    config: ZooKeeperConfig
    port: int
    uptime_ms: int
    machine: Machine
    traffic: Traffic
    connections: Sequence[ConnectionView]


def answer(word: str, view: View) -> str | None:
    """The text to send back before the connection is closed; None where `word` is no word."""
    write = _WORDS.get(word)
    if write is None:
        return None
    allowed = view.config.four_letter_words
    if word not in allowed and "*" not in allowed:
        return f"{word} is not executed because it is not in the whitelist.\n"
    return write(view)


def _ruok(_view: View) -> str:
    return "imok"


def _isro(_view: View) -> str:
    return "rw"


def _srvr(view: View) -> str:
    return f"Zookeeper version: {VERSION}\n{_figures(view)}"


def _stat(view: View) -> str:
    clients = "".join(f"{connection}\n" for connection in view.connections)
    return f"Zookeeper version: {VERSION}\nClients:\n{clients}\n{_figures(view)}"


def _cons(view: View) -> str:
    return "".join(f"{connection}\n" for connection in view.connections) + "\n"


def _figures(view: View) -> str:
    traffic = view.traffic
    latencies = (
        f"{traffic.min_latency_ms}/{_decimal(traffic.average_latency_ms)}/{traffic.max_latency_ms}"
    )
    return (
        f"Latency min/avg/max: {latencies}\n"
        f"Received: {traffic.received}\n"
        f"Sent: {traffic.sent}\n"
        f"Connections: {len(view.connections)}\n"
        f"Outstanding: {traffic.outstanding}\n"
        f"Zxid: {view.machine.zxid:#x}\n"
        f"Mode: standalone\n"
        f"Node count: {len(view.machine.tree)}\n"
    )


def _mntr(view: View) -> str:
    machine, traffic = view.machine, view.traffic
    figures = {
        "version": VERSION,
        "server_state": "standalone",
        "ephemerals_count": sum(map(len, machine.tree.ephemerals.values())),
        "num_alive_connections": len(view.connections),
        "avg_latency": _decimal(traffic.average_latency_ms),
        "min_latency": traffic.min_latency_ms,
        "max_latency": traffic.max_latency_ms,
        "outstanding_requests": traffic.outstanding,
        "packets_received": traffic.received,
        "packets_sent": traffic.sent,
        "connection_rejected": traffic.rejected_connections,
        "auth_failed_count": machine.auth_failures,
        "znode_count": len(machine.tree),
        "watch_count": len(machine.watches),
        "approximate_data_size": machine.tree.data_size,
        "global_sessions": machine.session_count,
        "open_file_descriptor_count": _open_descriptors(),
        "max_file_descriptor_count": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "uptime": view.uptime_ms,
    }
    return "".join(f"zk_{name}\t{value}\n" for name, value in figures.items())


def _conf(view: View) -> str:
    config = view.config
    settings = {
        "clientPort": view.port,
        "secureClientPort": -1,
        "dataDir": config.data_dir.absolute(),
        "tickTime": config.tick_ms,
        "maxClientCnxns": config.max_connections_per_address,
        "minSessionTimeout": config.least_session_timeout_ms,
        "maxSessionTimeout": config.largest_session_timeout_ms,
        "serverId": 0,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _envi(_view: View) -> str:
    settings = {
        "zookeeper.version": VERSION,
        "host.name": socket.gethostname(),
        "python.version": platform.python_version(),
        "os.name": platform.system(),
        "os.arch": platform.machine(),
        "os.version": platform.release(),
        "user.dir": Path.cwd(),
    }
    return "Environment:\n" + "".join(f"{name}={value}\n" for name, value in settings.items())


def _decimal(value: float) -> str:
    """At most four decimals, at least one: `0.0`, `9.7083`."""
    text = f"{value:.4f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _open_descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count needs no Path objects
    except OSError:
        return -1


_WORDS: dict[str, Callable[[View], str]] = {
    "ruok": _ruok,
    "isro": _isro,
    "srvr": _srvr,
    "stat": _stat,
    "cons": _cons,
    "mntr": _mntr,
    "conf": _conf,
    "envi": _envi,
}
