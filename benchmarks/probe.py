"""Latency of requests sent at a steady pace, whatever the server does."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.connection import Connection


def probe(port: int, request: bytes, *, rate: int, connections: int, seconds: float) -> list[float]:
    """Send one request `rate` times by the second; gives the milliseconds of each."""
    return probe_all(port, [request], rate=rate, connections=connections, seconds=seconds)


def probe_all(
    port: int, requests: Sequence[bytes], *, rate: int, connections: int, seconds: float
) -> list[float]:
    """Send `rate` requests by the second, those given in turn; gives the milliseconds of each.

    A request's time counts from when it was due, so one that is slow does not hide the ones that
    had to wait for it. All must be answered 200.
    """
    count = int(rate * seconds / connections)
    begin = time.perf_counter() + 0.1

    def send(number: int) -> list[float]:
        taken = []
        with Connection(port) as connection:
            for turn in range(count):
                place = turn * connections + number
                due = begin + place / rate
                time.sleep(max(due - time.perf_counter(), 0))
                connection.expect(requests[place % len(requests)])
                taken.append((time.perf_counter() - due) * 1e3)
        return taken

    with ThreadPoolExecutor(connections) as threads:
        return [one for taken in threads.map(send, range(connections)) for one in taken]
