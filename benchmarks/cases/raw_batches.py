"""Raw batches of 5,000 records of 100 bytes, taken in and given out."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from benchmarks.case import Case
from benchmarks.raw_records import Moved, make_batch, produce_request, read_all, send_all
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic, delete_topic, expect_records
from kafkalite.wire.messages import ACKS_ALL, ACKS_LEADER
from tests.support.broker import BrokerProcess

_NAME: Final = "raw-batches"
_RECORDS: Final = 5_000
_CONNECTIONS: Final = 8
_ACKS: Final = {"acks=1": ACKS_LEADER, "acks=all": ACKS_ALL}
_INTAKE_GOAL: Final = Goal(2e6, at_least=True)
_COMMIT_GOAL: Final = Goal(0.80, at_least=True)
_FETCH_GOAL: Final = Goal(800, at_least=True)
_MEGA: Final = 1e6


def run(testbed: Testbed) -> list[Row]:
    """Records by the second going in, with either flush policy, and MB by the second coming out."""
    batch = make_batch(_RECORDS)
    names = (f"topic-{number}" for number in itertools.count())
    with (
        testbed.running_broker({"log.flush.policy": "commit"}) as commit,
        testbed.running_broker({"log.flush.policy": "os"}) as os_,
    ):
        brokers = {"os": os_, "commit": commit}
        moved = take_turns(
            {
                f"{policy}, {word}": functools.partial(
                    _measure_intake, broker, batch, acks, testbed.effort.batches, names
                )
                for word, acks in _ACKS.items()
                for policy, broker in brokers.items()
            },
            testbed.effort.rounds,
        )
        rows = []
        for word in _ACKS:
            base = moved[f"os, {word}"]
            rows += [
                _intake_row(f"in, os, {word}", base, goal=_INTAKE_GOAL),
                _intake_row(f"in, commit, {word}", moved[f"commit, {word}"], base, _COMMIT_GOAL),
            ]
        return rows + _measure_fetch(testbed, os_, batch)


def _measure_intake(
    broker: BrokerProcess, batch: bytes, acks: int, times: int, names: Iterator[str]
) -> Moved:
    """Send to a topic of its own, which goes again: nothing is left that must be written back."""
    topic = next(names)
    create_topic(broker.port, topic)
    moved = _send(broker, topic, batch, acks, times)
    delete_topic(broker.port, topic)
    return moved


def _send(broker: BrokerProcess, topic: str, batch: bytes, acks: int, times: int) -> Moved:
    request = produce_request(topic, batch, acks)
    moved = send_all(
        broker.port, request, _RECORDS, len(batch), times=times, connections=_CONNECTIONS
    )
    expect_records(broker.port, topic, moved.records)
    return moved


def _measure_fetch(testbed: Testbed, broker: BrokerProcess, batch: bytes) -> list[Row]:
    topic = "to-read"
    create_topic(broker.port, topic)
    end = _send(broker, topic, batch, ACKS_ALL, testbed.effort.batches).records
    moved = take_turns(
        {
            count: functools.partial(read_all, broker.port, topic, end, connections=int(count))
            for count in ("1", str(_CONNECTIONS))
        },
        testbed.effort.rounds,
    )
    return [
        Row(
            _NAME,
            f"out, {count} connection{'s' if count != '1' else ''}",
            "MB/s",
            tuple(one.size / _MEGA / one.seconds for one in runs),
            goal=_FETCH_GOAL,
            note=_busy(runs),
        )
        for count, runs in moved.items()
    ]


def _intake_row(
    what: str, moved: Sequence[Moved], base: Sequence[Moved] = (), goal: Goal | None = None
) -> Row:
    return Row(
        _NAME,
        what,
        "records/s",
        tuple(map(_rate, moved)),
        "os" if base else "",
        tuple(map(_rate, base)),
        goal,
        f"{median(one.size / _MEGA / one.seconds for one in moved):.0f} MB/s, {_busy(moved)}",
    )


def _rate(moved: Moved) -> float:
    return moved.records / moved.seconds


def _busy(moved: Sequence[Moved]) -> str:
    return f"load {median(one.load_busy for one in moved):.0%} busy"


CASE: Final = Case(_NAME, run)
