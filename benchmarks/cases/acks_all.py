"""Single-record JSON produces with acks=all: what waiting for the disk costs."""

import functools
from typing import Final

from benchmarks.case import Case
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.single_records import Against, Served, measure_broker, prepare, row
from benchmarks.testbed import Testbed
from benchmarks.wrk import why_no_wrk

_NAME: Final = "acks-all"
_MANY: Final = 64
_GOAL: Final = Goal(0.60, at_least=True)


def run(testbed: Testbed) -> list[Row]:
    """Rates with the policy `commit` against those with `os`: many connections, then one."""
    rows: list[Row] = []
    with (
        testbed.running_broker({"log.flush.policy": "commit"}) as commit,
        testbed.running_broker({"log.flush.policy": "os"}) as os_,
    ):
        brokers = {"commit": commit, "os": os_}
        for broker in brokers.values():
            prepare(broker)
        for connections, goal, who in (
            (_MANY, _GOAL, f"{_MANY} connections"),
            (1, None, "one connection"),
        ):
            served: dict[str, list[Served]] = take_turns(
                {
                    policy: functools.partial(
                        measure_broker, testbed, broker, acks="all", connections=connections
                    )
                    for policy, broker in brokers.items()
                },
                testbed.effort.rounds,
            )
            against = Against("os", served["os"], goal)
            rows += [
                row(_NAME, f"os, {who}", served["os"]),
                row(_NAME, f"commit, {who}", served["commit"], against),
            ]
    return rows


CASE: Final = Case(_NAME, run, why_not=why_no_wrk)
