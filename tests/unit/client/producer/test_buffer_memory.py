from collections import deque
from collections.abc import Callable

from kafkalite.client.producer.buffer_memory import BufferMemory


def test_what_is_wanted_is_taken_or_what_there_is_of_it_unless_it_is_too_little() -> None:
    memory = BufferMemory(100)
    assert memory.reserve(10, 60) == 60
    assert memory.reserve(10, 60) == 40
    assert memory.reserve(10, 60) == 0
    memory.give_back(9)
    assert memory.reserve(10, 60) == 0
    assert memory.free == 9
    memory.give_back(1)
    assert memory.reserve(10, 60) == 10
    assert memory.free == 0


def test_those_who_wait_are_told_once_a_step_is_free() -> None:
    memory = BufferMemory(800, batch_bytes=90)
    assert memory.step == 90
    assert memory.reserve(1, 800) == 800
    told: list[str] = []
    memory.call_when_returned(lambda: told.append("a"))
    memory.call_when_returned(lambda: told.append("b"))
    memory.give_back(50)
    assert memory.is_wanted
    assert told == []
    memory.give_back(40)
    assert told == ["a", "b"]
    assert not memory.is_wanted
    memory.give_back(100)
    assert told == ["a", "b"]


def test_a_step_is_a_small_part_of_all_where_batches_are_large() -> None:
    assert BufferMemory(800, batch_bytes=1_000).step == 100


def test_two_threads_may_tell_those_who_wait_at_the_same_time() -> None:
    """Both see that somebody waits, and one of them is slower to take who it is."""
    memory = BufferMemory(800, batch_bytes=90)
    told: list[str] = []
    memory._waiters = waiters = _TakenByAnother()
    memory.call_when_returned(lambda: told.append("by the other"))
    memory.give_back(100)
    assert told == ["by the other"]
    assert not waiters


class _TakenByAnother(deque[Callable[[], object]]):
    """A deque whose elements another thread takes just before."""

    def popleft(self) -> Callable[[], object]:
        while self:
            super().popleft()()
        return super().popleft()
