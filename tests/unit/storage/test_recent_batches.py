"""What was appended last is given from memory: the same bytes, in bounded room, not for ever."""

import pytest

from kafkalite.storage.log import Log
from kafkalite.storage.recent_batches import RecentBatches, RecentBudget
from kafkalite.wire.batch import read_headers
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import MAX_BYTES, append, batch, open_log

_BUDGET = 1_000


@pytest.fixture
def budget() -> RecentBudget:
    return RecentBudget(_BUDGET)


@pytest.fixture
def log(budget: RecentBudget) -> Log:
    """A log with a record from before anybody followed, that keeps what is appended from now on."""
    _, log = open_log(FaultyDisk())
    append(log, b"before")
    log.recent = RecentBatches(budget)
    return log


def _recent(log: Log) -> RecentBatches:
    assert log.recent is not None
    return log.recent


def test_memory_gives_what_the_disk_would(log: Log) -> None:
    append(log, b"a", b"b", epoch=3)
    append(log, b"c", epoch=3)
    found = _recent(log).find(1, MAX_BYTES)
    assert found is not None
    assert found.next_offset == log.end_offset == 4
    assert found.read() == log.read(1, MAX_BYTES, 4).read()
    assert (found.size, found.try_read()) == (len(found.read()), b"".join(found.buffers))


def test_only_batches_that_begin_at_the_offset_are_found(log: Log) -> None:
    append(log, b"a", b"b")
    assert _recent(log).find(0, MAX_BYTES) is None
    assert _recent(log).find(2, MAX_BYTES) is None
    assert _recent(log).find(3, MAX_BYTES) is None


def test_one_batch_is_given_however_large_and_no_other_beyond_the_limit(log: Log) -> None:
    both = batch(b"a")[0] + batch(b"b" * 100)[0]
    log.append(both, read_headers(both), 0)
    first = _recent(log).find(1, 1)
    assert first is not None
    assert (first.size, first.next_offset) == (len(batch(b"a")[0]), 2)
    whole = _recent(log).find(1, len(both))
    assert whole is not None
    assert (whole.size, whole.next_offset) == (len(both), 3)


def test_batches_that_all_have_are_let_go_of(log: Log, budget: RecentBudget) -> None:
    append(log, b"a", b"b")
    append(log, b"c")
    _recent(log).drop_below(2)
    assert _recent(log).find(1, MAX_BYTES) is not None, "its last record is at 2"
    _recent(log).drop_below(3)
    assert _recent(log).find(1, MAX_BYTES) is None
    assert _recent(log).find(3, MAX_BYTES) is not None
    _recent(log).drop_below(4)
    assert budget.left == _BUDGET


def test_what_finds_no_room_is_not_kept_and_stops_no_later_batch(
    log: Log, budget: RecentBudget
) -> None:
    append(log, b"a")
    append(log, b"x" * _BUDGET)
    append(log, b"b")
    first = _recent(log).find(1, MAX_BYTES)
    assert first is not None
    assert first.next_offset == 2, "there is a gap"
    assert _recent(log).find(2, MAX_BYTES) is None
    assert _recent(log).find(3, MAX_BYTES) is not None
    assert 0 < budget.left < _BUDGET
    _recent(log).clear()
    assert budget.left == _BUDGET
    assert _recent(log).find(1, MAX_BYTES) is None


def test_a_small_part_of_a_request_does_not_keep_the_rest_in_memory(log: Log) -> None:
    small, header = batch(b"a")
    request = bytes(1000) + small
    log.append(memoryview(request)[1000:], [header], 0)
    append(log, b"b")
    found = _recent(log).find(1, MAX_BYTES)
    assert found is not None
    kept = [each for each in found.buffers if isinstance(each, memoryview)]
    assert all(each.obj is not request for each in kept)
    assert found.read() == log.read(1, MAX_BYTES, 3).read()
