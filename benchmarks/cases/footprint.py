"""How soon a broker is there, and how much memory it takes, with few partitions and with many."""

import contextlib
import resource
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from benchmarks.case import Case
from benchmarks.connection import Connection, WrongAnswerError, make_json_request
from benchmarks.row import Goal, Row
from benchmarks.testbed import READY, Testbed, wait_until
from benchmarks.topics import create_topic
from benchmarks.usage import open_files, resident_mb
from tests.support.broker import BrokerProcess

_NAME: Final = "footprint"
_START_GOAL: Final = Goal(1.5, at_least=False)
_IDLE_GOAL: Final = Goal(100, at_least=False)
_MANY_START_GOAL: Final = Goal(5, at_least=False)
_MANY_MEMORY_GOAL: Final = Goal(250, at_least=False)
_SOFT_FILE_LIMIT: Final = 1024
_TIMEOUT_S: Final = 60.0
_FIRST_RECORD: Final = make_json_request(
    "POST",
    "/v1/topics/departures/records",
    {"records": [{"key": "UA", "value": {"flight": 1545}}]},
)


def run(testbed: Testbed) -> list[Row]:
    """ZooKeeper runs already; a start is timed from before the process is made."""
    return _measure_starts(testbed) + _measure_many_partitions(testbed)


def _measure_starts(testbed: Testbed) -> list[Row]:
    again = testbed.make_broker()
    testbed.start(again)
    create_topic(again.port, "departures")
    again.stop()
    first_times: list[float] = []
    next_times: list[float] = []
    memory: list[float] = []
    for _ in range(testbed.effort.starts):
        fresh = testbed.make_broker()
        for broker, times in ((fresh, first_times), (again, next_times)):
            started = time.perf_counter()
            process = testbed.launch(broker)
            try:
                wait_until(broker, process, _FIRST_RECORD)
                times.append(time.perf_counter() - started)
                wait_until(broker, process, READY)
                memory.append(resident_mb(broker.pid))
            finally:
                broker.stop()
    return [
        Row(_NAME, "first start to first record, topic made by it", "s", tuple(first_times),
            goal=_START_GOAL),
        Row(_NAME, "next start to first record", "s", tuple(next_times), goal=_START_GOAL),
        Row(_NAME, "idle memory", "MiB", tuple(memory), goal=_IDLE_GOAL),
    ]  # fmt: skip


def _measure_many_partitions(testbed: Testbed) -> list[Row]:
    count = testbed.effort.partitions
    what = f"{count:,} partitions"
    ready: list[float] = []
    led: list[float] = []
    idle: list[float] = []
    used: list[float] = []
    broker = testbed.make_broker()
    with _soft_file_limit(_SOFT_FILE_LIMIT):
        testbed.start(broker)
        create_topic(broker.port, "wide", count)
        _write_everywhere(broker, count, 0)
        for written in range(1, testbed.effort.starts + 1):
            broker.stop()
            started = time.perf_counter()
            testbed.start(broker)
            ready.append(time.perf_counter() - started)
            idle.append(resident_mb(broker.pid))
            _write_everywhere(broker, count, written)
            led.append(time.perf_counter() - started)
            used.append(resident_mb(broker.pid))
        files = open_files(broker.pid)
        broker.kill()
        started = time.perf_counter()
        testbed.start(broker)
        _write_everywhere(broker, count, testbed.effort.starts + 1)
        after_kill = time.perf_counter() - started
        broker.stop()
    limit = f"soft limit of {_SOFT_FILE_LIMIT} files"
    return [
        Row(_NAME, f"{what}, start to ready", "s", tuple(ready), goal=_MANY_START_GOAL, note=limit),
        Row(_NAME, f"{what}, start to a record in each", "s", tuple(led), goal=_MANY_START_GOAL),
        Row(_NAME, f"{what}, the same after kill -9", "s", (after_kill,)),
        Row(_NAME, f"{what}, memory when ready", "MiB", tuple(idle), goal=_MANY_MEMORY_GOAL),
        Row(_NAME, f"{what}, memory after that", "MiB", tuple(used), goal=_MANY_MEMORY_GOAL,
            note=f"{files} open files"),
    ]  # fmt: skip


def _write_everywhere(broker: BrokerProcess, count: int, offset: int) -> None:
    """Append a record to each partition, where it must get `offset`; those that have no leader yet
    are tried again."""
    left = list(range(count))
    deadline = time.monotonic() + _TIMEOUT_S
    with Connection(broker.port) as connection:
        while left:
            places = _write(connection, left)
            wrong = [
                place
                for place in places
                if place.get("offset") != offset and not place.get("retriable")
            ]
            if wrong or time.monotonic() > deadline:
                raise WrongAnswerError(f"Not at offset {offset}: {(wrong or places)[:3]}")
            left = [place["partition"] for place in places if "error" in place]


def _write(connection: Connection, partitions: Sequence[int]) -> list[dict[str, Any]]:
    """Append a record to each of the partitions; gives what became of them."""
    records = [{"partition": number, "value": number} for number in partitions]
    answer = connection.exchange(
        make_json_request("POST", "/v1/topics/wide/records", {"records": records})
    )
    document = answer.document()
    if "offsets" not in document:
        raise WrongAnswerError(f"Nothing was appended: {document}")
    places: list[dict[str, Any]] = document["offsets"]
    return places


@contextlib.contextmanager
def _soft_file_limit(limit: int) -> Iterator[None]:
    """What processes started meanwhile may have open, unless they raise it themselves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


CASE: Final = Case(_NAME, run)
