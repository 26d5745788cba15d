"""A cluster of brokers for tests, each a process of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.broker import BrokerProcess
from tests.support.waiting import wait_until


class Cluster:
    """Some brokers of one cluster; the owner is the test or fixture that made it.

    A broker that a test killed stays in `brokers`, to be started again.
    """

    def __init__(
        self,
        directory: Path,
        zookeeper_connect: str,
        *,
        size: int = 3,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Describe brokers 0 to `size` - 1 that keep all they write below `directory`."""
        self.brokers: Sequence[BrokerProcess] = [
            BrokerProcess(
                directory / f"broker-{number}",
                zookeeper_connect,
                broker_id=number,
                settings=settings,
            )
            for number in range(size)
        ]

    @classmethod
    def of(cls, brokers: Sequence[BrokerProcess]) -> Self:
        """Brokers 0 to n - 1 that were described already."""
        cluster = cls.__new__(cls)
        cluster.brokers = brokers
        return cluster

    @property
    def bootstrap(self) -> str:
        """What `--bootstrap-server` takes: all of them."""
        return ",".join(broker.address for broker in self.brokers)

    def __iter__(self) -> Iterator[BrokerProcess]:
        return iter(self.brokers)

    def __getitem__(self, broker_id: int) -> BrokerProcess:
        return self.brokers[broker_id]

    # -- what it says of itself -----------------------------------------------------------------

    @property
    def alive(self) -> list[BrokerProcess]:
        """Those whose process runs and answers."""
        return [broker for broker in self.brokers if broker.is_ready()]

    @property
    def controller(self) -> int:
        """Id of the controller as a broker that is alive sees it; -1 while there is none."""
        found: int = httpx.get(f"{self.alive[0].url}/v1/cluster").json()["controller"]
        return found

    def partitions(self, topic: str, *, asked: BrokerProcess | None = None) -> list[dict[str, Any]]:
        """What a broker knows of a topic's partitions: leader, replicas, isr."""
        one = asked or self.alive[0]
        described: list[dict[str, Any]] = httpx.get(f"{one.url}/v1/topics/{topic}").json()[
            "partitions"
        ]
        return described

    def leader_of(self, topic: str, partition: int = 0) -> int:
        """Id of a partition's leader; -1 while there is none."""
        leader: int = self.partitions(topic)[partition]["leader"]
        return leader

    # -- waiting --------------------------------------------------------------------------------

    def wait_until_in_sync(self, topic: str, timeout_s: float = 60.0) -> None:
        """Return when every replica of every partition is in its ISR, and each has a leader."""

        def in_sync() -> bool:
            return all(
                each["leader"] >= 0 and sorted(each["isr"]) == sorted(each["replicas"])
                for each in self.partitions(topic)
            )

        wait_until(in_sync, f"all replicas of {topic} are in sync", timeout_s)

    def wait_for(
        self, topic: str, holds: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = 30
    ) -> None:
        """Return when `holds` is true of every partition of the topic, as all that live see it."""

        def all_hold() -> bool:
            return all(
                holds(each)
                for broker in self.alive
                for each in self.partitions(topic, asked=broker)
            )

        wait_until(all_hold, what, timeout_s)

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all of them at once and wait until each is ready."""
        with ThreadPoolExecutor(len(self.brokers)) as together:
            list(together.map(BrokerProcess.start, self.brokers))

    def stop(self) -> None:
        """End those that run, one after the other."""
        for broker in self.brokers:
            broker.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
