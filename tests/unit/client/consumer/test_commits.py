"""What there is to commit: what was handed out, once, and only of what is ours."""

from kafkalite.client.consumer.commits import CommitLedger, OffsetAndMetadata
from kafkalite.client.consumer.positions import GROUP, Positions
from kafkalite.model.ids import TopicPartition

_ONE, _TWO = TopicPartition("t", 0), TopicPartition("t", 1)


def _ledger() -> tuple[Positions, CommitLedger]:
    positions = Positions()
    for each in (_ONE, _TWO):
        positions.add(each, GROUP, is_new=False)
    return positions, CommitLedger(positions)


def test_nothing_is_committed_of_a_partition_that_does_not_know_where_it_is() -> None:
    _, ledger = _ledger()
    assert ledger.due() == {}


def test_what_was_fetched_and_not_given_is_not_committed() -> None:
    positions, ledger = _ledger()
    positions.of(_ONE).go_to(5)
    positions.of(_ONE).fetched_to(100)
    assert ledger.due() == {_ONE: OffsetAndMetadata(5)}


def test_what_is_committed_is_not_committed_again_until_it_moves() -> None:
    positions, ledger = _ledger()
    positions.of(_ONE).go_to(5)
    ledger.note(ledger.due())
    assert ledger.due() == {}
    positions.of(_ONE).advance(6)
    assert ledger.due() == {_ONE: OffsetAndMetadata(6)}


def test_going_back_is_committed_too() -> None:
    positions, ledger = _ledger()
    positions.of(_ONE).go_to(5)
    ledger.note(ledger.due())
    positions.of(_ONE).go_to(2)
    assert ledger.due() == {_ONE: OffsetAndMetadata(2)}


def test_only_the_partitions_asked_for_are_committed() -> None:
    positions, ledger = _ledger()
    positions.of(_ONE).go_to(5)
    positions.of(_TWO).go_to(7)
    assert ledger.due([_TWO]) == {_TWO: OffsetAndMetadata(7)}


def test_a_partition_that_went_is_not_committed_nor_remembered() -> None:
    positions, ledger = _ledger()
    positions.of(_ONE).go_to(5)
    ledger.note({_ONE: OffsetAndMetadata(5)})
    positions.remove([_ONE])
    ledger.forget([_ONE])
    ledger.note({_ONE: OffsetAndMetadata(5)})  # an answer that comes late
    assert ledger.due() == {}
    positions.add(_ONE, 5, is_new=False)
    assert ledger.due() == {_ONE: OffsetAndMetadata(5)}
