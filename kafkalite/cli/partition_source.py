"""What a consumer reads at the moment, whoever decides it."""

from collections.abc import Mapping
from typing import Protocol

from kafkalite.model.ids import TopicPartition


class PartitionSource(Protocol):
    """The partitions to read, who leads them, and where to go on. Owned by one command."""

    @property
    def leaders(self) -> Mapping[TopicPartition, str]:
        """Where each partition is read, of those that can be read at the moment."""

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Offset of the next record to ask for, of each partition; always the same mapping."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that shall be read can be read."""

    @property
    def news(self) -> int | None:
        """A descriptor that is readable when there is a reason to `follow` at once."""

    def start(self) -> None:
        """Do what comes before everything else.

        Raises:
            NoBrokerError: no broker can be reached.
            CommandError: there will be nothing to read.
            LogError: nor then.
        """

    def follow(self) -> bool:
        """Take over what was decided meanwhile; True: `refresh` is needed before reading on."""

    def refresh(self) -> None:
        """Look at the cluster anew.

        Raises:
            NoBrokerError: no broker can be reached.
            CommandError: what was asked for does not exist.
            LogError: a broker cannot say where a partition begins.
        """

    def note_out_of_range(self, found: TopicPartition) -> None:
        """A partition does not hold its position: the next refresh finds another one."""

    def note_done(self, found: TopicPartition, next_offset: int) -> None:
        """The records below `next_offset` have been dealt with."""

    def close(self) -> None:
        """Nothing is read any more."""
