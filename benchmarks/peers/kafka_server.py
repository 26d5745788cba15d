"""Kafka's brokers and the ZooKeeper that comes with them, as processes of their own."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.cores import Cores, on_core
from tests.support.process import ServerProcess
from tests.support.zookeeper import ZooKeeperProcess, free_port

_LOGGING: Final = (
    "log4j.rootLogger=WARN, stdout\n"
    "log4j.appender.stdout=org.apache.log4j.ConsoleAppender\n"
    "log4j.appender.stdout.layout=org.apache.log4j.PatternLayout\n"
    "log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n\n"
)
_JVM: Final = (
    # Those of kafka-run-class.sh.
    *("-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    *("-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"),
    "-Djava.awt.headless=true",
)
_CONNECT_TIMEOUT_S: Final = 5.0


class KafkaZooKeeper(ZooKeeperProcess):
    """Apache ZooKeeper from the jars that Kafka needs."""

    def __init__(self, jars: Path, directory: Path) -> None:
        super().__init__(directory, tick_ms=2000)
        self._jars = jars

    @property
    def command(self) -> list[str]:
        return [
            *(
                "java",
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-Dzookeeper.admin.enableServer=false",
            ),
            *("-cp", f"{self._jars}/*", "org.apache.zookeeper.server.quorum.QuorumPeerMain"),
            str(self.config_file),
        ]


class KafkaBroker(ServerProcess):
    """One of Kafka's brokers with its settings as they come, and a heap of 1 GiB."""

    def __init__(
        self,
        jars: Path,
        directory: Path,
        zookeeper_connect: str,
        *,
        broker_id: int,
        settings: Mapping[str, str],
    ) -> None:
        """Describe a broker that keeps all it writes below `directory`.

        Args:
            jars: of `fetch_kafka`.
            directory: made when it is missing.
            zookeeper_connect: hosts and chroot.
            broker_id: its id in the cluster.
            settings: further lines of server.properties; they win.
        """
        self.port = free_port()
        self._jars = jars
        lines = {
            "broker.id": str(broker_id),
            "listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(directory / "logs"),
            "zookeeper.connect": zookeeper_connect,
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # What a measurement leaves behind goes before it is written to the disk.
            "log.segment.delete.delay.ms": "100",
            **settings,
        }
        super().__init__(directory, name="server", settings=lines)

    @property
    def address(self) -> str:
        """What `bootstrap.servers` takes."""
        return f"127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        logging = self.directory / "log4j.properties"
        return [
            *("java", "-Xmx1g", "-Xms1g", *_JVM, f"-Dlog4j.configuration=file:{logging}"),
            *("-cp", f"{self._jars}/*", "kafka.Kafka", str(self.config_file)),
        ]

    def write_config(self) -> None:
        super().write_config()
        (self.directory / "log4j.properties").write_text(_LOGGING)

    def is_ready(self) -> bool:
        """Whether it listens; a topic can be made once all brokers are registered, too."""
        try:
            socket.create_connection(("127.0.0.1", self.port), _CONNECT_TIMEOUT_S).close()
        except OSError:
            return False
        return True


class Servers(NamedTuple):
    """Brokers that run, whoever's they are."""

    bootstrap: str
    pids: tuple[int, ...]


@contextlib.contextmanager
def running_kafka(jars: Path, directory: Path, cores: Cores, size: int) -> Iterator[Servers]:
    """A cluster of Kafka's: its brokers on the servers' core, its ZooKeeper beside the load, where
    ours is, too."""
    replicas = str(min(size, 3))
    settings = {
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
    }
    with (
        on_core(cores.load),
        KafkaZooKeeper(jars, directory / "zookeeper") as zookeeper,
        # Ended first: without their ZooKeeper they would wait for it.
        contextlib.ExitStack() as stack,
    ):
        brokers = [
            KafkaBroker(
                jars,
                directory / f"kafka-{number}",
                zookeeper.hosts,
                broker_id=number,
                settings=settings,
            )
            for number in range(size)
        ]
        with on_core(cores.server):
            for broker in brokers:
                stack.enter_context(broker)
        yield Servers(
            ",".join(broker.address for broker in brokers), tuple(each.pid for each in brokers)
        )
