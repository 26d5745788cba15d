"""Latency of single JSON produces at a steady pace, while something else is going on."""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Final, NamedTuple

from benchmarks.connection import make_request
from benchmarks.probe import probe
from benchmarks.row import Goal, Row
from benchmarks.single_records import BODY, TOPIC
from benchmarks.testbed import Testbed
from benchmarks.topics import end_offset, expect_records
from tests.support.broker import BrokerProcess

_RATE: Final = 400
_CONNECTIONS: Final = 4


class Latency(NamedTuple):
    """Of the produces of one measurement, in milliseconds."""

    p50: float
    p99: float
    worst: float
    produced: int
    """Records."""


def measure_latency(testbed: Testbed, broker: BrokerProcess) -> Latency:
    """Produce to TOPIC, which is there; checks that all of it is in the log."""
    before = end_offset(broker.port, TOPIC)
    request = make_request("POST", f"/v1/topics/{TOPIC}/records?acks=1", BODY, "application/json")
    taken = probe(
        broker.port,
        request,
        rate=_RATE,
        connections=_CONNECTIONS,
        seconds=testbed.effort.seconds,
    )
    expect_records(broker.port, TOPIC, before + len(taken))
    percentiles = quantiles(taken, n=100)
    return Latency(percentiles[49], percentiles[98], max(taken), len(taken))


def latency_row(
    case: str,
    what: str,
    measured: Sequence[Latency],
    quiet: Sequence[Latency] = (),
    goal: Goal | None = None,
    more: str = "",
) -> Row:
    """The p99 as a row of the table, as a share of that in the `quiet` of the same rounds."""
    note = f"p50 {median(one.p50 for one in measured):.2f} ms"
    if quiet:
        pairs = zip(measured, quiet, strict=True)
        note += f", {median(one.p50 / base.p50 for one, base in pairs):.2f} of quiet"
    return Row(
        case,
        what,
        "ms",
        tuple(one.p99 for one in measured),
        "quiet" if quiet else "",
        tuple(one.p99 for one in quiet),
        goal,
        f"{note}, worst {max(one.worst for one in measured):.0f} ms{more}",
    )
