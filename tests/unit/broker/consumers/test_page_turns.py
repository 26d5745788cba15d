"""What happens while positions are looked for is not waited for once more."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kafkalite.broker.consumers.page_turns import PageTurns
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.ids import TopicPartition

_ANY: Any = None


class _Assignment:
    """Something happens while it looks for positions."""

    def __init__(self, happen: Callable[[], None]) -> None:
        self.partitions = [TopicPartition("t", 0)]
        self._happen = happen

    async def locate(self) -> None:
        self._happen()


class _Happened:
    def __init__(self, what: str) -> None:
        self.assignment = _Assignment(self._happen)
        self.is_over = False
        self._what = what

    def _happen(self) -> None:
        if self._what == "it is over":
            self.is_over = True
        else:
            self.assignment.partitions = [*self.assignment.partitions, TopicPartition("t", 1)]


@pytest.mark.parametrize("what", ["it is over", "there is more to read"])
def test_nobody_waits_for_records_where_something_happened_meanwhile(what: str) -> None:
    """The reader, which would wait, is not even asked."""
    happened = _Happened(what)
    assignment: Any = happened.assignment
    turns = PageTurns(assignment, _ANY, ReadWaiters())
    taking = turns.take(_ANY, 60.0, min_bytes=1, is_over=lambda: happened.is_over)
    assert asyncio.run(taking) == []
