"""A broker with a ZooKeeper that nobody else uses, as one that is tried out by itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper


@contextmanager
def standalone_broker(
    directory: Path, settings: Mapping[str, str] | None = None
) -> Iterator[BrokerProcess]:
    """Run one that keeps all it writes below `directory`."""
    with (
        EmbeddedZooKeeper(directory / "zookeeper") as zookeeper,
        BrokerProcess(directory / "broker", zookeeper.hosts, settings=settings) as running,
    ):
        yield running
