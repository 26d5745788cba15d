"""The id of a request: its client's, where it gave one that can be repeated, or one of ours."""

import os
import re
from collections.abc import Iterable
from typing import Final

HEADER: Final = b"x-request-id"

_GOOD_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""What is safe in a header, in a log and in a terminal."""


def given_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The id that the client gave; None where it gave none, or one that cannot be repeated."""
    for name, text in headers:
        if name == HEADER:
            return checked_id(text)
    return None


def checked_id(text: bytes) -> bytes | None:
    """`text`, where it may stand in answers and logs."""
    return text if _GOOD_ID.fullmatch(text) else None


def make_id() -> str:
    """An id that no other request has."""
    return os.urandom(8).hex()


def id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's id, or one that is made."""
    given = given_id(headers)
    return make_id() if given is None else given.decode("ascii")
