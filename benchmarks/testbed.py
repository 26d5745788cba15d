"""Where a benchmark runs: a directory on a disk, a ZooKeeper, a core for the servers and one for
the load."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.connection import Connection, make_request
from benchmarks.cores import Cores, on_core
from benchmarks.effort import Effort
from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster
from tests.support.zookeeper import EmbeddedZooKeeper, ZooKeeperProcess

Process = subprocess.Popen[str]

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.002
_ROOT: Final = Path(__file__).parent.parent
READY: Final = make_request("GET", "/readyz")


class Testbed:
    """What every case is given. The load runs on the core of whoever calls."""

    def __init__(
        self, directory: Path, zookeeper: EmbeddedZooKeeper, cores: Cores, effort: Effort
    ) -> None:
        self.cores = cores
        self.effort = effort
        self.directory = directory
        self._zookeeper = zookeeper
        self._brokers = 0

    def make_broker(
        self,
        settings: Mapping[str, str] | None = None,
        zookeeper: ZooKeeperProcess | None = None,
    ) -> BrokerProcess:
        """A broker that is not started yet; it is alone in its cluster.

        It keeps what it knows in the embedded ZooKeeper, unless another one is given.
        """
        self._brokers += 1
        name = f"broker-{self._brokers}"
        hosts = (zookeeper or self._zookeeper).hosts
        return BrokerProcess(self.directory / name, f"{hosts}/{name}", settings=settings)

    def launch(self, broker: BrokerProcess) -> subprocess.Popen[bytes]:
        """Start a broker's process on the servers' core, and wait for nothing."""
        with on_core(self.cores.server):
            return broker.launch()

    def start(self, broker: BrokerProcess) -> None:
        """Start a broker on the servers' core, and wait until it is ready."""
        process = self.launch(broker)
        wait_until(broker, process, READY)

    @contextlib.contextmanager
    def running_broker(
        self,
        settings: Mapping[str, str] | None = None,
        zookeeper: ZooKeeperProcess | None = None,
    ) -> Iterator[BrokerProcess]:
        """A broker of `make_broker` that is ready, stopped in the end."""
        broker = self.make_broker(settings, zookeeper)
        try:
            self.start(broker)
            yield broker
        finally:
            broker.stop()

    @contextlib.contextmanager
    def running_cluster(
        self, size: int = 3, settings: Mapping[str, str] | None = None
    ) -> Iterator[Cluster]:
        """Brokers that form a cluster, all on the servers' core, stopped in the end."""
        self._brokers += 1
        name = f"cluster-{self._brokers}"
        connect = f"{self._zookeeper.hosts}/{name}"
        cluster = Cluster(self.directory / name, connect, size=size, settings=settings)
        try:
            with on_core(self.cores.server):
                cluster.start()
            yield cluster
        finally:
            cluster.stop()

    @contextlib.contextmanager
    def running_module(self, core: int, name: str, *arguments: str) -> Iterator[Process]:
        """A module of this package as a process of its own, told to end in the end."""
        with on_core(core):
            process = subprocess.Popen(
                [sys.executable, "-m", name, *arguments],
                stdout=subprocess.PIPE,
                text=True,
                cwd=_ROOT,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_STOP_TIMEOUT_S)


def wait_until(broker: BrokerProcess, process: subprocess.Popen[bytes], request: bytes) -> None:
    """Send `request` to a launched broker until it is answered 200.

    Raises:
        RuntimeError: it was not, in a minute, or the broker ended.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), Connection(broker.port) as connection:
            if connection.exchange(request).status == 200:
                return
        time.sleep(_POLL_S)
    raise RuntimeError(f"The broker does not answer as it should:\n{broker.output[-6000:]}")
