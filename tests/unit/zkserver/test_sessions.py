"""Sessions: passwords, deadlines and ids that never come back."""

import pytest

from kafkalite.zkserver.sessions import SessionRecord, SessionTable, first_session_id

_PASSWORD = b"p" * 16


@pytest.fixture
def table() -> SessionTable:
    return SessionTable(first_id=100)


def test_ids_grow_and_are_not_given_twice(table: SessionTable) -> None:
    first = table.open(_PASSWORD, 1000, now_ms=0)
    table.close(first.id)
    second = table.open(_PASSWORD, 1000, now_ms=0)
    assert (first.id, second.id) == (100, 101)


def test_session_is_overdue_when_its_timeout_has_passed(table: SessionTable) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=500)
    assert table.overdue(1499) == []
    assert table.overdue(1500) == [session.id]


def test_deadline_moves_on_when_something_is_heard(table: SessionTable) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=0)
    table.touch(session.id, now_ms=900)
    assert table.overdue(1899) == []
    assert table.overdue(1900) == [session.id]


def test_touch_of_a_session_that_is_gone_does_nothing(table: SessionTable) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=0)
    table.close(session.id)
    table.touch(session.id, now_ms=1)
    assert len(table) == 0


def test_resume_gives_a_new_timeout_and_deadline(table: SessionTable) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=0)
    resumed = table.resume(session.id, _PASSWORD, 5000, now_ms=800)
    assert resumed == SessionRecord(session.id, _PASSWORD, 5000)
    assert list(table) == [resumed]
    assert table.overdue(5799) == []
    assert table.overdue(5800) == [session.id]


@pytest.mark.parametrize("password", [b"x" * 16, b"", bytes(16), _PASSWORD[:15]])
def test_resume_is_refused_and_changes_nothing_when_the_password_is_wrong(
    table: SessionTable, password: bytes
) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=0)
    assert table.resume(session.id, password, 60_000, now_ms=500) is None
    assert table.overdue(1000) == [session.id]


def test_resume_is_refused_when_the_session_is_closed(table: SessionTable) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=0)
    table.close(session.id)
    assert table.resume(session.id, _PASSWORD, 1000, now_ms=0) is None


def test_restored_session_has_its_full_timeout_to_come_back(table: SessionTable) -> None:
    table.restore([SessionRecord(7, _PASSWORD, 1000)], now_ms=50_000)
    assert table.overdue(50_999) == []
    assert table.overdue(51_000) == [7]


def test_every_deadline_moves_on_when_the_server_itself_stood_still(table: SessionTable) -> None:
    session = table.open(_PASSWORD, 1000, now_ms=0)
    table.extend_all(stalled_ms=10_000)
    assert table.overdue(10_999) == []
    assert table.overdue(11_000) == [session.id]


def test_first_id_is_made_of_the_time() -> None:
    early, late = first_session_id(1_700_000_000_000, 0), first_session_id(1_700_000_000_001, 0)
    assert late - early == 1 << 16
    assert 0 < early < 1 << 63


def test_first_id_is_larger_than_any_given_when_the_clock_went_back() -> None:
    last_id = first_session_id(1_700_000_000_000, 0) + 9
    assert first_session_id(1_600_000_000_000, last_id) == last_id + 1
