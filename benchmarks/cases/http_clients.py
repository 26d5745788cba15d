"""HTTP clients of Python on one core: what the data path's own costs beside what it could use.

One connection, one request at a time, against the least that a server can do on the other core.
"""

import asyncio
import functools
import http.client
import importlib.util
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import uvloop

from benchmarks.case import Case
from benchmarks.rounds import take_turns
from benchmarks.row import Goal, Row
from benchmarks.testbed import Testbed
from tests.support.http_clients.httpx_client import HttpxClient
from tests.support.http_clients.ours import OurClient
from tests.support.http_clients.port import HttpClient

_NAME: Final = "http-clients"
_HERE: Final = "127.0.0.1"
_BODY: Final = bytes(300)
_LARGE: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_OURS: Final = "ours (transport/)"


class _Measured(NamedTuple):
    """One client in one round."""

    posts_s: float
    post_cpu_us: float
    """Of the client's process alone."""
    megabytes_s: float
    megabyte_cpu_us: float


def run(testbed: Testbed) -> list[Row]:
    """Rates of small posts and of answers of 1 MiB, and what each costs the client's core."""
    with testbed.running_module(testbed.cores.server, "benchmarks.raw_server") as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        seconds = testbed.effort.seconds
        found = take_turns(
            {
                name: functools.partial(measure, port, seconds)
                for name, measure in _measurements().items()
            },
            testbed.effort.rounds,
        )
    rows: list[Row] = []
    for what, unit, at_least in (
        ("posts_s", "POST of 300 B/s", True),
        ("post_cpu_us", "µs CPU a POST", False),
        ("megabytes_s", "MB/s, GET of 1 MiB", True),
        ("megabyte_cpu_us", "µs CPU a MB", False),
    ):
        values = {name: tuple(getattr(one, what) for one in all_) for name, all_ in found.items()}
        # Of the others, the one that costs least where it is installed.
        baseline = "pyreqwest" if "pyreqwest" in values else "httpx"
        for name, measured in values.items():
            goal = Goal(1.0, at_least=at_least) if name == _OURS else None
            rows.append(Row(_NAME, name, unit, measured, baseline, values[baseline], goal))
    return rows


def _measurements() -> dict[str, Callable[[int, float], _Measured]]:
    """By name of the client; those that are not installed are left out."""
    clients: dict[str, Callable[[], HttpClient]] = {_OURS: OurClient, "httpx": HttpxClient}
    if importlib.util.find_spec("aiohttp"):
        from tests.support.http_clients.aiohttp_client import (  # noqa: PLC0415 - may be missing
            AiohttpClient,
        )

        clients["aiohttp"] = AiohttpClient
    if importlib.util.find_spec("pyreqwest"):
        from tests.support.http_clients.pyreqwest_client import (  # noqa: PLC0415 - likewise
            PyreqwestClient,
        )

        clients["pyreqwest"] = PyreqwestClient
    measurements: dict[str, Callable[[int, float], _Measured]] = {
        name: functools.partial(_measure, make) for name, make in clients.items()
    }
    measurements["http.client"] = _measure_http_client
    return measurements


def _measure(make: Callable[[], HttpClient], port: int, seconds: float) -> _Measured:
    async def scene() -> _Measured:
        client = make()  # some have to be made on their loop
        post = functools.partial(client.post, _HERE, port, "/", (_BODY,), _TIMEOUT_S)
        get = functools.partial(client.get, _HERE, port, f"/{_LARGE}", _TIMEOUT_S)
        try:
            posts_s, post_cpu_us = await _rate(post, seconds)
            gets_s, get_cpu_us = await _rate(get, seconds)
        finally:
            await client.close()
        return _measured(posts_s, post_cpu_us, gets_s, get_cpu_us)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(scene())


async def _rate(ask: Callable[[], Awaitable[object]], seconds: float) -> tuple[float, float]:
    """Requests by the second, and microseconds of CPU each."""
    await ask()
    count, began, spent = 0, time.perf_counter(), time.process_time()
    while (taken := time.perf_counter() - began) < seconds:
        await ask()
        count += 1
    return count / taken, (time.process_time() - spent) / count * 1e6


def _measure_http_client(port: int, seconds: float) -> _Measured:
    connection = http.client.HTTPConnection(_HERE, port, timeout=_TIMEOUT_S)

    def ask(method: str, target: str, body: bytes | None) -> None:
        connection.request(method, target, body)
        connection.getresponse().read()

    async def post() -> None:
        ask("POST", "/", _BODY)

    async def get() -> None:
        ask("GET", f"/{_LARGE}", None)

    async def scene() -> _Measured:
        return _measured(*await _rate(post, seconds), *await _rate(get, seconds))

    try:
        return asyncio.run(scene())
    finally:
        connection.close()


def _measured(posts_s: float, post_cpu_us: float, gets_s: float, get_cpu_us: float) -> _Measured:
    megabytes = _LARGE / 1e6
    return _Measured(posts_s, post_cpu_us, gets_s * megabytes, get_cpu_us / megabytes)


CASE: Final = Case(_NAME, run, is_by_default=False)
