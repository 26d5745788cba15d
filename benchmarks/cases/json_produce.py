"""Single-record JSON produces with acks=1, against a server that does nothing with a POST."""

import functools
from collections.abc import Callable
from typing import Final

from benchmarks.case import Case
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.single_records import (
    Against,
    Served,
    measure_broker,
    measure_server,
    prepare,
    row,
)
from benchmarks.testbed import Process, Testbed
from benchmarks.wrk import why_no_wrk

_NAME: Final = "json-produce"
_CONNECTIONS: Final = 16
_GOAL: Final = Goal(0.55, at_least=True)
_NOOP: Final = "no-op"
_NOOP_SERVER: Final = "benchmarks.noop_server"


def run(testbed: Testbed) -> list[Row]:
    """Rates of the no-op server on two transports, and of brokers with either flush policy."""
    with (
        testbed.running_broker({"log.flush.policy": "commit"}) as commit,
        testbed.running_broker({"log.flush.policy": "os"}) as os_,
        testbed.running_module(testbed.cores.server, _NOOP_SERVER, "plain") as plain,
        testbed.running_module(testbed.cores.server, _NOOP_SERVER, "corked") as corked,
    ):
        prepare(commit)
        prepare(os_)
        measure = functools.partial(measure_broker, testbed, acks="1", connections=_CONNECTIONS)
        measures: dict[str, Callable[[], Served]] = {
            _NOOP: _noop(testbed, plain),
            "corked": _noop(testbed, corked),
            "commit": functools.partial(measure, commit),
            "os": functools.partial(measure, os_),
        }
        served = take_turns(measures, testbed.effort.rounds)
    noop_server = Against(_NOOP, served[_NOOP], _GOAL)
    return [
        row(_NAME, "POST that does nothing", served[_NOOP]),
        row(_NAME, "the same on the broker's transport", served["corked"]),
        row(_NAME, "acks=1, commit", served["commit"], noop_server),
        row(_NAME, "acks=1, os", served["os"], noop_server),
    ]


def _noop(testbed: Testbed, process: Process) -> Callable[[], Served]:
    assert process.stdout is not None
    port = int(process.stdout.readline())

    def measure() -> Served:
        return measure_server(testbed, port, process.pid, "/", _CONNECTIONS)[0]

    return measure


CASE: Final = Case(_NAME, run, why_not=why_no_wrk)
