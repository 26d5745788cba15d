"""What the broker needs of the outside, as Protocols; `coordination/` implements them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafkalite.controller.events import StateChange
from kafkalite.model.admin_requests import ElectionRequest, ReassignmentRequest
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest
from kafkalite.wire.messages import FetchRequest, FetchResponse, ProduceRequest, ProduceResponse

Assignment = Mapping[int, tuple[BrokerId, ...]]
"""Partition -> assigned replicas; the first is the preferred leader."""
ConfigUpdate = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Given the overrides as they are, gives them as they shall be; may raise a LogError."""
TopicUpdate = Callable[[Topic], Topic]
"""Given a topic as it is stored, gives it as it shall be; may raise a LogError."""


class StoreError(Exception):
    """The store refused, or holds something unusable; the message is a sentence for people."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, or did not answer in time: a write may have happened or not."""


class StoreConflictError(StoreError):
    """Others kept changing the same thing; nothing was written."""


class FencedControllerError(StoreError):
    """Another broker is the controller by now; nothing was written."""


class MetadataStore(Protocol):
    """The cluster's metadata as any broker may change it.

    What was written comes back through the MetadataView, a moment later. Every method may
    raise StoreError, and a LogError where the store's contents forbid the change.
    """

    async def catch_up(self) -> None:
        """Bring the MetadataView up to now: all that anybody wrote before is in it afterwards."""

    async def create_topic(self, topic: Topic) -> None:
        """Write a topic and its configuration, both or nothing.

        Raises:
            TopicAlreadyExistsError: there is one of that name; of several that race, one wins.
        """

    async def update_topic(self, name: str, update: TopicUpdate) -> Topic:
        """Replace a topic's assignment and its reassignments by compare-and-set; as written.

        `update` is given the topic as stored, without its configuration, which stays what it is; it
        may run several times and may raise a LogError.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """

    async def write_isr(
        self, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        """Write in-sync replicas that leaders have changed, by compare-and-set of the states.

        Gives what is true afterwards of each partition: the new state, or where another writer came
        first the one it wrote, or None for a partition that has none. Of a partition that is left
        out nothing is known: its stored state cannot be read, or keeps changing. Of a topic that
        was deleted there is none, whatever there is under its name by now.

        Raises:
            StoreError: nothing is known of any of them; each may have been written or not.
        """

    async def update_topic_config(self, name: str, update: ConfigUpdate) -> Mapping[str, str]:
        """Replace a topic's overrides by compare-and-set; gives them as written.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """

    async def update_broker_config(self, entity: str, update: ConfigUpdate) -> Mapping[str, str]:
        """Replace the dynamic configuration of a broker id or of `<default>`, as written."""

    async def claim_producer_ids(self, broker_id: BrokerId) -> range:
        """Take a block of producer ids, which nobody else is ever given, for a broker."""

    async def request_topic_deletion(self, name: str) -> None:
        """Ask the controller to delete a topic; asking twice is asking once.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """

    async def withdraw_reassignments(self, partitions: Collection[TopicPartition]) -> None:
        """Take partitions from the list of moves that somebody wrote for the controller.

        Whoever moves a partition elsewhere does this first: what the list says is what is wanted.
        """


@dataclass(frozen=True, slots=True)
class ControllerClaim:
    """Proof of being the controller: every write of the controller is checked against it."""

    broker_id: BrokerId
    epoch: ControllerEpoch
    epoch_version: int
    """Version of the epoch as stored; a write is refused once it is another."""


class ControllerStore(Protocol):
    """What only the elected controller does.

    Every method may raise StoreError; what takes a claim raises FencedControllerError once another
    broker has been elected.
    """

    async def claim(self, broker_id: BrokerId) -> ControllerClaim | None:
        """Try to become the controller, once. None: another broker is it."""

    async def catch_up(self) -> None:
        """Bring the MetadataView up to now: all that anybody wrote before is in it afterwards."""

    async def write_states(
        self, claim: ControllerClaim, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        """Write states in as few transactions as possible.

        Gives what is true afterwards of each partition: the new state, or where another writer came
        first the one it wrote, or None for a partition that has none. A partition whose stored
        state cannot be read is left out.
        """

    async def complete_reassignment(
        self, claim: ControllerClaim, name: str, partitions: Collection[int]
    ) -> None:
        """Make the targets of partitions that have moved their only replicas.

        A partition of which `model.reassignment.is_complete` is not true, as topic and state are
        stored, stays as it is, and so do all that are not named: nothing is given up that somebody
        has to have. Nothing is done where the topic is gone.

        Raises:
            StoreConflictError: others kept changing the topic or the states.
        """

    async def identify_topic(self, claim: ControllerClaim, name: str) -> None:
        """Give an id to a topic that was made without one, if it is still as new as that."""

    async def begin_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        name: str,
        update: TopicUpdate,
    ) -> None:
        """Replace a topic's assignment, as `MetadataStore.update_topic`, for a request.

        Nothing is written once the request is another than it was, or the topic is gone or another
        one than when it was read, or where `update` gives the topic as it is. It must not raise.
        """

    async def keep_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        targets: Mapping[TopicPartition, tuple[BrokerId, ...]],
    ) -> bool:
        """Have a request ask for these moves only; with none it goes.

        False: it is another than it was by now, and stays that.
        """

    async def drop_election(self, claim: ControllerClaim, request: ElectionRequest) -> bool:
        """Remove a request for elections; False: it is another one by now, and stays."""

    async def depose(self, broker_id: BrokerId) -> None:
        """Take the office from a controller that is dead, so that another one can be elected.

        Nothing is done where another broker is the controller, or none. Whether the controller is
        dead is the caller's to know; if it lives, it costs an election and nothing else.
        """

    async def remove_topic(self, claim: ControllerClaim, name: str) -> None:
        """Remove a topic's states, assignment, configuration and deletion request.

        Done in several transactions where it is large; repeating it finishes what was begun.

        Raises:
            StoreConflictError: there is a topic, but no request to delete it any more.
        """

    async def drop_deletion(self, claim: ControllerClaim, name: str) -> None:
        """Remove the request to delete a topic; nothing where there is none."""

    async def prune_notices(self, claim: ControllerClaim) -> None:
        """Remove change notices that every broker has read long ago, if there are many."""


