"""Errors as clients of REST Proxy's version 3 expect them: `{"error_code", "message"}`."""

from typing import Final

from kafkalite.api.rest import errors as rest
from kafkalite.api.rest.errors import (
    BAD_TOPIC_REQUEST,
    KAFKA_ERROR,
    PARTITION_NOT_FOUND,
    RETRIABLE_KAFKA_ERROR,
    RestAnswer,
    RestError,
)
from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import (
    GroupIdNotFoundError,
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    LogError,
    ReassignmentInProgressError,
    RequestTooLargeError,
    TopicAlreadyExistsError,
    TopicDeletionDisabledError,
    UnknownTopicOrPartitionError,
)
from kafkalite.wire.v3_records import RefusedRecordError

MEDIA: Final = b"application/json"
TOO_LARGE: Final = 413
TOPIC_NOT_FOUND: Final = 40403
GROUP_NOT_FOUND: Final = 40405
BAD_PAYLOAD: Final = 42206

_BAD_ADMIN_REQUESTS: Final = (
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    ReassignmentInProgressError,
    TopicAlreadyExistsError,
    TopicDeletionDisabledError,
)
TOLD: Final = (RestError, RefusedRecordError, LogError, StoreError)
"""What a request may be refused with."""


def refusal(error: Exception) -> RestAnswer:
    """The answer to a request that failed."""
    return rest.refusal(_told(error))._replace(media=MEDIA)


def _told(error: Exception) -> Exception:
    match error:
        case RefusedRecordError():
            return RestError(error.code, error.message)
        case RequestTooLargeError():
            return RestError(TOO_LARGE, f"HTTP Request Entity Too Large: {error.detail}")
        case UnknownTopicOrPartitionError():
            return RestError(TOPIC_NOT_FOUND, error.detail)
        case GroupIdNotFoundError():
            return RestError(GROUP_NOT_FOUND, error.detail)
        case LogError() if isinstance(error, _BAD_ADMIN_REQUESTS):
            return RestError(BAD_TOPIC_REQUEST, error.detail)
    return error


def record_failure(error: LogError, *, names_partition: bool) -> RefusedRecordError:
    """Why a record was not stored; `names_partition` says whether the client chose its place."""
    if error.status == TOO_LARGE:
        code = TOO_LARGE
    elif error.status == 429:
        code = 429
    elif isinstance(error, UnknownTopicOrPartitionError):
        code = PARTITION_NOT_FOUND if names_partition else TOPIC_NOT_FOUND
    else:
        code = RETRIABLE_KAFKA_ERROR if error.retriable else KAFKA_ERROR
    return RefusedRecordError(code, error.detail)
