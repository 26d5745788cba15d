"""What a broker needs to be a member of the cluster; `coordination/` implements it."""

from typing import Protocol

from kafkalite.broker.groups.ports import GroupStore
from kafkalite.broker.ports import ControllerStore, MetadataStore
from kafkalite.model.cluster import Broker


class Membership(Protocol):
    """The session with ZooKeeper and what hangs on it.

    After a lost session it comes back, registers and reads everything again by itself; whoever made
    it is told through the callbacks that it was given.
    """

    async def start(self) -> None:
        """Connect, within the connection timeout."""

    async def cluster_id(self) -> str:
        """The cluster's id; made by the first broker there ever was."""

    async def generate_broker_id(self) -> int:
        """An id that no broker has had."""

    async def load_view(self) -> None:
        """Read the whole cluster into the view."""

    async def register(self, broker: Broker) -> int:
        """Make the broker known; gives its epoch."""

    async def stop(self) -> None:
        """End the session, so that the others know at once."""

    @property
    def epoch(self) -> int | None:
        """What `register` gave in this session; None before it did, and after the session's loss.

        The view cannot tell: until then it may show an earlier life of the same broker.
        """

    @property
    def store(self) -> MetadataStore: ...

    @property
    def controller_store(self) -> ControllerStore: ...

    @property
    def group_store(self) -> GroupStore: ...

    @property
    def is_connected(self) -> bool:
        """Whether the session is there, and all that hangs on it."""
