"""The throttle: credit by time, debts, and rates that change."""

from kafkalite.broker.replication.throttle import ReplicationThrottle
from tests.support.fake_clock import FakeClock


class _Rate:
    value = 1000


def _throttle(clock: FakeClock, rate: _Rate | None = None) -> ReplicationThrottle:
    given = rate or _Rate()
    return ReplicationThrottle(lambda: given.value, clock)


def test_a_seconds_worth_passes_at_once_and_a_debt_has_to_be_paid() -> None:
    clock = FakeClock()
    throttle = _throttle(clock)
    assert throttle.wait_ms() == 0
    throttle.take(1000)
    assert throttle.wait_ms() == 0
    throttle.take(500)
    assert throttle.wait_ms() == 501
    clock.now_ms += 499
    assert throttle.wait_ms() > 0
    clock.now_ms += 1
    assert throttle.wait_ms() == 0


def test_no_more_than_a_second_of_credit_is_saved() -> None:
    clock = FakeClock()
    throttle = _throttle(clock)
    throttle.wait_ms()
    clock.now_ms += 3_600_000
    throttle.take(3000)
    assert throttle.wait_ms() == 2001


def test_another_rate_counts_from_now_on() -> None:
    clock, rate = FakeClock(), _Rate()
    throttle = _throttle(clock, rate)
    throttle.take(11_000)
    assert throttle.wait_ms() == 10_001
    rate.value = 100_000
    assert throttle.wait_ms() == 101


def test_the_long_run_keeps_to_the_rate() -> None:
    clock = FakeClock()
    throttle = _throttle(clock)
    passed = 0
    for _ in range(10_000):
        clock.now_ms += 10
        if not throttle.wait_ms():
            throttle.take(700)
            passed += 700
    assert 100_000 <= passed <= 102_000
