"""The client that commands administer clusters with: it gives up soon, and says why in a sentence.

Somebody waits at a terminal. Where no broker answers at all, the address is wrong or nothing runs,
and that is told at once; once one has answered, brokers that go away are waited for a little.
"""

import argparse
import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final, Self

from kafkalite.cli.broker_address import brokers_of
from kafkalite.cli.failure import NoBrokerError
from kafkalite.client.admin.admin_client import AdminClient
from kafkalite.client.admin.async_admin_client import AsyncAdminClient
from kafkalite.client.admin.patience import Patience
from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.connections import Connections
from kafkalite.client.errors import NotSentError
from kafkalite.client.io_thread import IoThread
from kafkalite.client.problem import refusal
from kafkalite.client.settings import AdminSettings
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    LogError,
    NetworkError,
    RequestTimedOutError,
)
from kafkalite.transport.peer_reply import PeerReply

_CONNECT_TIMEOUT_MS: Final = 5_000
_RETRY_FOR_S: Final = 10.0
"""How long a request is repeated that may go well then."""
_NO_HTTP: Final = (
    "closed the connection without an answer in HTTP; is it a broker's port, and not ZooKeeper's?"
)


class Administration(AdminClient):
    """An AdminClient for one command, which owns it.

    An error that a broker answers is raised as its class of `model.errors`; when no broker can be
    reached NoBrokerError says which were tried. Requests that only read, or do the same twice, go
    to the next broker when one fails on the way; others only when it is certain that the first one
    did not get them.
    """

    def __init__(self, urls: Sequence[str], *, retry_for_s: float = _RETRY_FOR_S) -> None:
        """Have an I/O thread run, with asyncio's own loop: loading another one would not pay.

        Args:
            urls: of brokers; any of them that is alive is enough.
            retry_for_s: how long a request is repeated that a broker cannot serve at the moment; 0
                for commands that have their own idea of it.
        """
        self._begin(_Core(urls, retry_for_s), IoThread(asyncio.new_event_loop))

    @classmethod
    def of(cls, args: argparse.Namespace, *, retry_for_s: float = _RETRY_FOR_S) -> Self:
        """For the cluster that `--bootstrap-server` or `--zookeeper` names.

        Raises:
            CommandError: an address is malformed, or ZooKeeper knows no broker.
        """
        return cls(brokers_of(args), retry_for_s=retry_for_s)


class _Core(AsyncAdminClient):
    """What an Administration does, on the I/O thread."""

    def __init__(self, urls: Sequence[str], retry_for_s: float) -> None:
        settings = AdminSettings.of(
            {
                "bootstrap.servers": tuple(urls),
                "socket.connection.setup.timeout.ms": _CONNECT_TIMEOUT_MS,
            }
        )
        connections = _SpeakingConnections(settings)
        patience = _ShortPatience(settings.retries, retry_for_s, connections)
        self._assemble(settings, connections, patience)


class _SpeakingConnections(Connections):
    """Says in words for people why a broker does not answer."""

    def __init__(self, settings: AdminSettings) -> None:
        super().__init__(settings)
        self.has_heard = False
        """Whether any broker has answered yet."""

    async def request(
        self,
        address: BrokerAddress,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        try:
            reply = await super().request(address, method, target, headers, body, timeout_s)
        except NotSentError as error:
            raise NotSentError(f"{address.netloc} ({_reason(error)})") from None
        except RequestTimedOutError:
            raise RequestTimedOutError(_failed(method, address, "no answer in time")) from None
        except NetworkError as error:
            why = str(error.__cause__) if self.has_heard else _NO_HTTP
            raise NetworkError(_failed(method, address, why)) from None
        self.has_heard = True
        if method == "GET" and reply.status == BrokerNotAvailableError.status:
            # The next broker is asked; if none is left, this one's own words are told.
            refused = refusal(reply, address)
            if isinstance(refused, BrokerNotAvailableError):
                raise refused
        return reply


class _ShortPatience(Patience):
    """Waits for brokers only where there are some."""

    def __init__(self, retries: int, retry_for_s: float, connections: _SpeakingConnections) -> None:
        super().__init__(retries, int(retry_for_s * 1000))
        self._connections = connections

    def may_repeat(self, error: LogError, *, is_idempotent: bool) -> bool:
        if isinstance(error, NotSentError):
            if not self._connections.has_heard:
                raise NoBrokerError(f"{error.detail}.") from None
            return True
        if isinstance(error, NetworkError):
            return False
        return super().may_repeat(error, is_idempotent=is_idempotent)


def _failed(method: str, address: BrokerAddress, why: str) -> str:
    """As a sentence of its own, or, of what others are asked then, as a part of one."""
    if method == "GET":
        return f"{address.netloc} ({why})"
    return f"The request to {address.netloc} failed: {why}"


def _reason(error: NotSentError) -> str:
    """Why a connection failed, without numbers of the operating system."""
    cause = error.__cause__
    origin = None if cause is None else cause.__cause__
    if isinstance(origin, TimeoutError):
        return "timed out"
    if isinstance(origin, OSError) and origin.errno is not None:
        is_of_names = isinstance(origin, socket.gaierror)
        return str(origin.strerror) if is_of_names else os.strerror(origin.errno)
    return error.detail
