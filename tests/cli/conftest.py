"""One broker with the embedded ZooKeeper for all tests of commands, and topics of their own."""

import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.cli.console import Console
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

_numbers = itertools.count(1)

MakeTopic = Callable[..., str]


@pytest.fixture(scope="session")
def cli_zookeeper(embedded_zookeeper: EmbeddedZooKeeper) -> str:
    """What `--zookeeper` takes: a chroot of these tests' own."""
    return f"{embedded_zookeeper.hosts}/cli"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, cli_zookeeper: str) -> Iterator[BrokerProcess]:
    """A broker that the tests share; one that is killed or restarted is a test's own."""
    with BrokerProcess(tmp_path_factory.mktemp("cli-broker"), cli_zookeeper) as running:
        yield running


@pytest.fixture
def make_topic(broker: BrokerProcess) -> MakeTopic:
    """Creates a topic: `make_topic(partitions=2, config={...})` gives its name."""

    def make(partitions: int = 1, config: dict[str, str] | None = None) -> str:
        name = f"cli-{next(_numbers)}"
        body = {"name": name, "partitions": partitions, "config": config or {}}
        httpx.post(f"{broker.url}/v1/topics", json=body, trust_env=False).raise_for_status()
        return name

    return make


@pytest.fixture
def bootstrap(broker: BrokerProcess) -> tuple[str, str]:
    """Arguments that lead to the broker."""
    return "--bootstrap-server", broker.address


@pytest.fixture
def console(bootstrap: tuple[str, str]) -> Console:
    """The console tools, with the shared broker."""
    return Console(bootstrap)
