"""Reads what lies on the disks once in a while, so that damage is found before it is needed."""

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Final, NamedTuple

from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import ScrubProbe
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError
from kafkalite.storage.segment_check import SegmentCheck

_STEP_BYTES: Final = 128 << 10
"""Checked in one go, in a thread: small batches keep it busy for a few milliseconds."""
_MAX_PAUSE_MS: Final = 60_000
_ROUNDS_A_PAUSE: Final = 10

_log = logging.getLogger(__name__)


class _Pace(NamedTuple):
    """How fast a round goes."""

    most: float
    """Bytes a second, never more."""
    even: float
    """Bytes a second that fill the round, of what there was when it began."""
    ends_ms: int
    """When the round is to be over: what came since it began is read in the time that is left."""

    def seconds_for(self, size: int, now_ms: int) -> float:
        """How long `size` bytes shall take."""
        left_s = max(self.ends_ms - now_ms, 0) / 1000
        return max(min(size / self.even, left_s), size / self.most)


class Scrub:
    """Checks every segment of every log once in an interval, at an even pace.

    A chore: who owns it calls `round` again and again, with `pause_ms` in between, on the loop. The
    reading is done in threads, a step at a time; nothing but the outcome touches a log.
    """

    def __init__(
        self,
        partitions: Iterable[Partition],
        clock: Clock,
        probe: ScrubProbe,
        *,
        interval_ms: int,
        bytes_per_second: int,
        chance: random.Random,
    ) -> None:
        """Assign only.

        Args:
            partitions: those held here; looked at anew in each round.
            clock: the machine's.
            probe: counts.
            interval_ms: in which everything is read once.
            bytes_per_second: never more than that, even where the interval is then too short.
            chance: where to begin: a broker that is often started again begins elsewhere each time.
        """
        self._partitions = partitions
        self._clock = clock
        self._probe = probe
        self._interval_ms = interval_ms
        self._most = bytes_per_second
        self._chance = chance
        self._is_first_round = True

    @property
    def pause_ms(self) -> int:
        """How long to rest between two rounds; a round takes the rest of the interval."""
        return min(max(self._interval_ms // _ROUNDS_A_PAUSE, 1), _MAX_PAUSE_MS)

    async def round(self) -> None:
        """Check all segments that there are, over the time that a round may take."""
        held = sorted(self._partitions, key=lambda each: each.topic_partition)
        if self._is_first_round and held:
            first = self._chance.randrange(len(held))
            held = held[first:] + held[:first]
            self._is_first_round = False
        total = sum(partition.log.size_bytes for partition in held)
        round_ms = max(self._interval_ms - self.pause_ms, 1)
        wanted = total * 1000 / round_ms
        if wanted > self._most:
            _log.warning(
                "Checking %d bytes of logs takes longer than log.scrub.interval.ms: "
                "log.scrub.bytes.per.second allows %d, and %d are needed",
                total, self._most, round(wanted),
            )  # fmt: skip
        began_ms = self._clock.monotonic_ms()
        pace = _Pace(self._most, max(wanted, 1.0), began_ms + round_ms)
        for partition in held:
            await self._check_log(partition, pace)
        self._probe.rounds += 1
        # What was deleted meanwhile left time over.
        left_ms = round_ms - (self._clock.monotonic_ms() - began_ms)
        await asyncio.sleep(max(left_ms, 0) / 1000)

    async def _check_log(self, partition: Partition, pace: _Pace) -> None:
        log, offset = partition.log, 0
        # It may leave this broker meanwhile, or its disk fail.
        while partition.state is not None and log.failure is None:
            check = log.next_check(offset)
            if check is None:
                return
            try:
                await self._check(check, pace)
                log.checked(check)
            except (OSError, LogError) as error:
                if partition.state is not None and log.is_current(check):
                    self._probe.errors += 1
                    _log.error("%s cannot be checked: %s", check.segment.path, error)
            self._probe.segments += 1
            offset = check.end_offset
            if check.is_active:
                return  # what came meanwhile is for the next round

    async def _check(self, check: SegmentCheck, pace: _Pace) -> None:
        has_more = True
        while has_more:
            before, began_ms = check.position, self._clock.monotonic_ms()
            has_more = await asyncio.to_thread(check.step, _STEP_BYTES)
            size = check.position - before
            self._probe.bytes += size
            now_ms = self._clock.monotonic_ms()
            taken_s = (now_ms - began_ms) / 1000
            await asyncio.sleep(max(pace.seconds_for(size, now_ms) - taken_s, 0))
