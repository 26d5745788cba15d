"""The file beside the logs that keeps the session's id and password.

A broker that was killed finds its session still alive, and with it the registration that blocks its
own id. With this file it resumes that session and closes it, instead of waiting for its timeout.

    line 1   0                 version of the format
    line 2   session id        16 hexadecimal digits
    line 3   password          hexadecimal

Whoever can read it can take over the session: it is readable by its owner only. It is replaced as a
whole; one that cannot be read is as good as none.
"""

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)
_FORMAT = re.compile(rb"0\n([0-9a-f]{16})\n((?:[0-9a-f]{2}){1,64})\n")
_MODE = 0o600


class SessionKey(NamedTuple):
    """What it takes to resume a session."""

    session_id: int
    password: bytes

    def __repr__(self) -> str:
        return f"SessionKey(0x{self.session_id:x})"  # the password stays out of logs


def read_session_file(path: Path) -> SessionKey | None:
    """The key that was kept, or None when there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("Cannot read %s: %s", path, error)
        return None
    match = _FORMAT.fullmatch(content)
    if match is None:
        _log.warning("Ignoring %s: it is not a session file", path)
        return None
    unsigned = int(match[1], 16)
    session_id = unsigned - (1 << 64) if unsigned >> 63 else unsigned
    return SessionKey(session_id, bytes.fromhex(match[2].decode()))


def write_session_file(path: Path, key: SessionKey) -> None:
    """Replace the file, durably: temp, fsync, rename, fsync of the directory.

    Raises:
        OSError: the directory cannot be written.
    """
    unsigned = key.session_id & ((1 << 64) - 1)
    content = f"0\n{unsigned:016x}\n{key.password.hex()}\n".encode()
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - wraps a descriptor
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove_session_file(path: Path) -> None:
    """Forget the session: it was closed."""
    path.unlink(missing_ok=True)
