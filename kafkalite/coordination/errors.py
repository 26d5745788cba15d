"""What can go wrong with ZooKeeper, in our words; kazoo's exceptions do not leave this package.

CoordinationError                the message is a sentence for people
 +- ConnectionLostError          no connection, or lost while waiting: outcome unknown
 +- NoNodeError, NodeExistsError, BadVersionError, NotEmptyError
 +- TransactionFailedError       one operation was refused, so none was done
 +- MalformedZnodeError          a payload is not what it should be
 +- BrokerIdInUseError           another live broker has the id
"""

from kafkalite.broker.ports import StoreError, StoreUnavailableError


class CoordinationError(StoreError):
    """ZooKeeper refused, or holds something unusable."""


class ConnectionLostError(CoordinationError, StoreUnavailableError):
    """There is no connection, or it broke: a write that was sent may have happened or not."""


class NoNodeError(CoordinationError):
    """The znode does not exist."""


class NodeExistsError(CoordinationError):
    """The znode exists already."""


class BadVersionError(CoordinationError):
    """The znode was changed meanwhile."""


class NotEmptyError(CoordinationError):
    """The znode has children."""


class TransactionFailedError(CoordinationError):
    """Nothing of a transaction was done, because of one of its operations."""

    def __init__(self, index: int, cause: CoordinationError) -> None:
        super().__init__(f"operation {index} of the transaction: {cause}")
        self.index = index
        self.cause = cause


class MalformedZnodeError(CoordinationError):
    """A payload cannot be read."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"The znode {path} is malformed: {problem}")
        self.path = path


class UnidentifiedTopicError(MalformedZnodeError):
    """A topic has no id, as tools older than Kafka 2.8 write it; all else of it can be read."""

    def __init__(self, path: str) -> None:
        super().__init__(path, 'it has no "topic_id"')


class BrokerIdInUseError(CoordinationError):
    """Another broker with this id is alive."""
