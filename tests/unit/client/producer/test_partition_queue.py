import pytest

from kafkalite.client.errors import NotSentError
from kafkalite.client.producer.partition_queue import (
    DOUBT_S,
    MAX_EPOCH,
    Identity,
    PartitionQueue,
    Verdict,
)
from kafkalite.client.producer.producer_batch import ProducerBatch
from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    InvalidProducerEpochError,
    LogError,
    MessageTooLargeError,
    NetworkError,
    NotEnoughReplicasError,
    NotLeaderOrFollowerError,
    OutOfOrderSequenceNumberError,
    PolicyViolationError,
    UnknownProducerIdError,
)
from kafkalite.model.ids import TopicPartition

PLACE = TopicPartition("t", 0)


def _batch(count: int = 1, deadline_s: float = 120.0) -> ProducerBatch:
    batch = ProducerBatch("t", 0, now_ms=0, now_s=0.0, deadline_s=deadline_s)
    for number in range(count):
        batch.add(b"%d" % number, None, (), None, 20)
    batch.close(Compression.NONE)
    return batch


def _queue(
    *counts: int, is_idempotent: bool = True, retries: int = 99, accepts_loss: bool = False
) -> PartitionQueue:
    queue = PartitionQueue(
        PLACE,
        is_idempotent=is_idempotent,
        max_in_flight=5,
        retries=retries,
        accepts_loss=accepts_loss,
    )
    queue.ready.extend(map(_batch, counts))
    if is_idempotent:
        assert queue.identify(7)
    return queue


def _send(queue: PartitionQueue) -> ProducerBatch:
    batch = queue.next_to_send()
    assert batch is not None
    queue.sent(batch)
    return batch


def _send_all(queue: PartitionQueue) -> list[ProducerBatch]:
    sent = []
    while (batch := queue.next_to_send()) is not None:
        queue.sent(batch)
        sent.append(batch)
    return sent


def _refuse(
    queue: PartitionQueue,
    batch: ProducerBatch,
    error: LogError,
    *,
    is_open: bool = False,
    now_s: float = 1.0,
    log_start_offset: int = -1,
) -> Verdict:
    return queue.refused(
        batch, error, is_open=is_open, now_s=now_s, log_start_offset=log_start_offset
    )


def _numbers(batches: list[ProducerBatch]) -> list[tuple[int, int]]:
    return [(batch.producer_epoch, batch.base_sequence) for batch in batches]


def test_batches_are_numbered_by_their_records() -> None:
    queue = _queue(3, 1, 2)
    assert _numbers(_send_all(queue)) == [(0, 0), (0, 3), (0, 4)]


def test_five_batches_are_under_way_at_most() -> None:
    queue = _queue(*[1] * 7)
    sent = _send_all(queue)
    assert len(sent) == 5
    queue.accepted(sent[0])
    assert len(_send_all(queue)) == 1


def test_the_oldest_without_an_answer_is_among_the_last_five() -> None:
    queue = _queue(*[1] * 9)
    sent = _send_all(queue)
    for batch in sent[1:]:
        queue.accepted(batch)
    assert queue.next_to_send() is None
    queue.accepted(sent[0])
    assert len(_send_all(queue)) == 4


def test_nothing_is_numbered_before_there_is_a_producer_id() -> None:
    queue = PartitionQueue(PLACE, is_idempotent=True, max_in_flight=5, retries=9)
    queue.ready.append(_batch())
    assert queue.needs_producer_id()
    assert queue.next_to_send() is None


def test_a_batch_goes_again_with_its_number_before_new_ones() -> None:
    queue = _queue(1, 1, 1)
    first = _send(queue)
    assert _refuse(queue, first, NetworkError(), is_open=True) is Verdict.AGAIN
    assert not queue.takes_new
    assert _send(queue) is first
    assert _numbers([first, *_send_all(queue)]) == [(0, 0), (0, 1), (0, 2)]


