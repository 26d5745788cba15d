"""A broker's own znodes: its registration, its id, the cluster's id."""

import asyncio
import base64
import logging
import uuid
from datetime import UTC, datetime
from typing import Final

from kafkalite.coordination import codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    BrokerIdInUseError,
    ConnectionLostError,
    MalformedZnodeError,
    NodeExistsError,
)
from kafkalite.coordination.operations import Znode
from kafkalite.model.cluster import Broker

_log = logging.getLogger(__name__)

_RESERVED_IDS: Final = 1_000
"""Ids up to here are given by people; generated ones start above."""


class BrokerRegistration:
    """Makes one broker known. On the event loop; keeps nothing."""

    def __init__(self, bridge: KazooBridge, session_timeout_ms: int) -> None:
        self._bridge = bridge
        self._session_timeout_s = session_timeout_ms / 1000

    async def register(self, broker: Broker) -> int:
        """Create the ephemeral znode of the broker; gives the broker epoch.

        One of the same id that a dead broker has left goes with that broker's session; it is waited
        for, no longer than such a session lives.

        Raises:
            BrokerIdInUseError: the other one is alive; says who it is and since when.
            CoordinationError: no connection.
        """
        path = paths.broker(broker.id)
        deadline = asyncio.get_running_loop().time() + self._session_timeout_s * 1.5
        while True:
            changed = asyncio.Event()
            found = await self._bridge.get(path, changed.set)
            if found is None:
                try:
                    await self._bridge.create(path, codec.encode_broker(broker), ephemeral=True)
                except (NodeExistsError, ConnectionLostError) as error:
                    _log.debug("Registering: %s", error)
                continue
            session = self._bridge.session
            if session is not None and found.owner == session.session_id:
                return found.created
            _log.warning("%s; waiting in case that it is dead", _who_holds(path, found, broker.id))
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                raise BrokerIdInUseError(
                    f"{_who_holds(path, found, broker.id)}, and it is alive. Give this broker "
                    "another broker.id, or stop that one."
                ) from None

    async def cluster_id(self) -> str:
        """The cluster's id, made when there is none yet."""
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        while True:
            found = await self._bridge.get(paths.CLUSTER_ID)
            if found is not None:
                return codec.decode_cluster_id(paths.CLUSTER_ID, found.data)
            try:
                await self._bridge.create(paths.CLUSTER_ID, codec.encode_cluster_id(made))
            except (NodeExistsError, ConnectionLostError) as error:
                _log.debug("Making the cluster id: %s", error)

    async def generate_broker_id(self) -> int:
        """An id that was never given: the version of a znode that is written for that, + 1000."""
        while True:
            try:
                return _RESERVED_IDS + await self._bridge.set(paths.BROKER_ID_SEQUENCE, b"")
            except ConnectionLostError as error:
                _log.debug("Generating a broker id: %s", error)  # that one is skipped
                await self._bridge.sync()


def _who_holds(path: str, znode: Znode, broker_id: int) -> str:
    try:
        holder = codec.decode_broker(path, znode.data, broker_id, znode.created)
    except MalformedZnodeError:
        return f"Broker id {broker_id} is taken (session 0x{znode.owner & (2**64 - 1):x})"
    since = datetime.fromtimestamp(holder.timestamp_ms / 1000, UTC).isoformat(" ", "seconds")
    return f"Broker id {broker_id} is taken by {holder.url}, registered {since}"
