"""Pauses between attempts."""

from kafkalite.client.backoff import Backoff


def test_bounds_double_up_to_the_longest() -> None:
    backoff = Backoff(100, 1000, lambda: 1.0)
    assert [backoff.next_pause() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next_pause() == 0.1


def test_a_pause_is_anything_below_its_bound() -> None:
    draws = iter([0.0, 0.5, 0.25])
    backoff = Backoff(100, 1000, lambda: next(draws))
    assert [backoff.next_pause() for _ in range(3)] == [0.0, 0.1, 0.1]


def test_the_first_pause_is_bounded_when_the_longest_is_shorter() -> None:
    assert Backoff(500, 100, lambda: 1.0).next_pause() == 0.1


def test_failures_without_end_stay_bounded() -> None:
    backoff = Backoff(1, 1000, lambda: 1.0)
    assert [backoff.next_pause() for _ in range(2000)][-1] == 1.0
