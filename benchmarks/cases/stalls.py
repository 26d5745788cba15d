"""Latency of single produces beside a large read and beside large produces."""

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from benchmarks.background import LARGE_BATCH_RECORDS, BackgroundResult
from benchmarks.case import Case
from benchmarks.produce_latency import Latency, latency_row, measure_latency
from benchmarks.raw_records import make_batch, produce_request, send_all
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.single_records import TOPIC
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic, delete_topic, expect_records
from kafkalite.wire.messages import ACKS_LEADER
from tests.support.broker import BrokerProcess

_NAME: Final = "stalls"
_GOAL: Final = Goal(5, at_least=False)
_READ_TOPIC: Final = "large"
_LOADING_CONNECTIONS: Final = 2
_SETTLING_S: Final = 0.5
_BACKGROUND: Final = "benchmarks.background"
_MEGA: Final = 1e6


class _Probed(NamedTuple):
    """One measurement."""

    latency: Latency
    moved_mb: float = 0
    """What was moved beside it, in MB by the second."""


def run(testbed: Testbed) -> list[Row]:
    """The p99 of single produces: quiet, beside a read that never ends, beside large produces."""
    with testbed.running_broker() as broker:
        for topic in (TOPIC, _READ_TOPIC):
            create_topic(broker.port, topic)
        _fill(broker, testbed.effort.read_bytes)
        names = (f"written-{number}" for number in itertools.count())
        probed = take_turns(
            {
                "quiet": functools.partial(_probe, testbed, broker),
                "read": functools.partial(_probe_beside, testbed, broker, "read", _READ_TOPIC),
                "write": functools.partial(_probe_beside_writes, testbed, broker, names),
            },
            testbed.effort.rounds,
        )
    quiet = probed["quiet"]
    size = testbed.effort.read_bytes >> 20
    return [
        _row("p99 when quiet", quiet, ()),
        _row(f"p99 beside a read of {size:,} MiB", probed["read"], quiet),
        _row("p99 beside produces of 1 MiB", probed["write"], quiet),
    ]


def _fill(broker: BrokerProcess, size: int) -> None:
    batch = make_batch(LARGE_BATCH_RECORDS)
    moved = send_all(
        broker.port,
        produce_request(_READ_TOPIC, batch, ACKS_LEADER),
        LARGE_BATCH_RECORDS,
        len(batch),
        times=-(-size // len(batch)),
        connections=_LOADING_CONNECTIONS,
    )
    expect_records(broker.port, _READ_TOPIC, moved.records)


def _probe(testbed: Testbed, broker: BrokerProcess) -> _Probed:
    return _Probed(measure_latency(testbed, broker))


def _probe_beside(testbed: Testbed, broker: BrokerProcess, what: str, topic: str) -> _Probed:
    arguments = (what, str(broker.port), topic)
    with testbed.running_module(testbed.cores.load, _BACKGROUND, *arguments) as background:
        time.sleep(_SETTLING_S)
        latency = measure_latency(testbed, broker)
        background.terminate()
        output = background.communicate()[0]
    moved = msgspec.json.decode(output, type=BackgroundResult)
    return _Probed(latency, moved.size / _MEGA / moved.seconds)


def _probe_beside_writes(testbed: Testbed, broker: BrokerProcess, names: Iterator[str]) -> _Probed:
    topic = next(names)
    create_topic(broker.port, topic)
    probed = _probe_beside(testbed, broker, "write", topic)
    delete_topic(broker.port, topic)
    return probed


def _row(what: str, probed: Sequence[_Probed], quiet: Sequence[_Probed]) -> Row:
    moved = median(one.moved_mb for one in probed)
    more = f", {moved:.0f} MB/s beside it" if moved else ""
    latencies, base = ([one.latency for one in each] for each in (probed, quiet))
    return latency_row(_NAME, what, latencies, base, _GOAL if base else None, more)


CASE: Final = Case(_NAME, run)
