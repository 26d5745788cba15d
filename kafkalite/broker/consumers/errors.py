"""What a consumer instance may be asked for in vain, beside the errors of the log itself."""

from kafkalite.model.ids import TopicPartition


class ConsumerError(Exception):
    """An instance cannot do what it is asked; the message is a sentence for the client."""


class ConsumerNotFoundError(ConsumerError):
    """There is no instance of that name in the group."""


class ConsumerExistsError(ConsumerError):
    """The name is taken in the group."""


class TooManyConsumersError(ConsumerError):
    """As many instances, or polls of one, as there may be."""


class IllegalStateError(ConsumerError):
    """What is asked for does not go with what was asked for before."""


class NotAssignedError(IllegalStateError):
    """A partition is not the instance's."""

    def __init__(self, partition: TopicPartition) -> None:
        """Name the partition."""
        super().__init__(f"No current assignment for partition {partition}")


class NotSubscribedError(ConsumerError):
    """There is nothing to read: neither a subscription nor an assignment."""

    def __init__(self) -> None:
        """Say it in the words that clients know."""
        super().__init__("Consumer is not subscribed to any topics or assigned any partitions")


class InvalidPatternError(ConsumerError):
    """The regular expression of a subscription is none, or may not be used."""
