"""Produces in the manner of REST Proxy's version 2: one record, a hundred, a thousand in base64.

What HTTP fronts of Kafka did on a machine of the same kind, one core for the front and one for the
load: the Strimzi bridge 1,429 requests/s of one record, 33,600 records/s at a hundred, 36,000 at a
thousand in base64; Karapace 148, 10,900 and 7,400. The goals are ten times and twenty times that.
"""

import base64
import functools
import json
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from benchmarks.case import Case
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.single_records import Against, Served, measure_server, row
from benchmarks.testbed import Process, Testbed
from benchmarks.topics import create_topic, end_offset, expect_records
from benchmarks.wrk import why_no_wrk
from tests.support.broker import BrokerProcess

_NAME: Final = "rest-produce"
_NOOP: Final = "no-op"
_JSON: Final = "application/vnd.kafka.json.v2+json"
_BINARY: Final = "application/vnd.kafka.binary.v2+json"
_FLIGHT: Final = {
    "flight": 1545, "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "dep_delay": 2,
    "air_time": 227,
}  # fmt: skip
"""About a hundred bytes, as are the values in base64."""


class _Sent(NamedTuple):
    """One kind of request."""

    topic: str
    content_type: str
    records: int
    """In each."""
    connections: int
    body: bytes


def _json_of(records: int) -> bytes:
    return json.dumps({"records": [{"value": _FLIGHT}] * records}, separators=(",", ":")).encode()


def _binary_of(records: int) -> bytes:
    values = [base64.b64encode(b"%0100d" % number).decode() for number in range(records)]
    entries = [{"value": value} for value in values]
    return json.dumps({"records": entries}, separators=(",", ":")).encode()


_ONE: Final = _Sent("one", _JSON, 1, 64, _json_of(1))
_HUNDRED: Final = _Sent("hundred", _JSON, 100, 64, _json_of(100))
_THOUSAND: Final = _Sent("thousand", _BINARY, 1000, 8, _binary_of(1000))

_OF_NOOP_GOAL: Final = Goal(0.45, at_least=True)
_ONE_GOAL: Final = Goal(14_000, at_least=True)
_HUNDRED_GOAL: Final = Goal(600_000, at_least=True)
_THOUSAND_GOAL: Final = Goal(700_000, at_least=True)


def run(testbed: Testbed) -> list[Row]:
    """Rates beside a server that does nothing with the same request."""
    with (
        testbed.running_broker() as broker,
        testbed.running_module(testbed.cores.server, "benchmarks.noop_server", "plain") as nothing,
    ):
        for sent in (_ONE, _HUNDRED, _THOUSAND):
            create_topic(broker.port, sent.topic)
        noop = functools.partial(_measure_noop, testbed, nothing, _port_of(nothing))
        produce = functools.partial(_measure, testbed, broker)
        served = take_turns(
            {
                _NOOP: noop,
                _ONE.topic: functools.partial(produce, _ONE),
                _HUNDRED.topic: functools.partial(produce, _HUNDRED),
                _THOUSAND.topic: functools.partial(produce, _THOUSAND),
            },
            testbed.effort.rounds,
        )
    one = served[_ONE.topic]
    return [
        row(_NAME, "POST that does nothing", served[_NOOP]),
        row(_NAME, "one JSON record", one, Against(_NOOP, served[_NOOP], _OF_NOOP_GOAL)),
        Row(_NAME, "one JSON record", "requests/s", _rates(one), goal=_ONE_GOAL),
        _records_row("100 JSON records a request", _HUNDRED, served, _HUNDRED_GOAL),
        _records_row("1,000 base64 records a request", _THOUSAND, served, _THOUSAND_GOAL),
    ]


def _port_of(process: Process) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def _measure_noop(testbed: Testbed, process: Process, port: int) -> Served:
    return measure_server(
        testbed, port, process.pid, "/", _ONE.connections, _ONE.body, _ONE.content_type
    )[0]


def _measure(testbed: Testbed, broker: BrokerProcess, sent: _Sent) -> Served:
    before = end_offset(broker.port, sent.topic)
    served, requests = measure_server(
        testbed, broker.port, broker.pid, f"/topics/{sent.topic}", sent.connections, sent.body,
        sent.content_type,
    )  # fmt: skip
    # wrk does not count what was in flight when its time was over.
    least = before + requests * sent.records
    expect_records(broker.port, sent.topic, least, least + sent.connections * sent.records)
    return served


def _rates(served: Sequence[Served], records: int = 1) -> tuple[float, ...]:
    return tuple(each.rate * records for each in served)


def _records_row(what: str, sent: _Sent, served: dict[str, list[Served]], goal: Goal) -> Row:
    mine = served[sent.topic]
    cpu_us = median(each.cpu_us for each in mine) / sent.records
    busy = median(each.load_busy for each in mine)
    note = f"{cpu_us:.2f} µs of CPU each, load {busy:.0%} busy"
    return Row(_NAME, what, "records/s", _rates(mine, sent.records), goal=goal, note=note)


CASE: Final = Case(_NAME, run, why_not=why_no_wrk)
