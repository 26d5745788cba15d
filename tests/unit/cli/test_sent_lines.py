from kafkalite.cli.sent_lines import LineFailures, SentLines
from kafkalite.client.producer.delivery import Deliveries, Delivery
from kafkalite.client.producer.producer_batch import ProducerBatch
from kafkalite.model.compression import Compression
from kafkalite.model.errors import PolicyViolationError


def _batch(count: int) -> ProducerBatch:
    batch = ProducerBatch("t", 2, now_ms=5, now_s=0.0, deadline_s=9.0)
    for _ in range(count):
        batch.add(b"x", None, (), None, 20)
    batch.close(Compression.NONE)
    return batch


def _deliveries(*batches: ProducerBatch) -> Deliveries:
    deliveries = Deliveries()
    for batch in batches:
        deliveries.add(batch, 0, batch.count)
    return deliveries


def test_lines_that_failed_as_one_batch_are_told_of_together() -> None:
    said: list[str] = []
    failures = LineFailures("t", said.append)
    sent = SentLines(failures)
    good, bad, other = _batch(2), _batch(3), _batch(1)
    sent.add_many(11, _deliveries(good, bad, other))
    good.finish(base_offset=0)
    bad.finish(PolicyViolationError("no"))
    sent.settle()
    assert not said
    other.finish(PolicyViolationError("nor this"))
    sent.settle()
    assert said == [
        "Lines 13 to 15 (3 records for t-2): POLICY_VIOLATION: no",
        "Line 16: POLICY_VIOLATION: nor this",
    ]
    failures.report(20)
    assert said[-1] == "4 of 20 records were not stored (POLICY_VIOLATION 4)."


def test_lines_that_were_sent_one_by_one_have_their_numbers() -> None:
    said: list[str] = []
    sent = SentLines(LineFailures("t", said.append))
    batch = _batch(1)
    sent.add([(4, Delivery(batch, 0))])
    sent.add([])
    batch.finish(PolicyViolationError("no"))
    sent.settle()
    assert said == ["Line 4: POLICY_VIOLATION: no"]


def test_only_the_first_failures_are_told_one_by_one() -> None:
    said: list[str] = []
    failures = LineFailures("t", said.append)
    for number in range(30):
        failures.note([number], 0, PolicyViolationError())
    assert len(said) == 10
    assert failures
    failures.report(30)
    assert said[-1].startswith("30 of 30 records were not stored")
