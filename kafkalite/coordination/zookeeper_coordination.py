"""Membership of one broker in the cluster: the whole of ZooKeeper behind one object."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kafkalite.broker.groups.ports import GroupStore
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import ControllerStore, MetadataStore, StoreError
from kafkalite.coordination import paths
from kafkalite.coordination.bridge import REQUEST_TIMEOUT_S, KazooBridge
from kafkalite.coordination.client import parse_connect
from kafkalite.coordination.cluster_reader import ClusterReader
from kafkalite.coordination.codec import NO_MEMBERS, Members
from kafkalite.coordination.controller_store import ZooKeeperControllerStore
from kafkalite.coordination.errors import CoordinationError
from kafkalite.coordination.group_store import ZooKeeperGroupStore
from kafkalite.coordination.registration import BrokerRegistration
from kafkalite.coordination.session import Action, Link, SessionMonitor
from kafkalite.coordination.session_file import (
    SessionKey,
    read_session_file,
    remove_session_file,
    write_session_file,
)
from kafkalite.coordination.state_writes import StateWrites
from kafkalite.coordination.store import ZooKeeperStore
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S: Final = 5.0
_REJOIN_AFTER_S: Final = 1.0


class ZooKeeperCoordination:
    """A broker's session with ZooKeeper, and what hangs on it.

    Owned by server.py; lives on the event loop. Life: `start`, `load_view`, `register`, `stop`. The
    log directories have to be locked before `start`, because the session file there says whose
    session to take over and close.

    After a lost session it comes back by itself: registers again, has everything read again (the
    view then tells its subscribers that everything changed), and calls `on_connected`.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each
        self,
        connect: str,
        *,
        session_timeout_ms: int,
        connection_timeout_ms: int,
        session_file: Path,
        view: MetadataView,
        clock: Clock,
        on_suspended: Callable[[], None],
        on_lost: Callable[[], None],
        on_connected: Callable[[], None],
    ) -> None:
        """Build, without connecting.

        Args:
            connect: `zookeeper.connect`: several hosts and a chroot.
            session_timeout_ms: `zookeeper.session.timeout.ms`.
            connection_timeout_ms: how long `start` waits for ZooKeeper.
            session_file: where the session is kept for the broker's next life.
            view: what to keep up to date.
            clock: the machine's.
            on_suspended: the connection broke: stop controller work and ISR changes, at once.
            on_lost: the session is gone, or has to be taken for gone: stop leading.
            on_connected: the session is back, registered, and the view is up to date.

        Raises:
            CoordinationError: `connect` is malformed.
        """
        self._connect = parse_connect(connect)
        self._session_timeout_ms = session_timeout_ms
        self._connection_timeout_s = connection_timeout_ms / 1000
        self._session_file = session_file
        self._view = view
        self._clock = clock
        self._on_suspended = on_suspended
        self._on_lost = on_lost
        self._on_connected = on_connected
        self._bridge = KazooBridge(self._connect, session_timeout_ms, self._hear)
        self._registration = BrokerRegistration(self._bridge, session_timeout_ms)
        states = StateWrites(self._bridge, self._unknown_members)
        self._store = ZooKeeperStore(self._bridge, states, self._catch_up)
        self._controller_store = ZooKeeperControllerStore(
            self._bridge,
            clock,
            catch_up=self._catch_up,
            states=states,
            notice_counts=self._notice_counts,
        )
        self._group_store = ZooKeeperGroupStore(self._bridge, clock)
        self._monitor = SessionMonitor(session_timeout_ms)
        self._broker: Broker | None = None
        self._epoch: int | None = None
        self._reader: ClusterReader | None = None
        self._loss_timer: asyncio.TimerHandle | None = None
        self._rejoining: asyncio.Task[None] | None = None
        self._is_up = False

    @property
    def is_connected(self) -> bool:
        """Whether the session is there, and all that hangs on it."""
        return self._is_up and self._monitor.link is Link.CONNECTED and self._rejoining is None

    @property
    def epoch(self) -> int | None:
        """See Membership."""
        return self._epoch

    @property
    def store(self) -> MetadataStore:
        return self._store

    @property
    def controller_store(self) -> ControllerStore:
        return self._controller_store

    @property
    def group_store(self) -> GroupStore:
        return self._group_store

    async def start(self) -> None:
        """End the session of this broker's previous life, connect, and make the base znodes.

        Raises:
            CoordinationError: ZooKeeper cannot be reached.
            OSError: the session file cannot be written.
        """
        before = read_session_file(self._session_file)
        if before is not None:
            await self._end_session(before)
        await self._bridge.connect(self._connection_timeout_s)
        session = self._bridge.session
        if session is None:
            raise CoordinationError(f"The connection to ZooKeeper at {self._connect} broke at once")
        self._monitor.begin(session.session_id)
        self._is_up = True
        # Kept before anything ephemeral is made: whatever blocks the next life can be ended by it.
        write_session_file(self._session_file, session)
        await self._make_base_paths()
        self._group_store.start()
        _log.info("Connected to ZooKeeper at %s, %r", self._connect, session)

    async def cluster_id(self) -> str:
        """The cluster's id, made by the first broker there ever was."""
        return await self._registration.cluster_id()

    async def generate_broker_id(self) -> int:
        """A broker id that was never given, from 1001 on."""
        return await self._registration.generate_broker_id()

    async def load_view(self) -> None:
        """Read the whole cluster into the view, and keep it up to date from now on.

        Raises:
            CoordinationError: it cannot be read; a malformed topic is named.
        """
        reader = ClusterReader(self._bridge, self._view, await self.cluster_id())
        await reader.load()
        reader.start()
        self._reader = reader

    async def register(self, broker: Broker) -> int:
        """Make the broker known, now and after every lost session; gives the broker epoch.

        The view shows it by then, where it was loaded.

        Raises:
            BrokerIdInUseError: another live broker has the id.
            CoordinationError: no connection.
        """
        epoch = await self._registration.register(broker)
        self._epoch = epoch
        self._broker = broker
        if self._reader is not None:
            # Whoever asks this broker next must not be told that it does not live.
            await self._view.wait_until(
                lambda: (
                    broker.id in self._view.brokers and self._view.brokers[broker.id].epoch == epoch
                ),
                REQUEST_TIMEOUT_S,
            )
        _log.info("Registered broker %d at %s, epoch %d", broker.id, broker.url, epoch)
        return epoch

    async def stop(self) -> None:
        """Close the session, so that the others know at once, and end all tasks."""
        self._is_up = False
        if self._loss_timer is not None:
            self._loss_timer.cancel()
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.wait((self._rejoining,))
        if self._reader is not None:
            await self._reader.stop()
        await self._group_store.stop()
        if await self._bridge.close(_CLOSE_TIMEOUT_S):
            remove_session_file(self._session_file)

    async def _end_session(self, session: SessionKey) -> None:
        bridge = KazooBridge(
            self._connect, self._session_timeout_ms, lambda _link, _session: None, resume=session
        )
        await bridge.connect(self._connection_timeout_s)
        if bridge.session is not None and bridge.session.session_id == session.session_id:
            _log.info("Ending the session that this broker left behind, %r", session)
        await bridge.close(_CLOSE_TIMEOUT_S)

    async def _catch_up(self) -> None:
        if self._reader is None:
            raise CoordinationError("The cluster's metadata were not read yet")
        await self._reader.catch_up()

    def _unknown_members(self, partition: TopicPartition) -> Members:
        return NO_MEMBERS if self._reader is None else self._reader.unknown_members(partition)

    def _notice_counts(self) -> tuple[int, int]:
        return (0, 0) if self._reader is None else self._reader.notice_counts

    async def _make_base_paths(self) -> None:
        for path in paths.PERSISTENT:
            await self._bridge.ensure(path)

    # -- the session ----------------------------------------------------------------------------

    def _hear(self, link: Link, session: SessionKey | None) -> None:
        if not self._is_up:
            return
        session_id = None if session is None else session.session_id
        self._act(self._monitor.heard(link, session_id, self._clock.monotonic_ms()))
        self._arm_loss_timer()

    def _arm_loss_timer(self) -> None:
        if self._loss_timer is not None:
            self._loss_timer.cancel()
            self._loss_timer = None
        lost_at_ms = self._monitor.lost_at_ms
        if lost_at_ms is not None:
            delay_s = max(0, lost_at_ms - self._clock.monotonic_ms()) / 1000
            self._loss_timer = asyncio.get_running_loop().call_later(delay_s, self._count_loss)

    def _count_loss(self) -> None:
        self._act(self._monitor.tick(self._clock.monotonic_ms()))
        self._arm_loss_timer()

    def _act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Action.STOP_WORK:
                    _log.warning("The connection to ZooKeeper at %s broke", self._connect)
                    self._on_suspended()
                case Action.DROP_LEADERSHIP:
                    _log.error("The session with ZooKeeper is lost: this broker stops leading")
                    self._epoch = None
                    self._group_store.session_lost()
                    self._on_lost()
                case Action.RESUME:
                    _log.info("The connection to ZooKeeper is back, with the same session")
                    self._resume()
                case Action.REJOIN:
                    self._resume(rejoin=True)

    def _resume(self, *, rejoin: bool = False) -> None:
        if self._reader is not None:
            self._reader.mark_watched()
        if self._rejoining is not None:
            return  # it looks at what holds when it goes on
        if rejoin:
            self._rejoining = asyncio.create_task(self._rejoin(), name="zookeeper-rejoin")
        else:
            self._on_connected()

    async def _rejoin(self) -> None:
        """Become a member again after a lost session, however long it takes."""
        while True:
            try:
                session = self._bridge.session
                if session is not None:
                    await self._rejoin_with(session)
                    # A loss that was counted meanwhile took the epoch, even if the session lived.
                    is_member = self._broker is None or self._epoch is not None
                    if is_member and self._bridge.session == session:
                        break
            except (StoreError, OSError) as error:
                _log.error("Coming back after a lost session: %s", error)
            await asyncio.sleep(_REJOIN_AFTER_S)
        self._rejoining = None
        self._on_connected()

    async def _rejoin_with(self, session: SessionKey) -> None:
        await asyncio.to_thread(write_session_file, self._session_file, session)
        if self._reader is not None:
            await self._reader.catch_up()  # also makes sure that it is the same cluster
        if self._broker is not None:
            await self.register(self._broker)
        if self._reader is not None:
            await self._reader.reload(everything_changed=True)
