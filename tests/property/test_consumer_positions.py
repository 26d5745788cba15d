"""Handing out, pausing, seeking, giving back and being bounded, in any order, against a model.

The model is one number for each partition: what comes next. Whatever happens, the next record that
is given of it is that one, and what is due to be committed is that number, too.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kafkalite.client.consumer.commits import CommitLedger
from kafkalite.client.consumer.decoding import Decoding
from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.hand_out import HandOut
from kafkalite.client.consumer.positions import PartitionPosition, Positions
from kafkalite.client.consumer.prefetch import FetchedPart, Prefetch
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.batch import read_headers
from tests.support.fetched import batch_at, value_at

_PLACES = [TopicPartition("t", number) for number in range(3)]
_LOG_END = 60
_BATCH_RECORDS = 7
_LOG = [batch_at(base, min(_BATCH_RECORDS, _LOG_END - base)) for base in range(0, _LOG_END, 7)]
_ROOM = 3_000

_place = st.sampled_from(_PLACES)


class _Asked:
    """A fetch that is on its way."""

    def __init__(self, partition: PartitionPosition, batches: int) -> None:
        self.partition = partition
        self.stint = partition.stint
        first = partition.fetch_offset // _BATCH_RECORDS
        self.data = b"".join(_LOG[first : first + batches])

    def part(self) -> FetchedPart:
        data = memoryview(self.data)
        return FetchedPart(self.partition, self.stint, read_headers(data), data)


class ConsumerMachine(RuleBasedStateMachine):
    """A consumer without a loop: the rules are what its two threads may do."""

    @initialize(poison=st.sampled_from([None, 5, 8]))
    def begin(self, poison: int | None) -> None:
        def read(data: bytes) -> bytes:
            if poison is not None and int(data.split()[1]) % 10 == poison:
                raise ValueError
            return data

        decoding = Decoding() if poison is None else Decoding(value=read, on_poison="skip")
        self.poison = poison
        self.positions = Positions()
        self.prefetch = Prefetch(_ROOM)
        self.hand_out = HandOut(self.prefetch, decoding, checks_crcs=True, on_error=lambda: None)
        self.ledger = CommitLedger(self.positions)
        self.on_its_way: list[_Asked] = []
        self.next: dict[TopicPartition, int] = {}
        for each in _PLACES:
            self.positions.add(each, 0, is_new=False)
            self.next[each] = 0

    def _due(self, offset: int) -> int:
        """The next offset from `offset` on that is no poison."""
        while self.poison is not None and offset % 10 == self.poison and offset < _LOG_END:
            offset += 1
        return offset

    # -- the loop --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.on_its_way) < 3)
    @rule(place=_place, batches=st.integers(1, 4))
    def ask(self, place: TopicPartition, batches: int) -> None:
        partition = self.positions.of(place)
        is_asked = any(
            each.partition is partition and each.stint == partition.stint
            for each in self.on_its_way
        )
        if is_asked or partition.fetch_offset >= _LOG_END or self.prefetch.room <= 0:
            return
        self.on_its_way.append(_Asked(partition, batches))

    @precondition(lambda self: self.on_its_way)
    @rule(count=st.integers(1, 3))
    def answer(self, count: int) -> None:
        """Several of them as parts of one answer."""
        now, self.on_its_way = self.on_its_way[:count], self.on_its_way[count:]
        parts = [each.part() for each in now]
        self.prefetch.put(parts, sum(len(each.data) for each in now))

    @rule()
    def make_way(self) -> None:
        self.prefetch.drop_parked()

    # -- the caller ------------------------------------------------------------------------------

    @rule(count=st.integers(1, 20))
    def poll(self, count: int) -> None:
        taken = self.hand_out.take(count)
        assert sum(map(len, taken)) <= count
        for batch in taken:
            self._note_given(batch)

    @rule(looked_at=st.integers(0, _BATCH_RECORDS))
    def iterate(self, looked_at: int) -> None:
        handed = self.hand_out.take_one()
        if handed is None:
            return
        records = handed.batch.records()
        if looked_at < len(records):
            self.hand_out.give_back(handed, records[looked_at:])
            place = handed.batch.topic_partition
            for record in records[:looked_at]:
                self._note_record(place, record.offset, record.value)
            # Poison before what was given back was passed, not given.
            self.next[place] = records[looked_at].offset
        else:
            self._note_given(handed.batch)

    @rule(place=_place, offset=st.integers(0, _LOG_END))
    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions.of(place).go_to(offset)
        self.prefetch.clean()
        self.next[place] = offset

    @rule(place=_place)
    def pause(self, place: TopicPartition) -> None:
        self.positions.of(place).is_paused = True

    @rule(place=_place)
    def resume(self, place: TopicPartition) -> None:
        self.positions.of(place).is_paused = False
        self.prefetch.resume(place)

    @rule(place=_place)
    def lose_and_get_again(self, place: TopicPartition) -> None:
        self.positions.remove([place])
        self.ledger.forget([place])
        self.prefetch.clean()
        self.positions.add(place, self.next[place], is_new=False)

    @rule()
    def commit(self) -> None:
        self.ledger.note(self.ledger.due())
        assert self.ledger.due() == {}

    def _note_given(self, batch: FetchedBatch) -> None:
        assert not self.positions.of(batch.topic_partition).is_paused
        for record in batch:
            self._note_record(batch.topic_partition, record.offset, record.value)
        self.next[batch.topic_partition] = batch.next_offset

    def _note_record(self, place: TopicPartition, offset: int, value: object) -> None:
        assert offset == self._due(self.next[place])
        assert value == value_at(offset)
        self.next[place] = offset + 1

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def positions_are_what_was_given(self) -> None:
        for place, offset in self.next.items():
            partition = self.positions.of(place)
            # Poison may have been passed that nobody was told of.
            assert offset <= partition.position <= self._due(offset)
            assert partition.position <= partition.fetch_offset

    @invariant()
    def memory_is_bounded(self) -> None:
        asked_at_once = 3 * 4 * max(map(len, _LOG))
        assert -asked_at_once < self.prefetch.room <= _ROOM

    def teardown(self) -> None:
        """Everything can still be read to the end, and then nothing takes room."""
        for place in _PLACES:
            self.resume(place)
        for _ in range(200):
            self.on_its_way = self.on_its_way[:0]
            for place in _PLACES:
                self.ask(place, 2)
            if self.on_its_way:
                self.answer(3)
            self.poll(50)
        assert {place: self._due(offset) for place, offset in self.next.items()} == dict.fromkeys(
            _PLACES, _LOG_END
        )
        assert self.prefetch.room == _ROOM


def test_every_record_is_given_once_and_in_order_and_commits_are_what_was_given() -> None:
    run_state_machine_as_test(
        ConsumerMachine,
        settings=settings(
            max_examples=120, stateful_step_count=60, derandomize=True, deadline=None
        ),
    )


@settings(max_examples=40, derandomize=True)
@given(base=st.integers(0, 1000), count=st.integers(1, 30), data=st.data())
def test_windows_of_a_batch_are_all_of_it(base: int, count: int, data: st.DataObject) -> None:
    prefetch = Prefetch(_ROOM)
    start = data.draw(st.integers(base, base + count - 1))
    partition = PartitionPosition(_PLACES[0], start, is_new=False)
    batches = memoryview(batch_at(base, count))
    prefetch.put([FetchedPart(partition, partition.stint, read_headers(batches), batches)], 1)
    hand_out = HandOut(prefetch, Decoding(), checks_crcs=True, on_error=lambda: None)
    given_offsets: list[int] = []
    while taken := hand_out.take(data.draw(st.integers(1, 8))):
        given_offsets += [record.offset for batch in taken for record in batch]
    assert given_offsets == list(range(start, base + count))
