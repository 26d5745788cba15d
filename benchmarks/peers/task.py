"""What a client's process is asked to do, and what it answers: a line of JSON each way."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec


class Task(msgspec.Struct, frozen=True):
    """One order. What an action does not need, it ignores."""

    action: str
    servers: str
    topic: str
    count: int = 0
    """Of records."""
    values: str = "100"
    """Which ones: see `make_values`."""
    acks: str = "1"
    compression: str = "none"
    replicas: int = 1


class Outcome(msgspec.Struct, frozen=True):
    """How it went."""

    records: int = 0
    size: int = 0
    """Of their values together, in bytes."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Processor time of the client's process, all threads."""
    latencies_ms: Sequence[float] = ()
    """Of each record, where they went one at a time."""
    end_offset: int = -1
    failure: str = ""


class Stopwatch:
    """Time and processor time from when it was made."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._started = time.perf_counter()

    def outcome(self, records: int, size: int, latencies_ms: Sequence[float] = ()) -> Outcome:
        """What there is to say now that `records` went through."""
        seconds = time.perf_counter() - self._started
        return Outcome(records, size, seconds, time.process_time() - self._cpu, latencies_ms)


Action = Callable[[Task], Outcome]


def serve(actions: Mapping[str, Action]) -> None:
    """Do what the lines of standard input say, until they end."""
    for line in sys.stdin.buffer:
        task = msgspec.json.decode(line, type=Task)
        try:
            outcome = actions[task.action](task)
        except Exception as error:  # noqa: BLE001 - whoever asked must know, whatever it was
            outcome = Outcome(failure=f"{type(error).__name__}: {error}")
        print(msgspec.json.encode(outcome).decode(), flush=True)
