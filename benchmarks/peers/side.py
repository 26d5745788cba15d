"""One of those that are compared: servers, who makes their topics, and what is measured on them."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import NamedTuple, Protocol

from benchmarks.connection import WrongAnswerError
from benchmarks.cores import Cores
from benchmarks.peers.kafka_server import Servers
from benchmarks.peers.task import Outcome, Task
from benchmarks.peers.worker import Worker
from benchmarks.topics import create_topic, delete_topic, expect_records
from benchmarks.usage import core_seconds, cpu_seconds

_numbers = itertools.count(1)


class Topics(Protocol):
    """Makes and removes topics of one partition."""

    def create(self, name: str, replicas: int) -> None:
        """Make one; all replicas are in sync on return."""

    def delete(self, name: str) -> None:
        """Remove it and what it holds."""

    def expect(self, name: str, count: int) -> None:
        """Check that it holds exactly `count` records; raises WrongAnswerError."""


class OurTopics:
    """Those of a broker of ours."""

    def __init__(self, port: int) -> None:
        self._port = port

    def create(self, name: str, replicas: int) -> None:
        create_topic(self._port, name, 1, replicas)

    def delete(self, name: str) -> None:
        delete_topic(self._port, name)

    def expect(self, name: str, count: int) -> None:
        expect_records(self._port, name, count)


class KafkaTopics:
    """Those of Kafka's, by way of its client's process."""

    def __init__(self, worker: Worker, bootstrap: str) -> None:
        self._worker = worker
        self._bootstrap = bootstrap

    def create(self, name: str, replicas: int) -> None:
        self._worker.ask(Task("create", self._bootstrap, name, replicas=replicas))

    def delete(self, name: str) -> None:
        self._worker.ask(Task("delete", self._bootstrap, name))

    def expect(self, name: str, count: int) -> None:
        found = self._worker.ask(Task("end", self._bootstrap, name)).end_offset
        if found != count:
            raise WrongAnswerError(f"{name} holds {found} records, not {count}")


class Measured(NamedTuple):
    """One task done, and what it cost."""

    outcome: Outcome
    server_cpu_seconds: float
    others_share: float
    """What anybody but the client and these servers took of both cores: how far not to trust it."""

    @property
    def rate(self) -> float:
        """Records by the second."""
        return self.outcome.records / self.outcome.seconds

    @property
    def megabytes(self) -> float:
        """MB of values by the second."""
        return self.outcome.size / 1e6 / self.outcome.seconds

    @property
    def p50_ms(self) -> float:
        return median(self.outcome.latencies_ms)

    @property
    def p99_ms(self) -> float:
        return quantiles(self.outcome.latencies_ms, n=100)[98]

    @property
    def client_share(self) -> float:
        """Of a core, while it was measured."""
        return self.outcome.cpu_seconds / self.outcome.seconds

    @property
    def server_share(self) -> float:
        """Of a core; what the client's connecting cost is in it, too."""
        return min(self.server_cpu_seconds / self.outcome.seconds, 1.0)


class Side(NamedTuple):
    """Servers under test with the means to test them."""

    servers: Servers
    topics: Topics
    replicas: int
    cores: Cores

    def measure(self, worker: Worker, action: str, count: int, values: str = "100",
                acks: str = "1", compression: str = "none") -> Measured:  # fmt: skip
        """Have records sent to a topic of its own, which goes again, and see that they are there.

        Raises:
            WrongAnswerError: they are not.
        """
        with self.topic() as topic:
            task = Task(action, self.servers.bootstrap, topic, count, values, acks, compression)
            measured = self.carry_out(worker, task)
            self.topics.expect(topic, measured.outcome.records)
        return measured

    @contextmanager
    def topic(self) -> Iterator[str]:
        """A topic for as long as the context is open."""
        name = f"peers-{next(_numbers)}"
        self.topics.create(name, self.replicas)
        yield name
        self.topics.delete(name)

    def carry_out(self, worker: Worker, task: Task) -> Measured:
        """Have any task done; raises WrongAnswerError."""
        before = self._usage(worker)
        outcome = worker.ask(task)
        after = self._usage(worker)
        server, client, cores, elapsed = (
            end - start for start, end in zip(before, after, strict=True)
        )
        others = max(cores - server - client, 0.0) / (elapsed * len(set(self.cores)))
        return Measured(outcome, server, others)

    def _usage(self, worker: Worker) -> tuple[float, float, float, float]:
        """Processor time of servers, client and both cores up to now, and the time."""
        return (
            sum(map(cpu_seconds, self.servers.pids)),
            cpu_seconds(worker.pid),
            sum(map(core_seconds, set(self.cores))),
            time.perf_counter(),
        )

    def warm(self, worker: Worker, seconds: float, acks: str) -> None:
        """Send records of both sizes for a while: a JVM compiles what it finds itself doing."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.measure(worker, "produce", 500_000, "100", acks)
            self.measure(worker, "produce", 100_000, "1000", acks)