def test_batches_behind_a_refused_one_follow_it_in_order() -> None:
    queue = _queue(1, 1, 1)
    sent = _send_all(queue)
    _refuse(queue, sent[0], NotLeaderOrFollowerError())
    for batch in sent[1:]:
        assert _refuse(queue, batch, OutOfOrderSequenceNumberError()) is Verdict.AGAIN
    assert not queue.has_gap
    assert _send_all(queue) == sent
    assert _numbers(sent) == [(0, 0), (0, 1), (0, 2)]


def test_a_batch_is_not_sent_behind_an_older_one_for_ever() -> None:
    queue = _queue(1, 1)
    first, second = _send_all(queue)
    for _ in range(2):
        _refuse(queue, second, OutOfOrderSequenceNumberError())
        queued = queue.next_to_send()
        if queued is not None:
            queue.sent(queued)
    assert queue.next_to_send() is None
    queue.accepted(first)
    assert _send(queue) is second


def test_a_refusal_for_good_begins_a_new_epoch_for_what_was_sent_behind() -> None:
    queue = _queue(1, 2, 1)
    first, second, third = _send_all(queue)
    assert _refuse(queue, first, PolicyViolationError()) is Verdict.FAILED
    _refuse(queue, second, OutOfOrderSequenceNumberError())
    assert queue.next_to_send() is None  # the third has no answer yet
    _refuse(queue, third, OutOfOrderSequenceNumberError())
    assert _send_all(queue) == [second, third]
    assert _numbers([second, third]) == [(1, 0), (1, 2)]


def test_a_refusal_for_good_of_the_newest_leaves_its_number_for_the_next() -> None:
    queue = _queue(2)
    _refuse(queue, _send(queue), PolicyViolationError())
    queue.ready.append(_batch())
    assert _numbers([_send(queue)]) == [(0, 0)]


def test_what_is_in_doubt_before_a_gap_keeps_its_number_until_it_is_settled() -> None:
    queue = _queue(1, 1, 1)
    first, second, third = _send_all(queue)
    _refuse(queue, second, PolicyViolationError())
    _refuse(queue, third, OutOfOrderSequenceNumberError())
    _refuse(queue, first, NetworkError(), is_open=True)
    assert _send(queue) is first
    assert _numbers([first]) == [(0, 0)]
    assert queue.next_to_send() is None
    queue.accepted(first)
    assert _send(queue) is third
    assert _numbers([third]) == [(1, 0)]


def test_a_gap_is_certain_when_the_oldest_was_refused_at_each_attempt() -> None:
    queue = _queue(1, 1)
    lost, batch = _send(queue), _send(queue)
    _refuse(queue, lost, NetworkError(), is_open=True, now_s=1.0)
    queue.remove(lost)  # expired in doubt
    _refuse(queue, batch, OutOfOrderSequenceNumberError())
    assert not queue.has_gap  # an older one was under way when it was sent
    _refuse(queue, _send(queue), OutOfOrderSequenceNumberError())
    assert queue.has_gap
    assert _numbers([_send(queue)]) == [(1, 0)]


def test_a_batch_in_doubt_is_not_renumbered_because_a_leader_does_not_know_it() -> None:
    queue = _queue(1)
    batch = _send(queue)
    _refuse(queue, batch, NetworkError(), is_open=True)
    for second in range(100):
        _refuse(queue, _send(queue), OutOfOrderSequenceNumberError(), now_s=float(second))
    assert not queue.has_gap
    assert _numbers([batch]) == [(0, 0)]


def test_it_is_after_a_while_where_leaders_may_lose_what_they_acknowledged() -> None:
    queue = _queue(1, accepts_loss=True)
    batch = _send(queue)
    _refuse(queue, batch, NetworkError(), is_open=True)
    _refuse(queue, _send(queue), OutOfOrderSequenceNumberError(), now_s=2.0)
    assert not queue.has_gap
    _refuse(queue, _send(queue), OutOfOrderSequenceNumberError(), now_s=2.0 + DOUBT_S)
    assert _numbers([_send(queue)]) == [(1, 0)]


