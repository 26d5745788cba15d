"""How soon a broker is there, and how much memory it takes, with few partitions and with many."""

import contextlib
import resource
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.case import Case
from benchmarks.connection import Connection, WrongAnswerError, make_json_request, make_request
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
    times, idle, used = [], [], []
    broker = testbed.make_broker()
    with _soft_file_limit(_SOFT_FILE_LIMIT):
        testbed.start(broker)
        create_topic(broker.port, "wide", count)
        _write_everywhere(broker, count, 0)
        for written in range(1, testbed.effort.starts + 1):
            broker.stop()
            started = time.perf_counter()
            testbed.start(broker)
            times.append(time.perf_counter() - started)
            idle.append(resident_mb(broker.pid))
            _write_everywhere(broker, count, written)
            used.append(resident_mb(broker.pid))
        files = open_files(broker.pid)
        broker.kill()
        started = time.perf_counter()
        testbed.start(broker)
        after_kill = time.perf_counter() - started
        _write_everywhere(broker, count, testbed.effort.starts + 1)
        broker.stop()
    limit = f"soft limit of {_SOFT_FILE_LIMIT} files"
    return [
        Row(_NAME, f"{what}, start to ready", "s", tuple(times), goal=_MANY_START_GOAL, note=limit),
        Row(_NAME, f"{what}, start after kill -9", "s", (after_kill,)),
        Row(_NAME, f"{what}, idle memory", "MiB", tuple(idle), goal=_MANY_MEMORY_GOAL),
        Row(_NAME, f"{what}, after a record to each", "MiB", tuple(used), goal=_MANY_MEMORY_GOAL,
            note=f"{files} open files"),
    ]  # fmt: skip


def _write_everywhere(broker: BrokerProcess, count: int, offset: int) -> None:
    """Append a record to each partition, all of which must be at `offset`."""
    records = [{"partition": number, "value": number} for number in range(count)]
    with Connection(broker.port) as connection:
        document = connection.expect(
            make_json_request("POST", "/v1/topics/wide/records", {"records": records})
        ).document()
        wrong = [place for place in document["offsets"] if place.get("offset") != offset]
        if wrong:
            raise WrongAnswerError(f"Not at offset {offset}: {wrong[:3]}")
        connection.expect(make_request("GET", f"/v1/topics/wide/partitions/{count - 1}/records"))


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
