"""What a log knows of idempotent producers: retries told from new batches (IDP-1 to IDP-4)."""

import pytest

from kafkalite.model.errors import (
    InvalidProducerEpochError,
    OutOfOrderSequenceNumberError,
    UnknownProducerIdError,
)
from kafkalite.storage.producer_state import (
    MAX_SEQUENCE,
    TIME_UNKNOWN,
    ProducerState,
    StoredBatch,
)
from kafkalite.wire.batch import BatchHeader, unsealed


def header(
    sequence: int, count: int = 1, *, producer_id: int = 7, epoch: int = 0, timestamp: int = 5
) -> BatchHeader:
    """Of a batch of `count` records from `sequence` on."""
    return unsealed(count, timestamp, timestamp)._replace(
        producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence
    )


class _Log:
    """Takes batches as a leader does, at the next offsets."""

    def __init__(self, max_producers: int = 100) -> None:
        self.state = ProducerState(max_producers)
        self.end = 0

    def take(self, *headers: BatchHeader) -> list[int]:
        """Base offsets of those that were stored before; the others are stored."""
        stored = self.state.stored(headers)
        for each in headers[len(stored) :]:
            self.state.note(each, self.end)
            self.end += each.record_count
        return [each.base_offset for each in stored]


def test_batches_that_follow_each_other_are_new() -> None:
    log = _Log()
    assert log.take(header(0, 3)) == []
    assert log.take(header(3, 2)) == []
    assert log.take(header(5)) == []
    assert log.end == 6


def test_a_retry_of_any_of_the_last_five_is_found_where_it_was_stored() -> None:
    log = _Log()
    for sequence in range(0, 14, 2):
        log.take(header(sequence, 2))
    for sequence in range(4, 14, 2):
        assert log.take(header(sequence, 2)) == [sequence]
    assert log.end == 14


def test_a_retry_from_before_the_last_five_is_refused() -> None:
    log = _Log()
    for sequence in range(6):
        log.take(header(sequence))
    with pytest.raises(OutOfOrderSequenceNumberError, match="6 is due"):
        log.take(header(0))


@pytest.mark.parametrize(
    ("sequence", "count"), [(4, 1), (2, 2), (1, 3), (2, 1), (0, 2), (MAX_SEQUENCE, 1)]
)
def test_what_neither_follows_nor_repeats_a_batch_is_refused(sequence: int, count: int) -> None:
    log = _Log()
    log.take(header(0, 1))
    log.take(header(1, 2))
    before = log.state.copy()
    with pytest.raises(OutOfOrderSequenceNumberError):
        log.take(header(sequence, count))
    assert log.state.copy() == before


def test_an_unknown_producer_must_begin_at_zero() -> None:
    log = _Log()
    with pytest.raises(UnknownProducerIdError, match="sequence 0, not 1"):
        log.take(header(1))
    assert len(log.state) == 0
    assert log.take(header(0, epoch=9)) == []


def test_an_older_epoch_is_refused_even_where_it_is_a_retry() -> None:
    log = _Log()
    log.take(header(0, epoch=1))
    log.take(header(0, epoch=2))
    with pytest.raises(InvalidProducerEpochError, match="epoch 2, later than 1"):
        log.take(header(0, epoch=1))


def test_a_new_epoch_begins_at_zero_and_forgets_what_was_before() -> None:
    log = _Log()
    log.take(header(0, 4))
    with pytest.raises(OutOfOrderSequenceNumberError, match="0 is due"):
        log.take(header(4, epoch=1))
    assert log.take(header(0, 4, epoch=1)) == []
    assert log.take(header(0, 4, epoch=1)) == [4]


def test_sequences_wrap_to_zero_after_the_greatest() -> None:
    log = _Log()
    log.state.note(header(MAX_SEQUENCE - 3, 2), 0)
    assert log.take(header(MAX_SEQUENCE - 1, 4)) == []
    assert log.take(header(2)) == []
    assert log.take(header(MAX_SEQUENCE - 1, 4)) == [0]
    log.state.note(header(MAX_SEQUENCE, epoch=1), 9)
    assert log.take(header(0, epoch=1)) == []


def test_producers_do_not_know_of_each_other() -> None:
    log = _Log()
    assert log.take(header(0, producer_id=1)) == []
    assert log.take(header(0, producer_id=2)) == []
    assert log.take(header(0, producer_id=1)) == [0]
    assert log.take(header(0, producer_id=2)) == [1]


def test_of_several_batches_the_first_ones_may_be_retries() -> None:
    log = _Log()
    log.take(header(0), header(1, 2))
    assert log.take(header(0), header(1, 2)) == [0, 1]
    assert log.take(header(1, 2), header(3), header(4)) == [1]
    assert log.end == 5
    with pytest.raises(OutOfOrderSequenceNumberError):
        log.take(header(5), header(4))
    with pytest.raises(OutOfOrderSequenceNumberError):
        log.take(header(5), header(7))
    assert log.end == 5


def test_nothing_is_known_that_was_not_noted() -> None:
    """Deciding changes nothing: the write may still fail (IDP-3)."""
    state = ProducerState(10)
    assert state.stored([header(0)]) == []
    assert len(state) == 0
    assert state.stored([header(0)]) == []


def test_a_stored_batch_tells_its_place_and_time() -> None:
    state = ProducerState(10)
    state.note(header(0, 3, timestamp=11), 40)
    assert state.stored([header(0, 3)]) == [StoredBatch(0, 2, 40, 42, 11)]


def test_the_producer_not_heard_of_for_longest_goes_when_there_are_too_many() -> None:
    log = _Log(max_producers=2)
    log.take(header(0, producer_id=1))
    log.take(header(0, producer_id=2))
    log.take(header(1, producer_id=1))
    log.take(header(0, producer_id=3))
    assert [producer_id for producer_id, _ in log.state] == [1, 3]


def test_producers_expire_when_nothing_was_heard_of_them_for_long_enough() -> None:
    log = _Log()
    log.state.begin(1_000)
    log.take(header(0, producer_id=1))
    log.state.now_ms = 1_500
    log.take(header(0, producer_id=2))
    assert log.state.expire(1_999, 1_000) == 0
    assert log.state.expire(2_000, 1_000) == 1
    assert [producer_id for producer_id, _ in log.state] == [2]
    assert log.state.expire(2_500, 1_000) == 1


def test_old_records_do_not_make_a_producer_old() -> None:
    """Time is that of the append and not the records' own: who copies old records is not idle."""
    state = ProducerState(10)
    state.begin(10_000)
    state.note(header(0, timestamp=1), 0)
    assert state.expire(10_001, 1_000) == 0


def test_what_was_read_from_the_log_counts_as_seen_when_time_is_told() -> None:
    state = ProducerState(10)
    state.note(header(0), 0)
    known = state.get(7)
    assert known is not None
    assert known.seen_ms == TIME_UNKNOWN
    state.begin(5_000)
    assert state.expire(5_999, 1_000) == 0
    assert state.expire(6_000, 1_000) == 1
