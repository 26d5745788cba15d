"""How many connections there may be, of one address and of all."""

from collections.abc import Mapping
from typing import Final

UNBOUNDED: Final = 2**31 - 1


class ConnectionLimits:
    """Counts the connections of one server. Lives on the loop."""

    def __init__(
        self,
        most: int,
        most_of_one: int = UNBOUNDED,
        overrides: Mapping[str, int] | None = None,
    ) -> None:
        """Assign only.

        Args:
            most: of all addresses together.
            most_of_one: of each address.
            overrides: in place of that, for some addresses.
        """
        self._most = most
        self._most_of_one = most_of_one
        self._overrides = overrides or {}
        self._count = 0
        self._counts: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Connections that were let in and have not left."""
        return self._count

    def let_in(self, address: str) -> str:
        """Count one more, of `address`; or say why not: nothing is counted then."""
        if self._count >= self._most:
            return f"This broker has as many connections as it takes, max.connections={self._most}"
        count = self._counts.get(address, 0)
        limit = self._overrides.get(address, self._most_of_one)
        if count >= limit:
            return (
                f"There are as many connections from {address} as this broker takes, "
                f"max.connections.per.ip={limit}"
            )
        self._counts[address] = count + 1
        self._count += 1
        return ""

    def leave(self, address: str) -> None:
        """One that was let in is gone."""
        self._count -= 1
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]
