"""The first reading of the cluster, while sessions come and go."""

import asyncio
from collections.abc import Callable, Sequence

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.cluster_reader import ClusterReader
from kafkalite.coordination.operations import Znode


class _EmptyZooKeeper(KazooBridge):
    """Holds nothing; its session is lost, and another begun, during the first reading."""

    def __init__(self) -> None:
        self.syncs = 0
        self.sessions = 1

    @property
    def generation(self) -> int:
        return self.sessions

    async def sync(self) -> None:
        self.syncs += 1

    async def get(self, path: str, watch: Callable[[], None] | None = None) -> Znode | None:
        if self.syncs == 1:
            self.sessions = 2
        return None

    async def children(self, path: str, watch: Callable[[], None] | None = None) -> list[str]:
        return []

    async def get_many(self, paths: Sequence[str]) -> list[Znode | None]:
        return [None for _ in paths]


def test_first_reading_begins_anew_when_the_session_is_another_by_its_end() -> None:
    zookeeper, view = _EmptyZooKeeper(), MetadataView()

    async def load() -> None:
        await ClusterReader(zookeeper, view, "cluster").load()

    asyncio.run(load())
    assert view.is_loaded
    assert zookeeper.syncs == 2
