"""Fixtures that every part's tests share."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.broker import BrokerProcess
from tests.support.topic import BrokerClient
from tests.support.zookeeper import EmbeddedZooKeeper, RealZooKeeper, ZooKeeperProcess

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its background jobs ignore Ctrl-C, and they their children: tests are about it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def embedded_zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedZooKeeper]:
    """The embedded ZooKeeper in its own process, shared by the session: use a chroot of your own.

    A test that stops or kills its server makes one itself (`EmbeddedZooKeeper(tmp_path)`).
    """
    with EmbeddedZooKeeper(tmp_path_factory.mktemp("embedded-zookeeper")) as server:
        yield server


@pytest.fixture(scope="session")
def real_zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealZooKeeper]:
    """Apache ZooKeeper in its own process, shared by the session: use a chroot of your own.

    Where it is not installed the test is skipped and says why; with CI=true that is a failure.
    """
    reason = RealZooKeeper.why_unavailable()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with RealZooKeeper(tmp_path_factory.mktemp("real-zookeeper")) as server:
        yield server


@pytest.fixture(
    params=["embedded_zookeeper", pytest.param("real_zookeeper", marks=pytest.mark.zookeeper)],
    ids=["embedded", "real"],
)
def zookeeper(request: pytest.FixtureRequest) -> ZooKeeperProcess:
    """Each of the two servers in turn: one suite for both keeps the embedded one honest."""
    server: ZooKeeperProcess = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    """A broker that the session shares: use topics of your own.

    A test that kills or configures its broker makes one itself (`BrokerProcess(tmp_path, ...)`).
    """
    connect = f"{embedded_zookeeper.hosts}/shared-broker"
    with BrokerProcess(tmp_path_factory.mktemp("shared-broker"), connect) as running:
        yield running


@pytest.fixture
def client(broker: BrokerProcess) -> Iterator[BrokerClient]:
    """A connection to the shared broker."""
    with BrokerClient(broker.url) as connected:
        yield connected
