"""Which brokers are to coordinate a group: rendezvous hashing, the same on every broker."""

from collections.abc import Iterable
from hashlib import blake2b

from kafkalite.model.ids import BrokerId


def coordinators_of(group: str, brokers: Iterable[BrokerId]) -> list[BrokerId]:
    """The brokers in the order in which they are to coordinate the group.

    A broker that comes or goes changes nothing in the order of the others, and takes or leaves an
    even share of the groups.
    """
    return sorted(brokers, key=lambda broker: (_weight(group, broker), broker), reverse=True)


def _weight(group: str, broker: BrokerId) -> bytes:
    return blake2b(f"{broker}/{group}".encode(), digest_size=8).digest()
