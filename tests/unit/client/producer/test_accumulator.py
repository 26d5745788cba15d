import threading
from collections import deque

import pytest

from kafkalite.client.errors import ClosedError
from kafkalite.client.producer.accumulator import Accumulator, BatchOptions, NoMetadata, NoRoom
from kafkalite.client.producer.buffer_memory import BufferMemory
from kafkalite.client.producer.delivery import Deliveries, Delivery
from kafkalite.client.producer.partition_queue import PartitionQueue
from kafkalite.client.producer.partitioner import Partitioner, StickyChoice
from kafkalite.client.producer.producer_batch import BatchState, ProducerBatch
from kafkalite.model.compression import Compression
from kafkalite.model.errors import InvalidPartitionsError, MessageTooLargeError
from kafkalite.wire.records import decode_batch
from tests.support.fake_clock import FakeClock


class _Rig:
    """An accumulator for topic `t`, and how often the loop was woken."""

    def __init__(
        self,
        *,
        partitions: int = 1,
        batch_bytes: int = 1_000,
        max_request_bytes: int = 2_000,
        buffer_bytes: int = 100_000,
        partitioner: Partitioner | None = None,
        ignores_keys: bool = False,
        compression: Compression = Compression.NONE,
    ) -> None:
        self.clock = FakeClock(5_000)
        self.memory = BufferMemory(buffer_bytes, batch_bytes=batch_bytes)
        self.woken = 0
        self.accumulator = Accumulator(
            BatchOptions(
                batch_bytes, max_request_bytes, 120.0, compression, partitioner, ignores_keys
            ),
            self.memory,
            self.clock,
            make_queue=lambda place: PartitionQueue(
                place, is_idempotent=True, max_in_flight=5, retries=9
            ),
            make_sticky=lambda: StickyChoice(
                batch_bytes=batch_bytes, is_adaptive=True, randrange=lambda _: 0
            ),
            wake=self._wake,
        )
        self.accumulator.set_partitions("t", partitions)

    def _wake(self) -> None:
        self.woken += 1

    def queue(self, partition: int = 0) -> PartitionQueue:
        return self.accumulator.topics["t"].queues[partition]

    def send(
        self, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> Delivery:
        taken = self.accumulator.append("t", value, key, partition)
        assert isinstance(taken, Delivery)
        return taken

    def stored(self, partition: int = 0) -> list[list[bytes | None]]:
        """The values of all batches, closed."""
        queue = self.queue(partition)
        assert self.accumulator.close_open(queue)
        batches: list[list[bytes | None]] = []
        for batch in tuple(queue.ready):
            assert self.accumulator.encode_next(queue)
            queue.ready.rotate(-1)
            batch.number(1, 0, 0)
            batches.append([r.value for r in decode_batch(batch.body, max_bytes=1 << 20)])
        return batches


def test_records_share_a_batch_until_it_is_full() -> None:
    rig = _Rig()
    for number in range(30):
        rig.send(b"%02d" % number * 20)
    batches = rig.stored()
    assert [value for batch in batches for value in batch] == [b"%02d" % n * 20 for n in range(30)]
    assert [len(batch) for batch in batches] == [16, 14]


def test_the_loop_is_woken_for_a_batch_and_not_for_a_record() -> None:
    rig = _Rig()
    for _ in range(10):
        rig.send(b"x")
    assert rig.woken == 1


def test_a_record_larger_than_a_batch_has_one_of_its_own() -> None:
    rig = _Rig(batch_bytes=100)
    for value in (b"a", b"b" * 500, b"c"):
        rig.send(value)
    assert rig.stored() == [[b"a"], [b"b" * 500], [b"c"]]


@pytest.mark.parametrize(
    ("rig", "named"),
    [
        (_Rig(batch_bytes=400, max_request_bytes=500), "max.request.size"),
        (_Rig(batch_bytes=400, buffer_bytes=800), "buffer.memory"),
    ],
)
def test_a_record_that_can_never_be_sent_fails_and_names_the_setting(rig: _Rig, named: str) -> None:
    delivery = rig.send(b"x" * 790)
    assert delivery.is_done
    with pytest.raises(MessageTooLargeError, match=named):
        delivery.result(0)
    rig.send(b"small")
    assert rig.stored() == [[b"small"]]


def test_a_topic_that_is_not_known_has_to_be_learnt() -> None:
    assert _Rig().accumulator.append("other", b"x") == NoMetadata("other")


def test_memory_is_what_it_takes_and_is_had_again() -> None:
    rig = _Rig(buffer_bytes=2_500)
    for _ in range(2):
        rig.send(b"x" * 900)
    assert rig.accumulator.append("t", b"x" * 900) == NoRoom(0, 982)
    batch = rig.queue().ready[0]
    rig.memory.give_back(batch.reserved)
    rig.send(b"x" * 900)


def test_an_open_batch_takes_memory_as_it_grows() -> None:
    rig = _Rig(batch_bytes=1 << 20, max_request_bytes=1 << 20, buffer_bytes=1 << 20)
    rig.send(b"x")
    assert rig.memory.free == (1 << 20) - (16 << 10)
    for _ in range(40):
        rig.send(b"x" * 1_000)
    assert rig.memory.free == (1 << 20) - (64 << 10)
    assert len(rig.stored()) == 1
    assert rig.memory.free == (1 << 20) - rig.queue().ready[0].size


def test_a_batch_grows_by_what_there_is_where_that_is_less_than_usual() -> None:
    rig = _Rig(batch_bytes=1 << 20, max_request_bytes=1 << 20, buffer_bytes=24 << 10)
    for _ in range(17):
        rig.send(b"x" * 1_000)
    assert rig.memory.free == 0
    batch = rig.queue().open
    assert batch is not None
    assert batch.limit == batch.reserved == 24 << 10


def test_no_batch_begins_with_the_little_that_others_leave() -> None:
    rig = _Rig(batch_bytes=1_000, buffer_bytes=8_800)
    while isinstance(taken := rig.accumulator.append("t", b"x" * 300), Delivery):
        assert taken.partition == 0
    assert taken == NoRoom(0, rig.memory.step) == NoRoom(0, 1_000)
    assert rig.memory.free >= 382  # enough for one more, and a batch for it alone
    assert {batch.record_count for batch in rig.queue().ready} == {2}


def test_memory_that_is_less_than_a_batch_begins_with_is_enough_for_small_records() -> None:
    rig = _Rig(batch_bytes=1 << 20, max_request_bytes=1 << 20, buffer_bytes=1_000)
    rig.send(b"a")
    rig.send(b"b")
    assert rig.stored() == [[b"a", b"b"]]


def test_a_batch_that_cannot_grow_is_closed() -> None:
    rig = _Rig(batch_bytes=1 << 20, max_request_bytes=1 << 20, buffer_bytes=20_000)
    for _ in range(15):
        rig.send(b"x" * 1_000)
    taken = rig.accumulator.append("t", b"x" * 5_000)
    assert isinstance(taken, NoRoom)
    assert len(rig.queue().ready) == 1


def test_keys_partitions_and_turns_choose_the_partition() -> None:
    rig = _Rig(partitions=8)
    assert len({rig.send(b"v", b"key").partition for _ in range(5)}) == 1
    assert rig.send(b"v", b"key", 5).partition == 5
    with pytest.raises(InvalidPartitionsError, match="has 8"):
        rig.send(b"v", None, 8)
    with pytest.raises(InvalidPartitionsError):
        rig.send(b"v", None, -1)
    assert _Rig(partitions=8, ignores_keys=True).send(b"v", b"key").partition == 0
    own = _Rig(partitions=8, partitioner=lambda topic, key, value, count: count - 1)
    assert own.send(b"v").partition == 7


def test_a_partitioner_may_wait_for_the_loop_to_learn_of_partitions() -> None:
    def choose(topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        # As `Producer.partitions_for` does.
        loop = threading.Thread(target=lambda: rig.accumulator.set_partitions(topic, 4))
        loop.start()
        loop.join(5)
        answers.append(not loop.is_alive())
        return count - 1

    answers: list[bool] = []
    rig = _Rig(partitions=2, partitioner=choose)
    assert rig.send(b"v").partition == 1
    assert rig.send(b"v").partition == 3
    assert answers == [True, True]


def test_partitions_that_are_added_are_used() -> None:
    rig = _Rig()
    rig.accumulator.set_partitions("t", 3)
    assert rig.send(b"v", None, 2).partition == 2
    rig.accumulator.set_partitions("t", 1)
    assert len(rig.accumulator.topics["t"].queues) == 3


def test_records_have_the_time_at_which_their_batch_was_opened_or_last_looked_at() -> None:
    rig = _Rig()
    first = rig.send(b"a")
    rig.clock.now_ms = 5_003
    same = rig.send(b"b")
    rig.clock.now_ms = 5_020
    rig.accumulator.tick(rig.queue())
    later = rig.send(b"c")
    rig.accumulator.close_open(rig.queue())
    rig.queue().ready[0].finish(base_offset=0)
    times = [delivery.result(0).timestamp for delivery in (first, same, later)]
    assert times == [5_000, 5_000, 5_020]


def test_many_values_fill_batches_like_single_ones() -> None:
    rig = _Rig(batch_bytes=1_000)
    taken = Deliveries()
    values = [b"%03d" % number for number in range(200)]
    assert rig.accumulator.append_many("t", values, 0, None, taken) == (200, None)
    assert len(taken) == 200
    batches = rig.stored()
    assert [value for batch in batches for value in batch] == values
    assert {len(batch) for batch in batches[:-1]} == {49}
    for batch, offset in zip(rig.queue().ready, range(0, 200, 49), strict=False):
        batch.finish(base_offset=offset)
    assert [metadata.offset for metadata in taken.result(0)] == list(range(200))


def test_many_values_stop_where_memory_ends() -> None:
    rig = _Rig(buffer_bytes=2_500)
    taken = Deliveries()
    added, obstacle = rig.accumulator.append_many("t", [b"x" * 200] * 50, 0, None, taken)
    assert (added, obstacle) == (11, NoRoom(0, rig.memory.step))
    assert len(taken) == 11


def test_many_values_go_to_a_partition_that_was_named() -> None:
    rig = _Rig(partitions=3)
    taken = Deliveries()
    rig.send(b"k", b"key", 2)
    rig.accumulator.append_many("t", [b"a", b"b"], 0, 2, taken)
    assert rig.stored(2) == [[b"k", b"a", b"b"]]


def test_the_plain_batch_is_only_for_values_without_anything_else() -> None:
    rig = _Rig()
    rig.send(b"a")
    batch = rig.accumulator.plain["t"]
    assert batch.plain_limit == 1_000
    rig.send(b"b", b"key")
    assert "t" not in rig.accumulator.plain
    assert batch.plain_limit == 0


def test_nothing_is_taken_after_a_refusal() -> None:
    rig = _Rig()
    rig.send(b"a")
    rig.accumulator.refuse(ClosedError("closed"))
    assert not rig.accumulator.plain
    with pytest.raises(ClosedError):
        rig.send(b"b")


def test_the_loop_does_not_wait_for_a_thread_that_is_adding() -> None:
    rig = _Rig()
    rig.send(b"a")
    holds, ends = threading.Event(), threading.Event()

    def add() -> None:
        with rig.accumulator.lock:
            holds.set()
            ends.wait(10)

    thread = threading.Thread(target=add)
    thread.start()
    assert holds.wait(10)
    assert not rig.accumulator.close_open(rig.queue())
    ends.set()
    thread.join()
    assert rig.accumulator.close_open(rig.queue())


def test_a_thread_that_was_interrupted_in_any_step_of_closing_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    rig = _Rig(batch_bytes=100)
    rig.send(b"a" * 30)
    monkeypatch.setattr(rig.accumulator, "encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rig.send(b"b" * 30)
    monkeypatch.undo()
    assert rig.queue().ready[0].state is BatchState.OPEN
    rig.send(b"c" * 30)
    assert rig.stored() == [[b"a" * 30], [b"c" * 30]]


@pytest.mark.parametrize("size", [30, 600])
def test_a_batch_stays_as_it_was_sent_where_closing_it_was_interrupted(size: int) -> None:
    """It lies among the ready ones, and is still named as the one to add to."""
    rig = _Rig(batch_bytes=2_000)
    rig.send(b"a" * size)
    queue = rig.queue()
    queue.ready = _InterruptedBehind()
    with pytest.raises(KeyboardInterrupt):
        rig.accumulator.close_open(queue)
    batch = queue.open
    assert list(queue.ready) == [batch]
    assert rig.accumulator.encode_next(queue)
    queue.identify(7)
    sent = queue.next_to_send()
    assert sent is not None
    assert sent is batch
    queue.sent(sent)
    body = bytes(sent.body)
    assert rig.accumulator.close_open(queue)
    assert queue.open is None
    assert (sent.state, bytes(sent.body), sent.size) == (BatchState.SENT, body, len(body))
    rig.send(b"b")
    assert rig.stored() == [[b"b"]]


class _InterruptedBehind(deque[ProducerBatch]):
    """A deque; Control-C comes after the first batch was added."""

    is_over = False

    def append(self, batch: ProducerBatch, /) -> None:
        super().append(batch)
        if not self.is_over:
            self.is_over = True
            raise KeyboardInterrupt


def test_large_records_are_encoded_by_the_loop_whoever_has_the_lock() -> None:
    rig = _Rig(batch_bytes=2_000)
    for text in (b"a", b"b", b"c"):
        rig.send(text * 600)
    for text in (b"d", b"e", b"f"):
        rig.send(text * 900)
    queue = rig.queue()
    first, second = queue.ready
    assert first.state is BatchState.OPEN
    assert not first.body
    reserved = first.reserved
    taken: list[bool] = []
    with rig.accumulator.lock:
        thread = threading.Thread(target=lambda: taken.append(rig.accumulator.encode_next(queue)))
        thread.start()
        thread.join(10)
    assert taken == [True]
    assert first.count == 3
    assert first.reserved == first.size == len(first.body) < reserved
    assert second.state is BatchState.OPEN
    rig.memory.give_back(first.reserved)
    queue.ready.popleft()
    rig.accumulator.reuse(first)
    assert rig.accumulator.encode_next(queue)
    assert rig.stored() == [[b"d" * 900, b"e" * 900], [b"f" * 900]]
    assert second.body is first.body


def test_records_that_are_small_or_compressed_are_encoded_by_whoever_fills_the_batch() -> None:
    small, packed = _Rig(batch_bytes=2_000), _Rig(batch_bytes=2_000, compression=Compression.ZSTD)
    for _ in range(5):
        small.send(b"x" * 400)
        packed.send(b"x" * 600)
    assert small.queue().ready[0].state is BatchState.CLOSED
    assert packed.queue().ready[0].state is BatchState.CLOSED


def test_a_batch_that_was_never_encoded_is_given_up_with_all_of_its_records() -> None:
    rig = _Rig(batch_bytes=2_000)
    deliveries = [rig.send(b"x" * 600) for _ in range(4)]
    (expired,) = rig.queue().expire(1e9)
    expired.finish(ClosedError())
    assert (expired.record_count, expired.values) == (3, [])
    assert [delivery.is_done for delivery in deliveries] == [True] * 3 + [False]
    with pytest.raises(ClosedError):
        deliveries[0].result(0)


def test_an_interruption_before_a_batch_is_open_keeps_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = _Rig()
    monkeypatch.setattr(rig.clock, "wall_ms", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        rig.accumulator.append("t", b"v", None, None)
    assert rig.memory.free == rig.memory.total
    assert rig.queue().open is None


def test_an_interruption_after_a_batch_is_open_leaves_it_where_the_loop_looks() -> None:
    rig = _Rig()
    rig.accumulator.newly_active = _InterruptedOnce()
    with pytest.raises(KeyboardInterrupt):
        rig.accumulator.append("t", b"v", None, None)
    assert rig.woken == 1
    assert list(rig.accumulator.take_active()) == [rig.queue()]
    assert rig.accumulator.close_open(rig.queue())
    assert rig.memory.free == rig.memory.total


class _InterruptedOnce(deque[PartitionQueue]):
    """A deque; the first time, Control-C comes before anything is added."""

    is_over = False

    def append(self, queue: PartitionQueue, /) -> None:
        if not self.is_over:
            self.is_over = True
            raise KeyboardInterrupt
        super().append(queue)


def _interrupt() -> int:
    raise KeyboardInterrupt


def test_a_batch_that_was_opened_and_got_no_record_is_dropped() -> None:
    rig = _Rig()
    rig.send(b"a")
    batch = rig.queue().open
    assert batch is not None
    batch.values.clear()  # as an interruption right after it was opened leaves it
    assert rig.stored() == []
    assert batch.is_done
    assert rig.memory.free == rig.memory.total


def test_what_is_unfinished_is_found_while_the_loop_is_about_to_leave_its_queue() -> None:
    """A record may come just as the loop has found the queue empty, and notes so."""
    rig = _Rig()
    rig.send(b"a")
    rig.queue().is_active = False
    assert len(rig.accumulator.unfinished()) == 1


def test_what_is_unfinished_is_found_wherever_it_is() -> None:
    rig = _Rig(batch_bytes=100)
    for _ in range(3):
        rig.send(b"x" * 60)
    queue = rig.queue()
    queue.identify(1)
    first = queue.next_to_send()
    assert first is not None
    queue.sent(first)
    assert len(rig.accumulator.unfinished()) == 3
    first.finish(base_offset=0)
    assert len(rig.accumulator.unfinished()) == 2


def test_nobody_adds_to_a_batch_that_is_closed_even_if_it_was_found_before() -> None:
    rig = _Rig()
    rig.send(b"a")
    found = rig.accumulator.plain["t"]
    assert rig.accumulator.close_open(rig.queue())
    assert (found.limit, found.plain_limit) == (0, 0)
    assert "t" not in rig.accumulator.plain