class Peers(Protocol):
    """The other brokers, as this one talks to them; `transport/` implements it.

    Connections are kept, and bounded in number for each broker. Every method gives up after
    `timeout_s`, from the call to the last byte of the answer, and may be cancelled at any time: the
    connection of a request that was given up is closed, which tells the other side.

    Every method but `refuses` and `close` raises:
        PeerRefusedError: nobody listens there; nothing was sent.
        PeerUnreachableError: no connection, for any other reason; nothing was sent.
        PeerBusyError: too many requests to that broker wait already; nothing was sent.
        PeerTimeoutError: no whole answer in time.
        PeerBrokenError: anything else that is no good answer.
    """

    async def fetch(self, broker: Broker, request: FetchRequest, timeout_s: float) -> FetchResponse:
        """Read from partitions that `broker` leads."""

    async def produce(
        self, broker: Broker, request: ProduceRequest, timeout_s: float
    ) -> ProduceResponse:
        """Append to partitions that `broker` leads. Never sent twice by itself."""

    async def ask_controller(
        self, broker: Broker, request: ControllerRequest, timeout_s: float
    ) -> ControllerReply:
        """Ask `broker` for what only the controller does."""

    async def request(
        self,
        broker: Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        """Send any HTTP request; gives whatever the other broker answers, errors too.

        Args:
            broker: whom to ask.
            method: as it shall be sent.
            target: path and query, percent-encoded.
            headers: beside those that the connection and the body need.
            body: may be empty.
            timeout_s: from now to the last byte of the answer.
        """

    async def refuses(self, broker: Broker) -> bool:
        """Whether a connection to `broker` is refused, tried now.

        False also where nothing is known: no answer at all is no proof of death.
        """

    async def close(self) -> None:
        """Close all connections; requests that wait fail."""
