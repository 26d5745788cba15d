"""The kazoo clients that we use: named daemon threads, bounded waits, a quiet log."""

# ruff: noqa: ANN401 - kazoo has no types; this and bridge.py are the edge where that ends

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.retry import KazooRetry

from kafkalite.config.zookeeper_connect import check_zookeeper_connect
from kafkalite.coordination.errors import CoordinationError
from kafkalite.coordination.session_file import SessionKey

_log = logging.getLogger(f"{__name__}.kazoo")
# kazoo reports each try to connect; what matters of it is in our own lines about the session.
_log.setLevel(logging.CRITICAL)

_RECONNECT_DELAY_S: Final = 0.02
_MAX_RECONNECT_DELAY_S: Final = 1.0


class ConnectString(NamedTuple):
    """`zookeeper.connect`, taken apart."""

    hosts: str
    """Comma-separated `host:port`."""
    chroot: str
    """Empty, or a path such as `/kafka`."""

    def __str__(self) -> str:
        return self.hosts + self.chroot


def parse_connect(text: str) -> ConnectString:
    """Take `host:port[,host:port...][/chroot]` apart.

    Raises:
        CoordinationError: it is malformed.
    """
    try:
        hosts, slash, chroot = check_zookeeper_connect(text).partition("/")
    except ValueError as error:
        raise CoordinationError(f"zookeeper.connect={text}: {error}") from None
    return ConnectString(hosts, slash + chroot)


def unreachable(where: ConnectString, timeout_s: float) -> CoordinationError:
    """What to say when nobody answers."""
    return CoordinationError(
        f"Cannot reach ZooKeeper at {where}: no answer within {timeout_s:g} s. "
        "Is it running, and is the address right?"
    )


class _NamedThreads(SequentialThreadingHandler):  # type: ignore[misc]  # kazoo has no types
    """kazoo's handler, whose threads say whose they are."""

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> threading.Thread:
        def run() -> None:
            try:
                func(*args, **kwargs)
            except Exception:  # noqa: BLE001 - it is the last frame of the thread
                # The bridge hears of it as a lost connection; a bare traceback helps nobody.
                _log.exception("kazoo's thread %s ended", func.__name__)

        thread = threading.Thread(target=run, name=f"zookeeper-{func.__name__}", daemon=True)
        thread.start()
        return thread


def make_client(hosts: str, timeout_s: float, session: SessionKey | None = None) -> Any:
    """A client that is not started yet.

    It reconnects for as long as it lives, at most a second apart; whoever waits for it sets the
    bound.

    Args:
        hosts: without a chroot.
        timeout_s: the session timeout to ask for; also bounds each try to connect.
        session: resume this session instead of making one.
    """
    handler = _NamedThreads()
    return KazooClient(
        hosts,
        timeout=timeout_s,
        client_id=None if session is None else tuple(session),
        handler=handler,
        connection_retry=KazooRetry(
            max_tries=-1,
            delay=_RECONNECT_DELAY_S,
            max_delay=_MAX_RECONNECT_DELAY_S,
            sleep_func=handler.sleep_func,
        ),
        command_retry=KazooRetry(max_tries=0, sleep_func=handler.sleep_func),
        logger=_log,
    )


def dispose(client: Any) -> None:
    """Close the session, if the server can be reached, and free threads and sockets. Blocks."""
    client.stop()
    client.close()
