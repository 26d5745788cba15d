"""What clients of a group are told when the store refuses or is not there."""

from kafkalite.broker.groups.ports import GroupConflictError, GroupTooLargeError
from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    GroupMaxSizeReachedError,
    LogError,
    NotCoordinatorError,
)


def in_words(group: str, error: StoreError) -> LogError:
    """The store's failure as a client's; all but a group that is too large may be over soon."""
    match error:
        case GroupConflictError():
            return NotCoordinatorError(f"Another broker coordinates group '{group}' by now")
        case GroupTooLargeError():
            return GroupMaxSizeReachedError(str(error))
        case _:
            return CoordinatorNotAvailableError(f"Group '{group}' cannot be stored: {error}")


def again(error: LogError) -> LogError:
    """The same error to be raised once more: an exception that is raised keeps where it was."""
    return type(error)(error.detail, **error.extra)
