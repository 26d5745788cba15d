"""Consumer groups: what members cost, how soon a group settles, how much is committed and read."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

from benchmarks.case import Case
from benchmarks.connection import Connection
from benchmarks.group_load import GroupMember, PollingGroup, check_committed, settle
from benchmarks.probe import probe_all
from benchmarks.raw_records import in_parallel, make_batch, produce_request, send_all
from benchmarks.rest_polls import Polled, RestConsumer
from benchmarks.row import Goal, Row
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic
from benchmarks.usage import cpu_seconds
from kafkalite.wire.messages import ACKS_LEADER
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import RealZooKeeper

_NAME: Final = "groups"
_GROUPS: Final = 100
_MEMBERS: Final = 10
_INTERVAL_S: Final = 3
_PARTITIONS: Final = 100
_CONNECTIONS: Final = 20
_COMMITTERS: Final = 64
_MANY: Final = 10
"""Partitions of a large commit: all that a member has."""
_WIDE: Final = 1_000
_POLLERS: Final = 100
_MEGA: Final = 1_000_000
_LEAST_S: Final = 2 * _INTERVAL_S

_CPU_GOAL: Final = Goal(25, at_least=False)
_P99_GOAL: Final = Goal(50, at_least=False)
_SETTLE_GOAL: Final = Goal(1, at_least=False)
_CALLS_GOAL: Final = Goal(3_000, at_least=True)
_OFFSETS_GOAL: Final = Goal(8_000, at_least=True)
_RECORDS_GOAL: Final = Goal(750_000, at_least=True)
_POLLS_GOAL: Final = Goal(100, at_least=True)


def run(testbed: Testbed) -> list[Row]:
    """One broker; commits on Apache's ZooKeeper, too, where it is installed."""
    with testbed.running_broker() as broker:
        groups = _join(broker)
        rows = _measure_heartbeats(testbed, broker, groups)
        rows += _measure_commits(testbed, broker, groups, "embedded ZooKeeper", has_goal=False)
        rows += _measure_rebalance(testbed, broker)
        rows += _measure_polls(testbed, broker)
    if RealZooKeeper.why_unavailable() is None:
        with _real_broker(testbed) as broker:
            rows += _measure_commits(testbed, broker, _join(broker), "ZooKeeper", has_goal=True)
    return rows


@contextlib.contextmanager
def _real_broker(testbed: Testbed) -> Iterator[BrokerProcess]:
    """A broker whose ZooKeeper is Apache's, on the load's core."""
    with (
        tempfile.TemporaryDirectory(dir=testbed.directory) as directory,
        RealZooKeeper(Path(directory), tick_ms=2000) as zookeeper,
        testbed.running_broker(zookeeper=zookeeper) as broker,
    ):
        yield broker


def _join(broker: BrokerProcess) -> list[list[GroupMember]]:
    """A hundred groups of ten members each, which have settled."""
    create_topic(broker.port, "shared", _PARTITIONS)
    groups = [
        [GroupMember(f"g{group}", f"m{number}", "shared") for number in range(_MEMBERS)]
        for group in range(_GROUPS)
    ]
    settle(broker.port, groups, threads=_CONNECTIONS)
    return groups


# -- heartbeats ----------------------------------------------------------------------------------


def _measure_heartbeats(
    testbed: Testbed, broker: BrokerProcess, groups: Sequence[Sequence[GroupMember]]
) -> list[Row]:
    requests = [member.heartbeat_request() for members in groups for member in members]
    seconds = max(_LEAST_S, testbed.effort.seconds)
    shares, slowest, middle = [], [], []
    for number in range(testbed.effort.rounds + 1):
        used, started = cpu_seconds(broker.pid), time.perf_counter()
        taken = probe_all(
            broker.port,
            requests,
            rate=len(requests) // _INTERVAL_S,
            connections=_CONNECTIONS,
            seconds=seconds,
        )
        elapsed = time.perf_counter() - started
        if number > 0:  # the first warms up
            shares.append((cpu_seconds(broker.pid) - used) / elapsed * 100)
            slowest.append(quantiles(taken, n=100)[98])
            middle.append(median(taken))
    who = f"{len(requests):,} members in {_GROUPS} groups, a heartbeat every {_INTERVAL_S} s"
    return [
        Row(_NAME, f"{who}: coordinator", "% of a core", tuple(shares), goal=_CPU_GOAL),
        Row(_NAME, "the same, p99 of a heartbeat", "ms", tuple(slowest), goal=_P99_GOAL,
            note=f"p50 {median(middle):.2f} ms"),
    ]  # fmt: skip


# -- rebalance -----------------------------------------------------------------------------------


