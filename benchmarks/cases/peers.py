"""Apache Kafka with its Python clients, and ours, in the same rounds: one core for the servers, one
for the client, which is a process of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec

from benchmarks.case import Case
from benchmarks.peers.disk_flush import describe_flushes, time_flushes
from benchmarks.peers.kafka_jars import fetch_kafka, why_no_kafka
from benchmarks.peers.kafka_server import Servers, running_kafka
from benchmarks.peers.side import KafkaTopics, Measured, OurTopics, Side
from benchmarks.peers.task import Task
from benchmarks.peers.values import NDJSON
from benchmarks.peers.worker import Worker
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row, quantity
from benchmarks.testbed import Testbed

_NAME: Final = "peers"
_CONFLUENT: Final = "confluent-kafka"
_AIOKAFKA: Final = "aiokafka"
_CLIENTS: Final = ("confluent_kafka", "aiokafka")
_EQUAL: Final = Goal(1.0, at_least=True)
_TWICE: Final = Goal(2.0, at_least=True)
_MUCH: Final = Goal(2.5, at_least=True)
_HALF: Final = Goal(0.5, at_least=False)
_REPLICAS: Final = 3
_QUIET: Final = 0.1
"""The most of both cores that others may take: idle brokers of the other side, this process."""

Measures = Callable[[], Measured]


class _Bench(NamedTuple):
    """Both sides with as many brokers each, and the clients' processes."""

    ours: Side
    kafka: Side
    our_client: Worker
    confluent: Worker
    aiokafka: Worker
    rounds: int
    batches: int
    """Of a thousand 100-byte records, in one measurement; the others follow from it."""
    directory: Path
    """On the disk of both sides."""

    def compare(self, ours: Measures, theirs: Measures, **more: Measures) -> "_Compared":
        """Measure in turns, round by round."""
        taken = take_turns({"ours": ours, "theirs": theirs, **more}, self.rounds)
        return _Compared(taken.pop("ours"), taken.pop("theirs"), taken)

    def with_flushes(self, row: Row) -> Row:
        """`row` with what the disk alone takes, now, for each flush that is in it."""
        flushes = describe_flushes(time_flushes(self.directory, self.batches))
        return row._replace(note=f"{row.note}; {flushes}")


class _Compared(NamedTuple):
    """What was measured of ours, of the peer's, and beside."""

    ours: Sequence[Measured]
    theirs: Sequence[Measured]
    more: Mapping[str, Sequence[Measured]] = {}

    def rates(self, what: str, goal: Goal | None, peer: str = _CONFLUENT) -> Row:
        """Records by the second as a row."""
        return self._row(what, "records/s", lambda one: one.rate, goal, peer)

    def megabytes(self, what: str, goal: Goal) -> Row:
        """Bytes by the second as a row."""
        return self._row(what, "MB/s", lambda one: one.megabytes, goal)

    def latencies(self, what: str) -> Row:
        """The slowest of a hundred as a row."""
        return self._row(what, "ms", lambda one: one.p99_ms, _HALF)

    def _row(
        self,
        what: str,
        unit: str,
        value: Callable[[Measured], float],
        goal: Goal | None,
        peer: str = _CONFLUENT,
    ) -> Row:
        ours, theirs = tuple(map(value, self.ours)), tuple(map(value, self.theirs))
        note = _note(self.ours, self.theirs, f"{quantity(median(theirs))} {unit}")
        return Row(_NAME, what, unit, ours, peer, theirs, goal, note)


def why_no_peers() -> str | None:
    """Why there is nobody to compare with, in a sentence, or None."""
    for module in _CLIENTS:
        if find_spec(module) is None:
            return f"{module} is not installed (pip install 'kafkalite[bench]')"
    return why_no_kafka()


def run(testbed: Testbed) -> list[Row]:
    """Everything on one broker, then what is replicated on three."""
    jars = fetch_kafka()
    with (
        Worker("kafkalite") as ours,
        Worker("confluent") as confluent,
        Worker("aiokafka") as aiokafka,
    ):
        workers = (ours, confluent, aiokafka)
        with _both(testbed, jars, workers, 1) as bench:
            rows = [*_produce(bench), *_consume(bench), *_one_at_a_time(bench)]
            rows += [_end_to_end(bench, "end to end, one record, p99"), *_compress(bench)]
        with _both(testbed, jars, workers, _REPLICAS) as bench:
            rows += _replicate(bench)
    return rows


@contextmanager
def _both(
    testbed: Testbed, jars: Path, workers: tuple[Worker, Worker, Worker], size: int
) -> Iterator[_Bench]:
    """As many brokers of Kafka's and of ours, warm; stopped in the end."""
    our_client, confluent, aiokafka = workers
    effort = testbed.effort
    with (
        running_kafka(jars, testbed.directory / f"kafka-{size}", testbed.cores, size) as servers,
        testbed.running_cluster(size) as cluster,
    ):
        kafka = Side(servers, KafkaTopics(confluent, servers.bootstrap), size, testbed.cores)
        our_servers = Servers(cluster.bootstrap, tuple(broker.pid for broker in cluster))
        ours = Side(our_servers, OurTopics(cluster[0].port), size, testbed.cores)
        acks = "1" if size == 1 else "all"
        kafka.warm(confluent, effort.warm_seconds, acks)
        ours.warm(our_client, effort.warm_seconds / 4, acks)
        yield _Bench(
            ours,
            kafka,
            our_client,
            confluent,
            aiokafka,
            effort.rounds,
            effort.peer_batches // size,
            testbed.directory,
        )


