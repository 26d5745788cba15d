"""2,000 long polls and 500 streams on one broker: what they hold, and what producers notice."""

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from benchmarks.case import Case
from benchmarks.connection import WrongAnswerError
from benchmarks.produce_latency import Latency, latency_row, measure_latency
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.single_records import TOPIC
from benchmarks.testbed import Process, Testbed
from benchmarks.topics import create_topic
from benchmarks.usage import cpu_seconds, resident_mb
from benchmarks.waiting_readers import ReadersResult
from tests.support.broker import BrokerProcess

_NAME: Final = "readers"
_POLLS: Final = 2_000
_STREAMS: Final = 500
_OTHER: Final = "arrivals"
_SETTLING_S: Final = 0.5
_READERS: Final = "benchmarks.waiting_readers"
_LATENCY_GOAL: Final = Goal(3, at_least=False)
_MEMORY_GOAL: Final = Goal(150, at_least=False)
_MICRO: Final = 1e6
_NOBODY: Final = ReadersResult(0, 0, 0, 0.0, 0.0)


class _Probed(NamedTuple):
    """One measurement."""

    latency: Latency
    cpu_s: float
    """Of the broker, meanwhile."""
    got: ReadersResult = _NOBODY


class _Held(NamedTuple):
    """Memory of a broker that those who wait take, in MiB."""

    opened: float
    produced: float
    """The same, once records were produced beside them, to the topic of the streams."""


def run(testbed: Testbed) -> list[Row]:
    """Single produces: quiet, beside those who wait in vain, and beside those who do not."""
    held = [_measure_memory(testbed) for _ in range(testbed.effort.rounds)]
    with testbed.running_broker() as broker:
        for topic in (TOPIC, _OTHER):
            create_topic(broker.port, topic)
        probed = take_turns(
            {
                "quiet": functools.partial(_probe, testbed, broker),
                "idle": functools.partial(_probe_beside, testbed, broker, _OTHER, _OTHER),
                "streams": functools.partial(_probe_beside, testbed, broker, _OTHER, TOPIC),
                "all": functools.partial(_probe_beside, testbed, broker, TOPIC, TOPIC),
            },
            testbed.effort.rounds,
        )
    quiet, streams = probed["quiet"], probed["streams"]
    return [
        *_memory_rows(held),
        _row("p99 when quiet", quiet),
        _row("beside those who wait for another topic", probed["idle"], quiet, _LATENCY_GOAL),
        _row("the same, but the streams are of this topic", streams, quiet, _LATENCY_GOAL),
        _row("the same, but all are of this topic", probed["all"], quiet),
        _late_row(streams),
        _cost_row(streams, quiet),
    ]


def _measure_memory(testbed: Testbed) -> _Held:
    with testbed.running_broker() as broker:
        for topic in (TOPIC, _OTHER):
            create_topic(broker.port, topic)
        _probe(testbed, broker)
        before = resident_mb(broker.pid)
        with _waiting(testbed, broker, _OTHER, TOPIC) as readers:
            opened = resident_mb(broker.pid)
            _probe(testbed, broker)
            produced = resident_mb(broker.pid)
            _stop(readers)
    return _Held(opened - before, produced - before)


@contextlib.contextmanager
def _waiting(
    testbed: Testbed, broker: BrokerProcess, polled: str, streamed: str
) -> Iterator[Process]:
    """All of the readers, waiting."""
    arguments = (str(broker.port), str(_POLLS), polled, str(_STREAMS), streamed)
    with testbed.running_module(testbed.cores.load, _READERS, *arguments) as readers:
        assert readers.stdout is not None
        if readers.stdout.readline() != "ready\n":
            raise WrongAnswerError("The readers do not all come to wait")
        time.sleep(_SETTLING_S)
        yield readers


def _stop(readers: Process) -> ReadersResult:
    readers.terminate()
    return msgspec.json.decode(readers.communicate()[0], type=ReadersResult)


def _probe(testbed: Testbed, broker: BrokerProcess) -> _Probed:
    used = cpu_seconds(broker.pid)
    latency = measure_latency(testbed, broker)
    return _Probed(latency, cpu_seconds(broker.pid) - used)


def _probe_beside(testbed: Testbed, broker: BrokerProcess, polled: str, streamed: str) -> _Probed:
    with _waiting(testbed, broker, polled, streamed) as readers:
        probed = _probe(testbed, broker)
        got = _stop(readers)
    expected = _STREAMS * probed.latency.produced if streamed == TOPIC else 0
    if got.records != expected:
        raise WrongAnswerError(f"The streams got {got.records:,} records, not {expected:,}")
    return probed._replace(got=got)


def _memory_rows(held: Sequence[_Held]) -> list[Row]:
    who = f"memory of {_POLLS:,} polls and {_STREAMS} streams"
    opened = tuple(one.opened for one in held)
    produced = tuple(one.produced for one in held)
    return [
        Row(_NAME, f"{who}, waiting", "MiB", opened, goal=_MEMORY_GOAL),
        Row(_NAME, "the same, once the streams got records", "MiB", produced, goal=_MEMORY_GOAL),
    ]


def _row(
    what: str, probed: Sequence[_Probed], quiet: Sequence[_Probed] = (), goal: Goal | None = None
) -> Row:
    latencies, base = ([one.latency for one in each] for each in (probed, quiet))
    return latency_row(_NAME, what, latencies, base, goal)


def _late_row(streams: Sequence[_Probed]) -> Row:
    late = tuple(one.got.late_p99_ms for one in streams)
    p50 = median(one.got.late_p50_ms for one in streams)
    return Row(
        _NAME, "age of its records when they come, p99", "ms", late, note=f"p50 {p50:.0f} ms"
    )


def _cost_row(streams: Sequence[_Probed], quiet: Sequence[_Probed]) -> Row:
    """What a record costs that a stream gets, beyond producing it."""
    used = [one.cpu_s - base.cpu_s for one, base in zip(streams, quiet, strict=True)]
    pairs = list(zip(used, streams, strict=True))
    costs = tuple(spent / one.got.records * _MICRO for spent, one in pairs)
    event = median(spent / one.got.events * _MICRO for spent, one in pairs)
    each = median(one.got.records / one.got.events for one in streams)
    note = f"{event:.1f} µs an event of {each:.1f} records"
    return Row(_NAME, "CPU of a record in one of them", "µs", costs, note=note)


CASE: Final = Case(_NAME, run)
