"""The paths below `/consumers`: which instance of which group, and what of it."""

from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from kafkalite.api.remembered import remembered

_CACHED: Final = 4096

CREATE: Final = "create"
INSTANCE: Final = ""
OPERATIONS: Final = {
    CREATE: ("POST",),
    INSTANCE: ("DELETE",),
    "subscription": ("DELETE", "GET", "POST"),
    "assignments": ("GET", "POST"),
    "positions": ("POST",),
    "positions/beginning": ("POST",),
    "positions/end": ("POST",),
    "records": ("GET",),
    "offsets": ("GET", "POST"),
}
"""What there is below a group (CREATE) or an instance, and its methods."""


class ConsumersPath(NamedTuple):
    """A path, taken apart; `operation` is one of OPERATIONS."""

    group: str
    name: str
    """Of the instance; empty where one is to be created."""
    operation: str

    @property
    def target(self) -> str:
        """The path again, percent-encoded, as it should have been written."""
        group = f"/consumers/{quote(self.group, safe='')}"
        if self.operation == CREATE:
            return group
        instance = f"{group}/instances/{quote(self.name, safe='')}"
        return f"{instance}/{self.operation}" if self.operation else instance


def is_consumers_path(path: str) -> bool:
    """Whether a path is for this API; slashes at its ends, and doubled ones, do not matter."""
    return path.startswith("/consumers/") or (
        path.startswith("//") and path.lstrip("/").startswith("consumers/")
    )


@remembered(_CACHED)
def parse_consumers_path(raw_path: str) -> ConsumersPath | None:
    """Take a percent-encoded path apart; None where there is nothing of that name."""
    match [unquote(segment) for segment in raw_path.split("/") if segment]:
        case ["consumers", group]:
            return ConsumersPath(group, "", CREATE)
        case ["consumers", group, "instances", name, *rest]:
            operation = "/".join(rest)
            if operation in OPERATIONS and operation != CREATE:
                return ConsumersPath(group, name, operation)
    return None