def _produce(bench: _Bench) -> list[Row]:
    small, large = bench.batches * 1_000, bench.batches * 250
    loop = bench.compare(
        partial(bench.ours.measure, bench.our_client, "produce", small),
        partial(bench.kafka.measure, bench.confluent, "produce", small),
        lists=partial(bench.ours.measure, bench.our_client, "produce_lists", small),
        batches=partial(bench.kafka.measure, bench.confluent, "produce_lists", small),
    )
    lists = _Compared(loop.more["lists"], loop.theirs)
    batches = _Compared(loop.more["lists"], loop.more["batches"])
    kilobytes = bench.compare(
        partial(bench.ours.measure, bench.our_client, "produce", large, "1000"),
        partial(bench.kafka.measure, bench.confluent, "produce", large, "1000"),
    )
    return [
        loop.rates("produce loop, 100 B", _EQUAL),
        lists.rates("lists of 1,000, 100 B, against its loop", _TWICE),
        batches.rates("lists of 1,000, 100 B, against its produce_batch", None),
        kilobytes.megabytes("produce loop, 1 KB", _TWICE),
    ]


def _consume(bench: _Bench) -> list[Row]:
    small = _read(bench, bench.batches * 1_000, "100")
    large = _read(bench, bench.batches * 250, "1000")
    values = _Compared(small.more["values"], small.theirs)
    return [
        small.rates("consume, 100 B", _TWICE),
        values.rates("consume, 100 B, values only", None),
        large.megabytes("consume, 1 KB", _TWICE),
    ]


def _read(bench: _Bench, count: int, values: str) -> _Compared:
    """Read what each client wrote itself, again and again."""
    with bench.ours.topic() as our_topic, bench.kafka.topic() as kafka_topic:
        ours = Task("produce", bench.ours.servers.bootstrap, our_topic, count, values)
        theirs = Task("produce", bench.kafka.servers.bootstrap, kafka_topic, count, values)
        written = bench.ours.carry_out(bench.our_client, ours).outcome.records
        bench.ours.topics.expect(our_topic, written)
        written = bench.kafka.carry_out(bench.confluent, theirs).outcome.records
        bench.kafka.topics.expect(kafka_topic, written)

        def read(side: Side, client: Worker, task: Task, action: str) -> Measured:
            return side.carry_out(
                client, msgspec.structs.replace(task, action=action, count=written)
            )

        return bench.compare(
            partial(read, bench.ours, bench.our_client, ours, "consume"),
            partial(read, bench.kafka, bench.confluent, theirs, "consume"),
            values=partial(read, bench.ours, bench.our_client, ours, "consume_values"),
        )


def _one_at_a_time(bench: _Bench) -> list[Row]:
    rows = []
    count = bench.batches * 2
    for acks, goal, note in (("1", _MUCH, ""), ("all", _EQUAL, ", fdatasync against none")):
        sent = bench.compare(
            partial(bench.ours.measure, bench.our_client, "one_at_a_time", count, acks=acks),
            partial(bench.kafka.measure, bench.aiokafka, "one_at_a_time", count, acks=acks),
        )
        row = sent.rates(f"one at a time, acks={acks}{note}", goal, _AIOKAFKA)
        rows.append(bench.with_flushes(row) if acks == "all" else row)
    return rows


def _end_to_end(bench: _Bench, what: str) -> Row:
    count = bench.batches
    row = bench.compare(
        partial(bench.ours.measure, bench.our_client, "end_to_end", count, acks="all"),
        partial(bench.kafka.measure, bench.confluent, "end_to_end", count, acks="all"),
    ).latencies(what)
    return bench.with_flushes(row)


def _compress(bench: _Bench) -> list[Row]:
    rows = []
    for codec in ("lz4", "zstd"):
        how = (bench.batches * 250, NDJSON, "1", codec)
        sent = bench.compare(
            partial(bench.ours.measure, bench.our_client, "produce", *how),
            partial(bench.kafka.measure, bench.confluent, "produce", *how),
        )
        rows.append(sent.megabytes(f"produce loop, NDJSON, {codec}", _EQUAL))
    return rows


def _replicate(bench: _Bench) -> list[Row]:
    small, large = bench.batches * 1_000, bench.batches * 200
    hundred = bench.compare(
        partial(bench.ours.measure, bench.our_client, "produce", small, "100", "all"),
        partial(bench.kafka.measure, bench.confluent, "produce", small, "100", "all"),
    )
    thousand = bench.compare(
        partial(bench.ours.measure, bench.our_client, "produce", large, "1000", "all"),
        partial(bench.kafka.measure, bench.confluent, "produce", large, "1000", "all"),
    )
    return [
        hundred.rates("three replicas, acks=all, 100 B", _TWICE),
        thousand.megabytes("three replicas, acks=all, 1 KB", _TWICE),
        _end_to_end(bench, "end to end, three replicas, p99"),
    ]


def _note(ours: Sequence[Measured], theirs: Sequence[Measured], peers: str) -> str:
    """How busy everybody was: what is limited by the client, what by the servers, and what was
    disturbed by others and so means nothing."""
    return f"{_shares(ours)}; peer: {peers}, {_shares(theirs)}"


def _shares(measured: Sequence[Measured]) -> str:
    client, server, others = (
        median(shares)
        for shares in zip(
            *((one.client_share, one.server_share, one.others_share) for one in measured),
            strict=True,
        )
    )
    disturbed = f", **others {others:.0%}**" if others > _QUIET else ""
    return f"client {client:.0%}, server {server:.0%}{disturbed}"


CASE: Final = Case(_NAME, run, why_not=why_no_peers, is_by_default=False)
