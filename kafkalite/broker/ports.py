"""What the broker needs of the outside, as Protocols; `coordination/` implements them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafkalite.controller.events import StateChange
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicPartition

Assignment = Mapping[int, tuple[BrokerId, ...]]
"""Partition -> assigned replicas; the first is the preferred leader."""
ConfigUpdate = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Given the overrides as they are, gives them as they shall be; may raise a LogError."""


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

    async def update_assignment(self, name: str, update: Callable[[Topic], Assignment]) -> Topic:
        """Replace a topic's assignment by compare-and-set; gives the topic as written.

        `update` is given the topic as stored; it may run several times and may raise a LogError.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """

    async def update_topic_config(self, name: str, update: ConfigUpdate) -> Mapping[str, str]:
        """Replace a topic's overrides by compare-and-set; gives them as written.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """

    async def update_broker_config(self, entity: str, update: ConfigUpdate) -> Mapping[str, str]:
        """Replace the dynamic configuration of a broker id or of `<default>`, as written."""

    async def request_topic_deletion(self, name: str) -> None:
        """Ask the controller to delete a topic; asking twice is asking once.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
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
