"""The file that keeps the session for the broker's next life."""

import stat
from pathlib import Path

import pytest

from kafkalite.coordination.session_file import (
    SessionKey,
    read_session_file,
    remove_session_file,
    write_session_file,
)


@pytest.mark.parametrize("session_id", [1, 0x1A21012EDBC0000, -5])
def test_a_session_comes_back(tmp_path: Path, session_id: int) -> None:
    path = tmp_path / "session"
    key = SessionKey(session_id, bytes(range(16)))
    write_session_file(path, SessionKey(7, b"old"))
    write_session_file(path, key)
    assert read_session_file(path) == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["session"]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "session"
    write_session_file(path, SessionKey(1, b"secret"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_password_is_not_shown() -> None:
    assert "736563726574" not in repr(SessionKey(1, b"secret"))
    assert "secret" not in repr(SessionKey(1, b"secret"))


@pytest.mark.parametrize(
    "content",
    [b"", b"1\n0000000000000001\nab\n", b"0\n1\nab\n", b"0\n0000000000000001\nabc\n", b"\xff" * 99],
)
def test_what_is_not_a_session_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "session"
    path.write_bytes(content)
    assert read_session_file(path) is None


def test_none_is_none(tmp_path: Path) -> None:
    path = tmp_path / "session"
    assert read_session_file(path) is None
    remove_session_file(path)


def test_a_leftover_of_a_crash_is_not_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "session"
    (tmp_path / "session.tmp").write_bytes(b"half")
    write_session_file(path, SessionKey(1, b"x"))
    assert read_session_file(path) == SessionKey(1, b"x")
