"""wrk, as the load of cases with small requests."""

import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.connection import WrongAnswerError
from benchmarks.cores import on_core

_SCRIPT: Final = Path(__file__).with_name("post.lua")
_STARTING_S: Final = 60.0
"""How much longer than asked wrk may take before something is wrong."""


class _Summary(msgspec.Struct):
    requests: int
    microseconds: int
    bad_answers: int
    broken: int
    median_us: int
    p99_us: int


class Load(NamedTuple):
    """What one run of wrk did; all of its requests were answered well."""

    requests: int
    rate: float
    """Requests by the second."""
    p99_ms: float
    busy: float
    """Share of its core that wrk used."""


def why_no_wrk() -> str | None:
    """Why wrk cannot be run here, or None when it can."""
    return None if shutil.which("wrk") else "wrk is not installed (Debian: apt-get install wrk)"


def post(
    url: str,
    body: bytes,
    *,
    connections: int,
    seconds: int,
    core: int,
    content_type: str = "application/json",
) -> Load:
    """Post `body` over kept connections, each as soon as its last request is answered.

    Raises:
        WrongAnswerError: a request failed or was refused.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(_SCRIPT)]
    started, used = time.perf_counter(), _children_cpu()
    with on_core(core), tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        done = subprocess.run(
            [*command, url, "--", file.name, content_type],
            capture_output=True,
            text=True,
            timeout=seconds + _STARTING_S,
            check=False,
        )
    took, used = time.perf_counter() - started, _children_cpu() - used
    if done.returncode != 0:
        raise WrongAnswerError(f"wrk failed: {done.stderr or done.stdout}")
    summary = msgspec.json.decode(done.stdout.splitlines()[-1], type=_Summary)
    if summary.bad_answers or summary.broken or not summary.requests:
        raise WrongAnswerError(f"{url}: {summary}")
    rate = summary.requests / (summary.microseconds / 1e6)
    return Load(summary.requests, rate, summary.p99_us / 1e3, used / took)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
