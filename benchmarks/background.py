"""Load that runs beside what is measured: `python -m benchmarks.background read|write PORT TOPIC`.

Runs until SIGTERM; then prints how many bytes it moved, and in how many seconds.
"""

import os
import signal
import sys
import time
from types import FrameType
from typing import Final

import msgspec

from benchmarks.connection import Connection
from benchmarks.raw_records import fetch, make_batch, produce, produce_request
from benchmarks.topics import end_offset
from kafkalite.wire.messages import ACKS_LEADER

LARGE_BATCH_RECORDS: Final = 9_700
"""Make a batch of nearly 1 MiB, the largest that a broker takes by default."""
_NICENESS: Final = 19
"""Shares its core with the one who measures, who must not wait for it."""


class BackgroundResult(msgspec.Struct):
    """What it prints."""

    size: int
    seconds: float


class _Ended:
    """Becomes true at SIGTERM."""

    def __init__(self) -> None:
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, _number: int, _frame: FrameType | None) -> None:
        self.is_set = True


def _read(connection: Connection, topic: str, end: int, ended: _Ended) -> int:
    """Read the topic from its start again and again."""
    size = 0
    while not ended.is_set:
        offset = 0
        while offset < end and not ended.is_set:
            moved, offset = fetch(connection, topic, offset)
            size += moved
    return size


def _write(connection: Connection, topic: str, ended: _Ended) -> int:
    """Append large batches."""
    size = 0
    batch = make_batch(LARGE_BATCH_RECORDS)
    request = produce_request(topic, batch, ACKS_LEADER)
    while not ended.is_set:
        produce(connection, request)
        size += len(batch)
    return size


def main() -> None:
    """Move bytes until told to end."""
    what, port, topic = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    ended = _Ended()
    os.nice(_NICENESS)
    end = end_offset(port, topic)
    started = time.perf_counter()
    with Connection(port) as connection:
        if what == "read":
            size = _read(connection, topic, end, ended)
        else:
            size = _write(connection, topic, ended)
    result = BackgroundResult(size, time.perf_counter() - started)
    print(msgspec.json.encode(result).decode(), flush=True)


if __name__ == "__main__":
    main()
