"""Errors of the disk, as those are told whose records it does not take."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import TopicPartition

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_RESOURCES: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN}
)


def is_full(error: OSError) -> bool:
    """Whether there was no space."""
    return error.errno in _NO_SPACE


def passes(error: OSError) -> bool:
    """Whether the disk may take the next write all the same."""
    return error.errno in _NO_SPACE or error.errno in _NO_RESOURCES


def passing(
    error: OSError, topic_partition: TopicPartition, log_directory: Path
) -> KafkaStorageError:
    """A write was refused, and may be tried again."""
    if error.errno in _NO_SPACE:
        return KafkaStorageError(
            f"Log directory {log_directory} is full: {topic_partition} takes no records until "
            "there is space again. Free some, or lower the retention of its topics."
        )
    return KafkaStorageError(
        f"{topic_partition} in log directory {log_directory} cannot be written now: "
        f"{error.strerror}. Raise the limits of the broker's process."
    )


def final(error: OSError, log_directory: Path) -> KafkaStorageError:
    """The disk can no longer be trusted."""
    return KafkaStorageError(
        f"Log directory {log_directory} failed: {error.strerror or error}. Its logs take no "
        "records until the disk is sound and the broker is started again."
    )


def unreadable(
    error: OSError, topic_partition: TopicPartition, log_directory: Path
) -> KafkaStorageError:
    """A read failed."""
    return KafkaStorageError(
        f"Reading {topic_partition} in {log_directory} failed: {error.strerror or error}"
    )


@contextlib.contextmanager
def reading(topic_partition: TopicPartition, log_directory: Path) -> Iterator[None]:
    """Within it an error of the disk becomes `unreadable`."""
    try:
        yield
    except OSError as error:
        raise unreadable(error, topic_partition, log_directory) from error
