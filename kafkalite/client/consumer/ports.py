"""What the consumer needs of the rest of the client. All of it lives on the loop."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.fetch_answer import FetchAnswer
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_messages import HeartbeatRequest, HeartbeatResponse
from kafkalite.wire.messages import FetchRequest


class ClusterView(Protocol):
    """Who leads what, as far as is known."""

    async def partitions(self, topic: str, /) -> int:
        """How many partitions `topic` has, asking brokers where that is not known or old.

        Raises:
            LogError: the topic does not exist, or no broker answers.
        """

    def leader(self, topic_partition: TopicPartition, /) -> BrokerAddress | None:
        """Who leads, as far as is known."""

    async def refresh(self, topics: Collection[str], /) -> None:
        """Ask who leads the partitions of `topics` now.

        Raises:
            LogError: no broker answers.
        """

    def note_leader(self, topic_partition: TopicPartition, broker_id: int, url: str, /) -> None:
        """A broker said who leads instead of it."""

    def topic_id(self, topic: str, /) -> str | None:
        """Which topic of that name it is, as was seen last."""

    def brokers(self) -> Sequence[BrokerAddress]:
        """All that can be asked."""

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        *,
        may_repeat: bool,
    ) -> tuple[BrokerAddress, PeerReply]:
        """Send a request to any broker that is alive; gives who answered, and what."""


class Connections(Protocol):
    """The way to brokers. Errors are LogErrors."""

    async def fetch(
        self, address: BrokerAddress, request: FetchRequest, timeout_s: float
    ) -> FetchAnswer:
        """Ask for records."""

    async def request(
        self,
        address: BrokerAddress,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        """Send any other request."""


class Pauses(Protocol):
    """Growing pauses between attempts."""

    def next_pause(self) -> float:
        """How long to wait before the next attempt, in seconds."""

    def reset(self) -> None:
        """Begin anew, after a success."""


class HeartbeatPort(Protocol):
    """Where heartbeats go."""

    async def heartbeat(self, request: HeartbeatRequest, timeout_s: float) -> HeartbeatResponse:
        """Send one, and wait for its answer.

        Raises:
            LogError: it was refused, or no broker answers.
        """