@pytest.mark.parametrize(("log_start_offset", "is_gap"), [(-1, False), (5, False), (6, True)])
def test_a_producer_that_was_forgotten_with_all_its_records_begins_anew(
    log_start_offset: int, is_gap: bool
) -> None:
    queue = _queue(1, 1)
    queue.accepted(_send(queue), 5)
    batch = _send(queue)
    _refuse(queue, batch, NetworkError(), is_open=True)
    _refuse(queue, _send(queue), UnknownProducerIdError(), log_start_offset=log_start_offset)
    assert queue.has_gap is is_gap


@pytest.mark.parametrize("why", ["the last epoch", "a later epoch is known"])
def test_a_producer_id_that_is_used_up_is_replaced(why: str) -> None:
    queue = _queue(1)
    error: LogError = InvalidProducerEpochError()
    if why == "the last epoch":
        queue.identity = Identity(7, MAX_EPOCH)
        error = OutOfOrderSequenceNumberError()
    batch = _send(queue)
    _refuse(queue, batch, error)
    assert queue.next_to_send() is None
    assert queue.needs_producer_id()
    assert not queue.identify(7)
    assert queue.identify(8)
    assert _send(queue) is batch
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (8, 0, 0)


def test_sequences_wrap_as_in_kafka() -> None:
    queue = _queue(3, 1)
    queue._sequence = 2**31 - 2  # where 2 ** 31 records would have got it
    assert _numbers(_send_all(queue)) == [(0, 2**31 - 2), (0, 1)]


def test_a_batch_that_is_too_large_goes_on_as_halves_under_its_numbers() -> None:
    queue = _queue(3, 1)
    large, behind = _send_all(queue)
    assert _refuse(queue, large, MessageTooLargeError()) is Verdict.SPLIT
    _refuse(queue, behind, OutOfOrderSequenceNumberError())
    assert _numbers(_send_all(queue)) == [(0, 0), (0, 1), (0, 3)]


def test_a_record_that_is_too_large_by_itself_fails() -> None:
    queue = _queue(1)
    assert _refuse(queue, _send(queue), MessageTooLargeError()) is Verdict.FAILED


def test_retries_end_with_their_number_and_with_the_deadline() -> None:
    queue = _queue(1, retries=1)
    assert _refuse(queue, _send(queue), NotEnoughReplicasError()) is Verdict.AGAIN
    assert _refuse(queue, _send(queue), NotEnoughReplicasError()) is Verdict.FAILED
    queue = _queue(1)
    late = _refuse(queue, _send(queue), NotEnoughReplicasError(), now_s=120.0)
    assert late is Verdict.FAILED


@pytest.mark.parametrize("error", [NotSentError(), NotLeaderOrFollowerError()])
def test_a_broker_that_was_the_wrong_one_or_away_is_no_retry(error: LogError) -> None:
    queue = _queue(1, retries=1)
    for _ in range(5):
        assert _refuse(queue, _send(queue), error) is Verdict.AGAIN
    none = _queue(1, is_idempotent=False, retries=0)
    assert _refuse(none, _send(none), error) is Verdict.FAILED


def test_without_idempotence_one_is_under_way_if_it_may_be_sent_again() -> None:
    assert len(_send_all(_queue(1, 1, 1, is_idempotent=False))) == 1
    sent = _send_all(_queue(1, 1, 1, is_idempotent=False, retries=0))
    assert _numbers(sent) == [(-1, -1)] * 3


def test_what_waits_expires_and_what_is_under_way_is_kept_for_its_answer() -> None:
    queue = _queue(1, 1)
    under_way, waits = _send_all(queue)
    _refuse(queue, waits, OutOfOrderSequenceNumberError())
    queue.ready.append(_batch())
    unsent = queue.ready[0]
    assert queue.expire(119.9) == []
    assert queue.expire(120.0) == [unsent, under_way, waits]
    assert queue.numbered == [under_way]
    under_way.finish(NetworkError())
    assert queue.expire(121.0) == []
    assert _refuse(queue, under_way, NotLeaderOrFollowerError()) is Verdict.FAILED
    assert queue.is_empty
