"""The session's states: what has to stop, and when."""

from kafkalite.coordination.session import Action, Link, SessionMonitor

_TIMEOUT_MS = 6_000
_MINE = 11
_NEW = 12


def _monitor() -> SessionMonitor:
    monitor = SessionMonitor(_TIMEOUT_MS)
    monitor.begin(_MINE)
    return monitor


def test_a_broken_connection_stops_work_and_its_return_resumes_it() -> None:
    monitor = _monitor()
    assert monitor.heard(Link.SUSPENDED, None, 100) == (Action.STOP_WORK,)
    assert monitor.link is Link.SUSPENDED
    assert monitor.heard(Link.CONNECTED, _MINE, 200) == (Action.RESUME,)
    assert monitor.lost_at_ms is None


def test_the_session_timeout_spent_in_suspended_is_a_loss() -> None:
    monitor = _monitor()
    monitor.heard(Link.SUSPENDED, None, 100)
    assert monitor.lost_at_ms == 100 + _TIMEOUT_MS
    assert monitor.tick(100 + _TIMEOUT_MS - 1) == ()
    assert monitor.tick(100 + _TIMEOUT_MS) == (Action.DROP_LEADERSHIP,)
    assert monitor.link is Link.LOST
    assert monitor.tick(100 + 2 * _TIMEOUT_MS) == ()


def test_a_second_break_counts_from_its_own_beginning() -> None:
    monitor = _monitor()
    monitor.heard(Link.SUSPENDED, None, 100)
    monitor.heard(Link.CONNECTED, _MINE, 5_000)
    monitor.heard(Link.SUSPENDED, None, 5_100)
    assert monitor.lost_at_ms == 5_100 + _TIMEOUT_MS


def test_further_tries_to_connect_do_not_restart_the_count() -> None:
    monitor = _monitor()
    monitor.heard(Link.SUSPENDED, None, 100)
    assert monitor.heard(Link.SUSPENDED, None, 4_000) == ()
    assert monitor.lost_at_ms == 100 + _TIMEOUT_MS


def test_a_loss_that_was_counted_is_rejoined_even_when_the_session_lives() -> None:
    monitor = _monitor()
    monitor.heard(Link.SUSPENDED, None, 0)
    monitor.tick(_TIMEOUT_MS)
    assert monitor.heard(Link.CONNECTED, _MINE, 9_000) == (Action.REJOIN,)


def test_a_loss_that_kazoo_reports_is_not_reported_twice() -> None:
    monitor = _monitor()
    monitor.heard(Link.SUSPENDED, None, 0)
    monitor.tick(_TIMEOUT_MS)
    assert monitor.heard(Link.LOST, None, 9_000) == ()
    assert monitor.heard(Link.CONNECTED, _NEW, 9_001) == (Action.REJOIN,)


def test_a_sudden_loss_stops_everything() -> None:
    monitor = _monitor()
    assert monitor.heard(Link.LOST, None, 5) == (Action.STOP_WORK, Action.DROP_LEADERSHIP)
    assert monitor.heard(Link.CONNECTED, _NEW, 6) == (Action.REJOIN,)


def test_a_new_session_without_news_of_the_loss_is_a_loss() -> None:
    monitor = _monitor()
    assert monitor.heard(Link.CONNECTED, _NEW, 5) == (
        Action.STOP_WORK,
        Action.DROP_LEADERSHIP,
        Action.REJOIN,
    )


def test_being_told_twice_that_all_is_well_is_nothing() -> None:
    assert _monitor().heard(Link.CONNECTED, _MINE, 5) == ()
