"""Single-record JSON produces by wrk: the load that two cases share."""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from benchmarks.row import Goal, Row
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic, end_offset, expect_records
from benchmarks.usage import cpu_seconds
from benchmarks.wrk import post
from tests.support.broker import BrokerProcess

TOPIC: Final = "departures"
BODY: Final = (
    b'{"records":[{"key":"UA","value":{"flight":1545,"tailnum":"N14228","origin":"EWR",'
    b'"dest":"IAH","dep_delay":2,"air_time":227,"distance":1400}}]}'
)


class Served(NamedTuple):
    """One measurement of a server."""

    rate: float
    """Requests by the second."""
    cpu_us: float
    """Processor time of the server for one request, in microseconds."""
    p99_ms: float
    load_busy: float
    """Share of its core that the load used."""


class Against(NamedTuple):
    """What a server is compared with, in the same rounds."""

    name: str
    served: Sequence[Served]
    goal: Goal | None = None


def measure_broker(
    testbed: Testbed, broker: BrokerProcess, *, acks: str, connections: int
) -> Served:
    """Produce single records; checks that each was answered well and is in the log."""
    before = end_offset(broker.port, TOPIC)
    path = f"/v1/topics/{TOPIC}/records?acks={acks}"
    served, requests = measure_server(testbed, broker.port, broker.pid, path, connections)
    # wrk does not count what was in flight when its time was over.
    least = before + requests
    expect_records(broker.port, TOPIC, least, least + connections)
    return served


def measure_server(
    testbed: Testbed,
    port: int,
    pid: int,
    path: str,
    connections: int,
    body: bytes = BODY,
    content_type: str = "application/json",
) -> tuple[Served, int]:
    """Post to any server; gives the number of answers, too."""
    used = cpu_seconds(pid)
    load = post(
        f"http://127.0.0.1:{port}{path}",
        body,
        content_type=content_type,
        connections=connections,
        seconds=testbed.effort.seconds,
        core=testbed.cores.load,
    )
    used = cpu_seconds(pid) - used
    served = Served(load.rate, used / load.requests * 1e6, load.p99_ms, load.busy)
    return served, load.requests


def prepare(broker: BrokerProcess) -> None:
    """Make the topic that is written to."""
    create_topic(broker.port, TOPIC)


def row(case: str, what: str, served: Sequence[Served], against: Against | None = None) -> Row:
    """The rates as a row of the table."""
    note = (
        f"{median(one.cpu_us for one in served):.1f} µs of CPU each, "
        f"p99 {median(one.p99_ms for one in served):.2f} ms, "
        f"load {median(one.load_busy for one in served):.0%} busy"
    )
    rates = tuple(one.rate for one in served)
    if against is None:
        return Row(case, what, "requests/s", rates, note=note)
    return Row(
        case,
        what,
        "requests/s",
        rates,
        against.name,
        tuple(one.rate for one in against.served),
        against.goal,
        note,
    )
