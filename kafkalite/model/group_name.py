"""What may be the id of a consumer group."""

import re
from typing import Final

from kafkalite.model.errors import InvalidGroupIdError

MAX_LENGTH: Final = 255
_UNREACHABLE: Final = frozenset({".", ".."})
_ILLEGAL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_group_id(group: str) -> None:
    """Raise InvalidGroupIdError unless `group` may be a group's id.

    Kafka takes any text. Here it becomes the name of a znode and a part of URLs: it has an end, and
    nothing in it that cannot be seen or written, or that no URL comes to.
    """
    if not group:
        raise InvalidGroupIdError("The group id is invalid: the empty string is not allowed")
    if len(group) > MAX_LENGTH:
        raise InvalidGroupIdError(
            f"The group id is invalid: it has {len(group)} characters, {MAX_LENGTH} are allowed"
        )
    if _ILLEGAL.search(group):
        raise InvalidGroupIdError(
            f"The group id is invalid: {group!r} has control characters or half of a character"
        )
    if "/" in group or group in _UNREACHABLE:
        raise InvalidGroupIdError(
            f"The group id is invalid: {group!r}; '/', '.' and '..' mean something else in URLs"
        )
