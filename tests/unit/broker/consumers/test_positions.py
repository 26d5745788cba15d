"""What of an instance's positions is to be committed."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kafkalite.broker.consumers.positions import ConsumerPositions
from kafkalite.model.ids import TopicPartition

_P = TopicPartition("t", 0)


def test_nothing_is_to_be_committed_where_reading_began() -> None:
    positions = ConsumerPositions()
    positions.start(_P, 5)
    positions.acknowledge()
    assert positions.get(_P) == 5
    assert positions.to_commit() == {}


def test_rewinding_goes_back_to_what_was_dealt_with() -> None:
    positions = ConsumerPositions()
    positions.start(_P, 5)
    positions.advance(_P, 7)
    positions.acknowledge()
    positions.advance(_P, 9)
    assert not positions.is_acknowledged([_P])
    assert positions.rewind() == [_P]
    assert positions.get(_P) == 7
    assert positions.is_acknowledged([_P])
    assert positions.to_commit() == {_P: 7}


class _Reading(RuleBasedStateMachine):
    """A client that reads, commits and never seeks."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = ConsumerPositions()
        self.positions.start(_P, 0)
        self.sent = self.dealt_with = self.stored = 0

    @rule(count=st.integers(1, 5))
    def poll(self, count: int) -> None:
        self.positions.acknowledge()
        self.dealt_with = self.sent
        self.sent += count
        self.positions.advance(_P, self.sent)

    @rule()
    def lose(self) -> None:
        self.positions.rewind()
        self.sent = self.dealt_with

    @rule()
    def commit_by_itself(self) -> None:
        offsets = self.positions.to_commit()
        if offsets:
            assert offsets[_P] > self.stored, "it never goes back"
            assert offsets[_P] == self.dealt_with
            self.stored = offsets[_P]
            self.positions.committed(offsets)

    @rule(ahead=st.integers(0, 5))
    def commit_explicitly(self, ahead: int) -> None:
        offset = max(self.stored, self.dealt_with) + ahead
        self.stored = offset
        self.positions.committed({_P: offset})

    @invariant()
    def knows_where_it_is(self) -> None:
        assert self.positions.get(_P) == self.sent


TestReading = _Reading.TestCase
TestReading.settings = settings(max_examples=50, stateful_step_count=30, derandomize=True)
