"""Latency of single produces beside a large read and beside large produces."""

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Final, NamedTuple

import msgspec

from benchmarks.background import LARGE_BATCH_RECORDS, BackgroundResult
from benchmarks.case import Case
from benchmarks.connection import make_request
from benchmarks.probe import probe
from benchmarks.raw_records import make_batch, produce_request, send_all
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.single_records import BODY
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic, delete_topic, end_offset, expect_records
from kafkalite.wire.messages import ACKS_LEADER
from tests.support.broker import BrokerProcess

_NAME: Final = "stalls"
_GOAL: Final = Goal(5, at_least=False)
_TOPIC: Final = "departures"
_READ_TOPIC: Final = "large"
_RATE: Final = 400
_CONNECTIONS: Final = 4
_LOADING_CONNECTIONS: Final = 2
_SETTLING_S: Final = 0.5
_BACKGROUND: Final = "benchmarks.background"
_MEGA: Final = 1e6


class _Probed(NamedTuple):
    """One measurement."""

    p50_ms: float
    p99_ms: float
    worst_ms: float
    moved_mb: float
    """What was moved beside it, in MB by the second."""


def run(testbed: Testbed) -> list[Row]:
    """The p99 of single produces: quiet, beside a read that never ends, beside large produces."""
    with testbed.running_broker() as broker:
        for topic in (_TOPIC, _READ_TOPIC):
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
        _row("p99 when quiet", quiet),
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
    before = end_offset(broker.port, _TOPIC)
    request = make_request("POST", f"/v1/topics/{_TOPIC}/records?acks=1", BODY, "application/json")
    taken = probe(
        broker.port,
        request,
        rate=_RATE,
        connections=_CONNECTIONS,
        seconds=testbed.effort.seconds,
    )
    expect_records(broker.port, _TOPIC, before + len(taken))
    percentiles = quantiles(taken, n=100)
    return _Probed(percentiles[49], percentiles[98], max(taken), 0)


def _probe_beside(testbed: Testbed, broker: BrokerProcess, what: str, topic: str) -> _Probed:
    arguments = (what, str(broker.port), topic)
    with testbed.running_module(testbed.cores.load, _BACKGROUND, *arguments) as background:
        time.sleep(_SETTLING_S)
        probed = _probe(testbed, broker)
        background.terminate()
        output = background.communicate()[0]
    moved = msgspec.json.decode(output, type=BackgroundResult)
    return probed._replace(moved_mb=moved.size / _MEGA / moved.seconds)


def _probe_beside_writes(testbed: Testbed, broker: BrokerProcess, names: Iterator[str]) -> _Probed:
    topic = next(names)
    create_topic(broker.port, topic)
    probed = _probe_beside(testbed, broker, "write", topic)
    delete_topic(broker.port, topic)
    return probed


def _row(what: str, probed: Sequence[_Probed], quiet: Sequence[_Probed] = ()) -> Row:
    moved = median(one.moved_mb for one in probed)
    note = f"p50 {median(one.p50_ms for one in probed):.2f} ms"
    note += f", worst {max(one.worst_ms for one in probed):.0f} ms"
    return Row(
        _NAME,
        what,
        "ms",
        tuple(one.p99_ms for one in probed),
        "quiet" if quiet else "",
        tuple(one.p99_ms for one in quiet),
        _GOAL if quiet else None,
        f"{note}, {moved:.0f} MB/s beside it" if moved else note,
    )


CASE: Final = Case(_NAME, run)
