"""Members of a cluster for tests: each has a view, a store and a controller's store."""

import abc
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Self

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import ControllerStore, MetadataStore
from kafkalite.broker.system_clock import SystemClock
from kafkalite.coordination.zookeeper_coordination import ZooKeeperCoordination
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId
from tests.support.fake_metadata import FakeMetadata

DEADLINE_S = 40.0
"""How long a test waits for what has to happen."""


class Member(abc.ABC):
    """One broker's access to the metadata."""

    view: MetadataView
    broker_id: BrokerId
    epoch: int

    @property
    @abc.abstractmethod
    def store(self) -> MetadataStore: ...

    @property
    @abc.abstractmethod
    def controller_store(self) -> ControllerStore: ...

    @abc.abstractmethod
    async def stop(self) -> None:
        """Leave the cluster."""

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until the view is as wanted."""
        assert await self.view.wait_until(predicate, DEADLINE_S), "it did not happen in time"


class FakeMember(Member):
    """A member whose store is in memory."""

    def __init__(self, metadata: FakeMetadata, broker: Broker) -> None:
        self._metadata = metadata
        self._store = metadata.member()
        self.view = self._store.view
        self.broker_id = broker.id
        self.epoch = metadata.register(broker)

    @property
    def store(self) -> MetadataStore:
        return self._store

    @property
    def controller_store(self) -> ControllerStore:
        return self._store

    async def stop(self) -> None:
        self._metadata.unregister(self.broker_id)


class ZooKeeperMember(Member):
    """A member of a cluster in ZooKeeper, which notes what it is told of its session."""

    def __init__(
        self,
        connect: str,
        directory: Path,
        broker: Broker,
        *,
        session_timeout_ms: int = 6_000,
        connection_timeout_ms: int = 10_000,
    ) -> None:
        self.view = MetadataView()
        self.broker_id = broker.id
        self.epoch = -1
        self.told: list[str] = []
        self._news = asyncio.Event()
        self._broker = broker
        directory.mkdir(parents=True, exist_ok=True)
        self.session_file = directory / f"session-{broker.id}"
        self.coordination = ZooKeeperCoordination(
            connect,
            session_timeout_ms=session_timeout_ms,
            connection_timeout_ms=connection_timeout_ms,
            session_file=self.session_file,
            view=self.view,
            clock=SystemClock(),
            on_suspended=lambda: self._note("suspended"),
            on_lost=lambda: self._note("lost"),
            on_connected=lambda: self._note("connected"),
        )

    def _note(self, what: str) -> None:
        self.told.append(what)
        self._news.set()

    async def until_told(self, *expected: str) -> None:
        """Wait until what was told ends with `expected`."""
        async with asyncio.timeout(DEADLINE_S):
            while tuple(self.told[-len(expected) :]) != expected:
                self._news.clear()
                await self._news.wait()

    async def start(self) -> Self:
        await self.coordination.start()
        await self.coordination.load_view()
        self.epoch = await self.coordination.register(self._broker)
        return self

    @property
    def store(self) -> MetadataStore:
        return self.coordination.store

    @property
    def controller_store(self) -> ControllerStore:
        return self.coordination.controller_store

    async def stop(self) -> None:
        await self.coordination.stop()


class Members(abc.ABC):
    """Makes members of one cluster; an async context manager that stops those that still run."""

    def __init__(self) -> None:
        self._running: list[Member] = []

    @abc.abstractmethod
    async def _make(self, broker: Broker) -> Member: ...

    async def join(self, broker_id: int) -> Member:
        broker = Broker(
            BrokerId(broker_id), "127.0.0.1", 9092 + broker_id, timestamp_ms=1_795_524_775_749
        )
        member = await self._make(broker)
        self._running.append(member)
        return member

    async def leave(self, member: Member) -> None:
        self._running.remove(member)
        await member.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._running:
            await self.leave(self._running[-1])


class FakeMembers(Members):
    """A cluster in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._metadata = FakeMetadata()

    async def _make(self, broker: Broker) -> Member:
        return FakeMember(self._metadata, broker)


class ZooKeeperMembers(Members):
    """A cluster in ZooKeeper."""

    def __init__(self, connect: str, directory: Path) -> None:
        super().__init__()
        self._connect = connect
        self._directory = directory

    async def _make(self, broker: Broker) -> Member:
        return await ZooKeeperMember(self._connect, self._directory, broker).start()
