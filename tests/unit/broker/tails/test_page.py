"""Pages of tails: bounded, and never empty where there is a record."""

from kafkalite.broker.tails.page import TailPage
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record

_P0 = TopicPartition("t", 0)
_P1 = TopicPartition("t", 1)


def _records(*sizes: int) -> list[Record]:
    return [Record(b"x" * size, None, 1, (), offset) for offset, size in enumerate(sizes, 10)]


def test_a_page_takes_what_fits() -> None:
    page = TailPage(100, 50)
    records = _records(40, 40, 40)
    assert page.take(_P0, records, 0) == 2
    assert page.is_closed
    assert page.next_offsets == {_P0: 12}
    assert [each.offset for each in page.parts[0][1]] == [10, 11]


def test_one_record_fits_however_large() -> None:
    page = TailPage(100, 50)
    assert page.take(_P0, _records(1_000, 1), 0) == 1
    assert page.is_closed


def test_a_page_ends_with_its_last_record() -> None:
    page = TailPage(1_000, 3)
    assert page.take(_P0, _records(1, 1), 0) == 2
    assert not page.is_closed
    assert page.take(_P1, _records(1, 1), 0) == 1
    assert page.is_closed
    assert page.next_offsets == {_P0: 12, _P1: 11}


def test_what_is_passed_over_is_not_taken() -> None:
    page = TailPage(1_000, 10)
    assert page.take(_P0, _records(1, 1), 2) == 2
    assert page.is_empty
    assert not page.is_closed
