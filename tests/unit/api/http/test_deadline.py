"""What is due is missed once, on time, however often it was moved."""

import asyncio
from collections.abc import Callable
from typing import cast

from kafkalite.api.http.deadline import Deadline


class _Timer:
    def __init__(self, due: float, ring: Callable[[], None]) -> None:
        self.due = due
        self.ring = ring

    def when(self) -> float:
        return self.due

    def cancel(self) -> None:
        self.due = float("inf")


class _Loop:
    """A loop whose time goes on by `go_on` only."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[_Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, ring: Callable[[], None]) -> _Timer:
        self.timers.append(_Timer(due, ring))
        return self.timers[-1]

    def go_on(self, seconds: float) -> None:
        self.now += seconds
        for timer in [each for each in self.timers if each.due <= self.now]:
            self.timers.remove(timer)
            timer.ring()


class _Watch:
    """A deadline and how often it was missed."""

    def __init__(self) -> None:
        self.loop = _Loop()
        self.missed = 0
        self.deadline = Deadline(cast("asyncio.AbstractEventLoop", self.loop), self._on_missed)

    def _on_missed(self) -> None:
        self.missed += 1


def test_deadline_is_missed_once() -> None:
    watch = _Watch()
    watch.deadline.move(5)
    watch.loop.go_on(4)
    assert watch.missed == 0
    watch.loop.go_on(1)
    watch.loop.go_on(100)
    assert watch.missed == 1


def test_deadline_that_moves_away_takes_no_new_timer_before_the_old_one_rings() -> None:
    watch = _Watch()
    for _ in range(10):
        watch.deadline.move(5)
        watch.loop.go_on(0.1)
    assert len(watch.loop.timers) == 1
    watch.loop.go_on(4.5)
    assert watch.missed == 0
    watch.loop.go_on(0.4)
    assert watch.missed == 1


def test_deadline_that_comes_nearer_is_missed_earlier() -> None:
    watch = _Watch()
    watch.deadline.move(60)
    watch.deadline.move(1)
    watch.loop.go_on(1)
    assert watch.missed == 1


def test_deadline_is_brought_within_a_time_and_never_put_off() -> None:
    watch = _Watch()
    watch.deadline.bring_within(10)
    watch.deadline.bring_within(20)
    watch.loop.go_on(9)
    assert watch.missed == 0
    watch.loop.go_on(1)
    assert watch.missed == 1


def test_nothing_is_missed_once_the_deadline_is_lifted_or_cancelled() -> None:
    for end in (Deadline.lift, Deadline.cancel):
        watch = _Watch()
        watch.deadline.move(5)
        end(watch.deadline)
        watch.loop.go_on(100)
        assert watch.missed == 0


def test_deadline_may_be_set_again_where_it_was_missed() -> None:
    watch = _Watch()
    watch.deadline.move(5)
    watch.loop.go_on(5)
    watch.deadline.move(5)
    watch.loop.go_on(5)
    assert watch.missed == 2
