"""Group commit: one flush at a time for a log directory, for all that was appended meanwhile."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import FlushProbe
from kafkalite.model.errors import KafkaStorageError
from kafkalite.storage.flush import FlushJob

_PAUSE_S: Final = 0.01
"""A round costs as much as dozens of requests: where nobody waits, fewer are made."""

_log = logging.getLogger(__name__)
_Batch = list[tuple[Partition, FlushJob]]
_Outcome = tuple[float, list[Exception | None]]
"""Seconds taken, and the error of each job."""


class Flusher:
    """Makes appended records durable, off the loop, for the partitions of one log directory.

    One fdatasync a file serves every record that came while the one before it ran: the more
    producers wait, the more share it. `request()` and `close()` are called on the loop; the thread
    touches nothing but the jobs it is given.
    """

    def __init__(self, name: str, probe: FlushProbe) -> None:
        self._probe = probe
        self._dirty: set[Partition] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"flush-{name}")
        self._is_awaited = False
        """Whether anyone waits for what is dirty."""
        self._pause: asyncio.TimerHandle | None = None
        """Between two rounds for which nobody waits."""
        self._busy = False
        """A round is scheduled or running."""
        self._round: asyncio.Future[_Outcome] | None = None
        """The one that is running."""
        self._idle = asyncio.Event()
        self._idle.set()

    def request(self, partition: Partition, *, is_awaited: bool = True) -> None:
        """Flush `partition` soon; cheap, and idempotent until then.

        Args:
            partition: has records that are not durable.
            is_awaited: whether anyone waits for them; else the next round may begin a little later.
        """
        self._dirty.add(partition)
        if is_awaited:
            self._is_awaited = True
        if not self._busy:
            self._busy = True
            self._idle.clear()
            # Not at once: all appends of this turn of the loop share the flush.
            asyncio.get_running_loop().call_soon(self._start_round)
        elif is_awaited and self._pause is not None:
            self._pause.cancel()
            self._pause = None
            asyncio.get_running_loop().call_soon(self._start_round)

    async def forget(self, partition: Partition) -> None:
        """The partition is going away: return once no round works on its files, or will.

        A flush of files that are gone would look like a failure of the disk.
        """
        self._dirty.discard(partition)
        if self._round is not None:
            await asyncio.wait((self._round,))

    async def wait_idle(self) -> None:
        """Wait until everything requested so far is flushed or has failed."""
        await self._idle.wait()

    async def close(self) -> None:
        await self._idle.wait()
        self._thread.shutdown()

    def _start_round(self) -> None:
        self._pause = None
        self._is_awaited = False
        dirty, self._dirty = self._dirty, set()
        batch: _Batch = []
        for partition in dirty:
            with _harming_no_other(partition):
                job = _job_of(partition)
                if job is not None:
                    batch.append((partition, job))
        if not batch:
            self._end_round()
            return
        loop = asyncio.get_running_loop()
        self._round = loop.run_in_executor(self._thread, _run, [job for _, job in batch])
        self._round.add_done_callback(lambda done: self._finish_round(batch, done.result()))

    def _finish_round(self, batch: _Batch, outcome: _Outcome) -> None:
        self._round = None
        seconds, errors = outcome
        self._probe.observe(seconds, len(batch))
        for (partition, job), error in zip(batch, errors, strict=True):
            with _harming_no_other(partition):
                _take_outcome(partition, job, error)
        self._end_round()

    def _end_round(self) -> None:
        """Begin the next round, if there is anything to flush."""
        loop = asyncio.get_running_loop()
        if self._dirty and self._is_awaited:
            # Not at once: those whom this round served ask again, and the next one may as well
            # serve them, too. A turn of the loop reads their requests, another appends.
            loop.call_soon(loop.call_soon, self._start_round)
        elif self._dirty:
            self._pause = loop.call_later(_PAUSE_S, self._start_round)
        else:
            self._busy = False
            self._idle.set()


def _job_of(partition: Partition) -> FlushJob | None:
    failure = partition.log.failure
    if failure is None:
        return partition.log.flush_job()
    # For another reason, or another log's of the directory.
    partition.on_flush_failed(failure)
    return None


def _take_outcome(partition: Partition, job: FlushJob, error: Exception | None) -> None:
    partition.log.flushed(job, error)
    if error is None:
        partition.on_flushed()
    else:
        _log.error("flush of %s failed: %s", partition.topic_partition, error)
        partition.on_flush_failed(
            KafkaStorageError(f"Flushing {partition.topic_partition} failed: {error}")
        )


@contextlib.contextmanager
def _harming_no_other(partition: Partition) -> Iterator[None]:
    """Keep what nobody foresaw of one partition from the round, which the others wait for."""
    try:
        yield
    except Exception:  # noqa: BLE001 - whatever it is, the others are to be flushed
        _log.exception("flushing %s failed", partition.topic_partition)


def _run(jobs: Sequence[FlushJob]) -> _Outcome:
    """Run the jobs; a bad file harms itself only."""
    started = time.perf_counter()
    errors: list[Exception | None] = []
    for job in jobs:
        try:
            job.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known to be durable
            errors.append(error)
        else:
            errors.append(None)
    return time.perf_counter() - started, errors
