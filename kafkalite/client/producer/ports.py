"""What the producer needs of the rest of the client."""

from asyncio import Future
from collections.abc import Collection, Coroutine, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from kafkalite.model.ids import TopicPartition
from kafkalite.wire.batch import Buffer
from kafkalite.wire.messages import ProduceResponse

Address = TypeVar("Address", bound=Hashable)
"""A broker that can be asked."""
Address_co = TypeVar("Address_co", bound=Hashable, covariant=True)
Address_contra = TypeVar("Address_contra", bound=Hashable, contravariant=True)


class ClusterView(Protocol[Address_co]):
    """Who leads what, as far as is known; on the loop."""

    async def partitions(self, topic: str, /) -> int:
        """How many partitions `topic` has, asking brokers where that is not known or old.

        Raises:
            LogError: the topic does not exist, or no broker answers.
        """

    def leader(self, place: TopicPartition, /) -> Address_co | None:
        """Who leads, as far as is known."""

    async def refresh(self, topics: Collection[str], /) -> None:
        """Ask who leads the partitions of `topics` now.

        Raises:
            LogError: no broker answers.
        """

    def note_leader(self, place: TopicPartition, broker_id: int, url: str, /) -> None:
        """A broker said who leads instead of it."""

    def any_broker(self) -> Address_co:
        """A broker to ask for what any can do; another one each time."""


class Reply(Protocol):
    """An answer to a request of HTTP's own kind."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class ProduceConnections(Protocol[Address_contra]):
    """The way to brokers; on the loop. Errors are LogErrors.

    One with an attribute `was_sent` that is False says that the request surely was not carried out.
    """

    def produce(
        self, address: Address_contra, parts: Sequence[Buffer], timeout_s: float, /
    ) -> Future[ProduceResponse] | Coroutine[Any, Any, ProduceResponse]:
        """Send a ProduceRequest; those for one broker arrive in the order of the calls.

        A future where it is sent already, which saves a task.
        """

    async def request(
        self,
        address: Address_contra,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        /,
    ) -> Reply:
        """Send any other request."""