def _measure_rebalance(testbed: Testbed, broker: BrokerProcess) -> list[Row]:
    create_topic(broker.port, "wide", _WIDE)
    with PollingGroup(broker.port, "wide", "wide", _WIDE, _POLLERS) as group:
        found = [group.admit() for _ in range(testbed.effort.rounds + 1)][1:]
    moved = max(each.moved for each in found)
    return [
        Row(_NAME, f"a member joins {_POLLERS - 1} on {_WIDE:,} partitions: all have settled", "s",
            tuple(each.seconds for each in found), goal=_SETTLE_GOAL,
            note=f"{moved} partitions moved, the others stayed"),
        Row(_NAME, "the same, partitions that somebody who stayed gave away", "",
            tuple(float(each.moved) for each in found),
            goal=Goal(_WIDE / _POLLERS, at_least=False)),
    ]  # fmt: skip


# -- commits -------------------------------------------------------------------------------------


class _Committed(NamedTuple):
    calls_a_second: float
    broker_busy: float
    """Share of its core that the broker used."""
    load_busy: float


def _measure_commits(
    testbed: Testbed,
    broker: BrokerProcess,
    groups: Sequence[Sequence[GroupMember]],
    where: str,
    *,
    has_goal: bool,
) -> list[Row]:
    offsets = count(1)
    rounds = range(testbed.effort.rounds + 1)
    small = [_commit(testbed, broker, groups, 1, next(offsets)) for _ in rounds][1:]
    large = [_commit(testbed, broker, groups, _MANY, next(offsets)) for _ in rounds][1:]
    return [
        Row(_NAME, f"commits of one partition, {where}", "calls/s",
            tuple(each.calls_a_second for each in small),
            goal=_CALLS_GOAL if has_goal else None, note=_busy(small)),
        Row(_NAME, f"commits of {_MANY} partitions, {where}", "partitions/s",
            tuple(each.calls_a_second * _MANY for each in large),
            goal=_OFFSETS_GOAL if has_goal else None, note=_busy(large)),
    ]  # fmt: skip


def _commit(
    testbed: Testbed,
    broker: BrokerProcess,
    groups: Sequence[Sequence[GroupMember]],
    partitions: int,
    offset: int,
) -> _Committed:
    """Members commit in turn, on many connections, for a while."""
    members = [member for group in groups for member in group]
    seconds = 2 * testbed.effort.seconds
    calls = [0] * _COMMITTERS

    def commit(number: int) -> None:
        requests = [
            each.commit_request(offset, partitions) for each in members[number::_COMMITTERS]
        ]
        until = time.perf_counter() + seconds
        with Connection(broker.port) as connection:
            while time.perf_counter() < until:
                request = requests[calls[number] % len(requests)]
                check_committed(connection.expect(request).body)
                calls[number] += 1

    used = cpu_seconds(broker.pid)
    elapsed, busy = in_parallel(commit, _COMMITTERS)
    return _Committed(sum(calls) / elapsed, (cpu_seconds(broker.pid) - used) / elapsed, busy)


def _busy(found: Sequence[_Committed]) -> str:
    of_a_core = median(each.calls_a_second / each.broker_busy for each in found)
    return (
        f"{of_a_core:,.0f} calls a second of the broker's CPU, which was "
        f"{median(each.broker_busy for each in found):.0%} busy, load "
        f"{median(each.load_busy for each in found):.0%}"
    )


# -- REST ----------------------------------------------------------------------------------------


class _Read(NamedTuple):
    polled: Polled
    broker_s: float
    """Processor time of the broker."""


def _measure_polls(testbed: Testbed, broker: BrokerProcess) -> list[Row]:
    small = _poll(testbed, broker, "small", value_bytes=100, batches=20)
    large = _poll(testbed, broker, "large", value_bytes=10_000, batches=100)
    rate = median(each.polled.records / each.polled.seconds for each in small)
    polls = median(each.polled.polls / each.broker_s for each in large)
    return [
        Row(_NAME, "REST v2, 100-byte records in base64, of a broker's core", "records/s",
            tuple(each.polled.records / each.broker_s for each in small),
            goal=_RECORDS_GOAL, note=f"one client, which waits for each poll: {rate:,.0f}"),
        Row(_NAME, "REST v2, polls of 1 MB, one client", "polls/s",
            tuple(each.polled.polls / each.polled.seconds for each in large),
            goal=_POLLS_GOAL, note=f"{polls:,.0f} a second of the broker's CPU"),
    ]  # fmt: skip


def _poll(
    testbed: Testbed, broker: BrokerProcess, topic: str, *, value_bytes: int, batches: int
) -> list[_Read]:
    """Read a topic of some batches of nearly 1 MB from its beginning, again and again."""
    create_topic(broker.port, topic)
    records = 900_000 // (value_bytes + 10)
    batch = make_batch(records, value_bytes)
    request = produce_request(topic, batch, ACKS_LEADER)
    send_all(broker.port, request, records, len(batch), times=batches, connections=1)
    found = []
    with RestConsumer(broker.port, topic, topic) as consumer:
        for _ in range(testbed.effort.rounds + 1):
            used = cpu_seconds(broker.pid)
            polled = consumer.read(records * batches, _MEGA)
            found.append(_Read(polled, cpu_seconds(broker.pid) - used))
    return found[1:]  # the first warms up


CASE: Final = Case(_NAME, run)
