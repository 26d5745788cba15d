"""Three brokers on one core, each record on all three of them."""

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Final, NamedTuple

from benchmarks.case import Case
from benchmarks.connection import Connection, make_json_request
from benchmarks.raw_records import Moved, make_batch, produce_request, send_everywhere
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic, delete_topic, expect_records, leaders
from benchmarks.usage import cpu_seconds
from kafkalite.wire.messages import ACKS_ALL
from tests.support.cluster import Cluster

_NAME: Final = "replicated"
_BROKERS: Final = 3
_CONNECTIONS: Final = 6
_BATCH_BYTES: Final = 500_000
_SMALL_BYTES: Final = 100
_LARGE_BYTES: Final = 1_000
_SMALL_GOAL: Final = Goal(250_000, at_least=True)
_LARGE_GOAL: Final = Goal(40, at_least=True)
_CPU_GOAL: Final = Goal(1.5, at_least=False)
_P50_GOAL: Final = Goal(4, at_least=False)
_P99_GOAL: Final = Goal(15, at_least=False)
_SINGLE_RECORDS: Final = 500
_MEGA: Final = 1e6


class _Sent(NamedTuple):
    """One measurement of batches."""

    moved: Moved
    leader_cpu_us: float
    """Processor time of the leader for each KB that it took in."""


def run(testbed: Testbed) -> list[Row]:
    """`acks=all`, `log.flush.policy=commit`: batches by the second, and one record at a time."""
    names = (f"topic-{number}" for number in itertools.count())
    with testbed.running_cluster() as cluster:
        spread = take_turns(
            {
                f"{size} B": functools.partial(_send, testbed, cluster, names, size, 3, _BROKERS)
                for size in (_SMALL_BYTES, _LARGE_BYTES)
            },
            testbed.effort.rounds,
        )
        # One partition, whose leader does nothing else, shows what its followers cost it; as many
        # as there are brokers, of one replica each, what it costs that they share a core.
        alone = take_turns(
            {
                name: functools.partial(
                    _send, testbed, cluster, names, _LARGE_BYTES, replicas, partitions, partitions
                )
                for name, replicas, partitions in (
                    ("one replica", 1, 1),
                    ("one replica on each broker", 1, _BROKERS),
                    ("three replicas", 3, 1),
                )
            },
            testbed.effort.rounds,
        )
        costs = {name: tuple(each.leader_cpu_us for each in sent) for name, sent in alone.items()}
        latencies = _send_one_at_a_time(cluster, testbed.effort.rounds)
    return [
        Row(_NAME, "batches of 100-byte records", "records/s",
            tuple(each.moved.records / each.moved.seconds for each in spread["100 B"]),
            goal=_SMALL_GOAL, note=_busy(spread["100 B"])),
        Row(_NAME, "batches of 1,000-byte records", "MB/s",
            tuple(each.moved.size / _MEGA / each.moved.seconds for each in spread["1000 B"]),
            goal=_LARGE_GOAL, note=_busy(spread["1000 B"])),
        Row(_NAME, "leader's CPU, one replica", "µs/KB", costs["one replica"]),
        Row(_NAME, "leader's CPU, one replica on each broker, all at work", "µs/KB",
            costs["one replica on each broker"]),
        *(
            Row(_NAME, "leader's CPU, three replicas", "µs/KB",
                costs["three replicas"], base, costs[base], goal)
            for base, goal in (("one replica", _CPU_GOAL), ("one replica on each broker", None))
        ),
        Row(_NAME, "one record at a time, p50", "ms",
            tuple(median(each) for each in latencies), goal=_P50_GOAL),
        Row(_NAME, "one record at a time, p99", "ms",
            tuple(quantiles(each, n=100)[98] for each in latencies), goal=_P99_GOAL),
    ]  # fmt: skip


def _send(
    testbed: Testbed,
    cluster: Cluster,
    names: Iterator[str],
    value_bytes: int,
    replicas: int,
    partitions: int,
    load: int = 1,
) -> _Sent:
    """Send batches to the leaders of a topic of its own, which goes again.

    `load` times as many as else, over as many times as many connections.
    """
    topic, port = next(names), cluster[0].port
    create_topic(port, topic, partitions, replicas)
    records = _BATCH_BYTES // value_bytes
    batch = make_batch(records, value_bytes)
    led_by = leaders(port, topic)
    requests = [
        (cluster[leader].port, produce_request(topic, batch, ACKS_ALL, number))
        for number, leader in enumerate(led_by)
    ]
    first_leader = cluster[led_by[0]]
    used = cpu_seconds(first_leader.pid)
    moved = send_everywhere(
        requests,
        records,
        len(batch),
        times=testbed.effort.batches * load,
        connections=_CONNECTIONS * load,
    )
    used = cpu_seconds(first_leader.pid) - used
    expect_records(port, topic, moved.records // partitions)
    delete_topic(port, topic)
    return _Sent(moved, used * 1e6 / (moved.size / partitions / 1000))


def _send_one_at_a_time(cluster: Cluster, rounds: int) -> list[list[float]]:
    """Milliseconds that each of some single records took, round by round."""
    create_topic(cluster[0].port, "single", 1, _BROKERS)
    leader = cluster[leaders(cluster[0].port, "single")[0]]
    request = make_json_request(
        "POST", "/v1/topics/single/records", {"records": [{"key": "UA", "value": {"flight": 1545}}]}
    )
    found: list[list[float]] = []
    with Connection(leader.port) as connection:
        for _ in range(rounds + 1):
            taken: list[float] = []
            for _ in range(_SINGLE_RECORDS):
                started = time.perf_counter()
                connection.expect(request)
                taken.append((time.perf_counter() - started) * 1000)
            found.append(taken)
    return found[1:]  # the first warms up


def _busy(sent: Sequence[_Sent]) -> str:
    return f"load {median(each.moved.load_busy for each in sent):.0%} busy"


CASE: Final = Case(_NAME, run)
