"""What tells a group from one of the same name that was deleted before.

    /consumers/G/life-HEX   no data; HEX is in the state, too

A znode that is made anew begins at version 0, so that the version of a deleted group's state may
be that of its successor's. Each life of a group therefore has a number that no other has, drawn
when it is created, and a znode of that name, which goes with it: whatever is written for the group
is written on the condition that both the life and the state's version are there.

GRP-17  A group that was made anew has no version that its namesake had.

For the rest of the broker a version is one number: the life above, the znode's version in the
lowest 32 bits. It grows with every write, and no two groups ever share one.
"""

import secrets
from typing import Final, NamedTuple

from kafkalite.coordination import paths
from kafkalite.coordination.operations import Check
from kafkalite.groups.state import NEW_GROUP_VERSION

NO_LIFE: Final = 0
"""Of a group that an older version of this program created."""

_VERSION_BITS: Final = 32
_LIFE_BITS: Final = 63


class GroupVersion(NamedTuple):
    """A version of a group's state, taken apart."""

    life: int
    znode: int
    """Version of the state's znode; NEW_GROUP_VERSION: there is none."""

    @classmethod
    def of(cls, version: int) -> "GroupVersion":
        """Take apart what `joined` made."""
        if version == NEW_GROUP_VERSION:
            return cls(NO_LIFE, NEW_GROUP_VERSION)
        return cls(version >> _VERSION_BITS, version & (1 << _VERSION_BITS) - 1)

    @classmethod
    def new(cls) -> "GroupVersion":
        """Of a group that is about to be created."""
        return cls(secrets.randbits(_LIFE_BITS) | 1, 0)

    @property
    def joined(self) -> int:
        """As the rest of the broker knows it."""
        return self.life << _VERSION_BITS | self.znode

    def life_path(self, group: str) -> str | None:
        """The znode of its life."""
        return None if self.life == NO_LIFE else paths.group_life(group, f"{self.life:016x}")

    def checks(self, group: str) -> list[Check]:
        """What fails unless the group is at this version, in this life."""
        return [*self.life_checks(group), Check(paths.group_state(group), self.znode)]

    def life_checks(self, group: str) -> list[Check]:
        """What fails unless the group is in this life."""
        path = self.life_path(group)
        return [] if path is None else [Check(path)]
