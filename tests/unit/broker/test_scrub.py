"""The scrub reads everything once a round, at a pace, and leaves nobody waiting."""

import asyncio
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import ScrubProbe
from kafkalite.broker.scrub import Scrub
from kafkalite.model.errors import UnknownTopicOrPartitionError
from tests.support.fake_clock import FakeClock
from tests.support.partitions import Logs, batch_of, flush

_HOUR_MS = 3_600_000
_SMALL_SEGMENTS = {"segment.bytes": "400"}


class _Pace:
    """Stands for asyncio.sleep, and moves the clock by what is slept."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.slept_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.clock.now_ms += round(seconds * 1000)


@pytest.fixture
def pace(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> _Pace:
    made = _Pace(logs.clock)
    monkeypatch.setattr("kafkalite.broker.scrub.asyncio.sleep", made.sleep)
    return made


def _filled(logs: Logs, number: int = 0, batches: int = 10) -> Partition:
    partition = logs.led(number, config=_SMALL_SEGMENTS)
    for _ in range(batches):
        batch, header = batch_of(b"x" * 100)
        partition.append(batch, [header], acks_all=False)
    flush(partition)
    return partition


def _flip(partition: Partition, segment: int, position: int = 150) -> None:
    path: Path = sorted(partition.log.directory.glob("*.log"))[segment]
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def _scrub(
    logs: Logs,
    partitions: Sequence[Partition],
    *,
    interval_ms: int = _HOUR_MS,
    most: int = 1 << 30,
    probe: ScrubProbe | None = None,
    seed: int = 0,
) -> Scrub:
    return Scrub(
        partitions,
        logs.clock,
        probe or ScrubProbe(),
        interval_ms=interval_ms,
        bytes_per_second=most,
        chance=random.Random(seed),
    )


@pytest.mark.parametrize("segment", [0, 2, -1])
def test_damage_is_found_in_closed_segments_and_in_the_active_one(
    logs: Logs, pace: _Pace, segment: int
) -> None:
    sound, damaged = _filled(logs), _filled(logs, 1)
    _flip(damaged, segment)
    asyncio.run(_scrub(logs, [sound, damaged]).round())
    assert not sound.log.damaged
    assert len(damaged.log.damaged) == 1
    assert pace.slept_s


def test_round_reads_everything_once_and_is_spread_over_the_interval(
    logs: Logs, pace: _Pace
) -> None:
    partitions = [_filled(logs, number) for number in range(3)]
    total = sum(each.log.size_bytes for each in partitions)
    probe = ScrubProbe()
    scrub = _scrub(logs, partitions, probe=probe)
    began_ms = logs.clock.now_ms
    asyncio.run(scrub.round())
    assert probe.bytes == total
    assert probe.rounds == 1
    assert probe.segments == sum(len(list(each.log.directory.glob("*.log"))) for each in partitions)
    assert logs.clock.now_ms - began_ms == pytest.approx(_HOUR_MS - scrub.pause_ms, abs=100)
    assert max(pace.slept_s) < _HOUR_MS / 1000 / 10, "it is not spread"


def test_rate_is_bounded_where_the_interval_is_too_short(
    logs: Logs, pace: _Pace, caplog: pytest.LogCaptureFixture
) -> None:
    partition = _filled(logs)
    scrub = _scrub(logs, [partition], interval_ms=10, most=1000)
    began_ms = logs.clock.now_ms
    asyncio.run(scrub.round())
    taken_ms = logs.clock.now_ms - began_ms
    assert taken_ms == pytest.approx(partition.log.size_bytes, rel=0.05)
    assert "log.scrub.bytes.per.second" in caplog.text
    assert pace.slept_s


def test_what_comes_during_a_round_that_began_with_next_to_nothing_does_not_stretch_it(
    logs: Logs, pace: _Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = [_filled(logs, 0, batches=1), logs.led(1, config=_SMALL_SEGMENTS)]

    async def sleep(seconds: float) -> None:
        if not pace.slept_s:
            for _ in range(500):
                batch, header = batch_of(b"x" * 100)
                partitions[1].append(batch, [header], acks_all=False)
            flush(partitions[1])
        await pace.sleep(seconds)

    monkeypatch.setattr("kafkalite.broker.scrub.asyncio.sleep", sleep)
    scrub = _scrub(logs, partitions, seed=2)  # it begins with the first
    began_ms = logs.clock.now_ms
    asyncio.run(scrub.round())
    assert logs.clock.now_ms - began_ms <= _HOUR_MS


def test_broker_without_logs_rests(logs: Logs, pace: _Pace) -> None:
    scrub = _scrub(logs, [])
    asyncio.run(scrub.round())
    assert pace.slept_s == [(_HOUR_MS - scrub.pause_ms) / 1000]


def test_first_round_begins_somewhere_and_the_others_at_the_first(
    logs: Logs, pace: _Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = [_filled(logs, number) for number in range(5)]
    order: list[int] = []

    async def note(_: Scrub, partition: Partition, __: float) -> None:
        order.append(partition.topic_partition.partition)

    monkeypatch.setattr(Scrub, "_check_log", note)
    firsts = set()
    for seed in range(20):
        order.clear()
        scrub = _scrub(logs, partitions, seed=seed)
        asyncio.run(scrub.round())
        asyncio.run(scrub.round())
        assert sorted(order[:5]) == order[5:] == [0, 1, 2, 3, 4]
        firsts.add(order[0])
    assert len(firsts) > 1
    assert pace.slept_s


def test_partition_that_leaves_in_the_middle_ends_its_check_without_a_word(
    logs: Logs, pace: _Pace, caplog: pytest.LogCaptureFixture
) -> None:
    partition = _filled(logs)

    async def scenario() -> None:
        scrubbing = asyncio.create_task(_scrub(logs, [partition], probe=probe).round())
        while not probe.bytes:
            await asyncio.to_thread(lambda: None)
        partition.close(UnknownTopicOrPartitionError("gone"))
        logs.directories.remove_log(partition.log)
        await asyncio.wait_for(scrubbing, 30)

    probe = ScrubProbe()
    asyncio.run(scenario())
    assert probe.errors == 0
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert pace.slept_s


def test_segment_that_the_disk_does_not_give_is_counted_and_the_others_are_checked(
    logs: Logs, pace: _Pace, caplog: pytest.LogCaptureFixture
) -> None:
    partition = _filled(logs)
    _flip(partition, 2)
    first = sorted(partition.log.directory.glob("*.log"))[0]
    first.rename(first.with_suffix(".away"))
    probe = ScrubProbe()
    asyncio.run(_scrub(logs, [partition], probe=probe).round())
    assert probe.errors == 1
    assert str(first) in caplog.text
    assert len(partition.log.damaged) == 1
    assert pace.slept_s
