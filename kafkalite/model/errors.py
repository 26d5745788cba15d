"""The one error table, and the exceptions that are its rows.

Each error is a class whose attributes are its row: Kafka's name and code, the HTTP status, whether
a client may retry, whether it should refresh its metadata first, and a default text. Code raises
the class; `api/errors.py` turns it into a status and a body; a client turns the body back into the
class with `error_by_name`. Names and codes are Kafka's (kafka.common.protocol.Errors), but for a
few rows of HTTP's own at the end.

    LogError
     +- one subclass a row, e.g. NotLeaderOrFollowerError
"""

from typing import ClassVar


class LogError(Exception):
    """An error that a client may be told. Abstract: raise one of its subclasses."""

    name: ClassVar[str] = "UNKNOWN_SERVER_ERROR"
    code: ClassVar[int] = -1
    status: ClassVar[int] = 500
    retriable: ClassVar[bool] = False
    refresh_metadata: ClassVar[bool] = False
    text: ClassVar[str] = "The server met an error that it did not expect."

    def __init__(self, detail: str | None = None, **extra: object) -> None:
        """Build with `detail`, what happened here, and `extra`, members for the answer's body."""
        super().__init__(detail or self.text)
        self.detail = detail or self.text
        self.extra = extra


class OffsetOutOfRangeError(LogError):
    name, code, status = "OFFSET_OUT_OF_RANGE", 1, 416
    text = "The offset is not within the range that the partition holds."


class CorruptMessageError(LogError):
    name, code, status = "CORRUPT_MESSAGE", 2, 422
    retriable = True
    text = "The batch fails its checksum or is malformed."


class UnknownTopicOrPartitionError(LogError):
    name, code, status = "UNKNOWN_TOPIC_OR_PARTITION", 3, 404
    retriable = refresh_metadata = True
    text = "This server does not host this topic-partition."


class LeaderNotAvailableError(LogError):
    name, code, status = "LEADER_NOT_AVAILABLE", 5, 503
    retriable = refresh_metadata = True
    text = "The partition has no leader at the moment."


class NotLeaderOrFollowerError(LogError):
    name, code, status = "NOT_LEADER_OR_FOLLOWER", 6, 421
    retriable = refresh_metadata = True
    text = "This broker does not lead the partition."


class RequestTimedOutError(LogError):
    name, code, status = "REQUEST_TIMED_OUT", 7, 504
    retriable = True
    text = "The request timed out."


class BrokerNotAvailableError(LogError):
    name, code, status = "BROKER_NOT_AVAILABLE", 8, 503
    refresh_metadata = True
    text = "The broker is not available."


class ReplicaNotAvailableError(LogError):
    name, code, status = "REPLICA_NOT_AVAILABLE", 9, 503
    retriable = refresh_metadata = True
    text = "The replica is not available on this broker."


class MessageTooLargeError(LogError):
    name, code, status = "MESSAGE_TOO_LARGE", 10, 413
    text = "The batch is larger than max.message.bytes allows."


class StaleControllerEpochError(LogError):
    name, code, status = "STALE_CONTROLLER_EPOCH", 11, 409
    text = "The controller has moved to another broker."


class OffsetMetadataTooLargeError(LogError):
    name, code, status = "OFFSET_METADATA_TOO_LARGE", 12, 413
    text = "The metadata of the offset is too large."


class NetworkError(LogError):
    name, code, status = "NETWORK_EXCEPTION", 13, 502
    retriable = refresh_metadata = True
    text = "The server disconnected before an answer came."


class CoordinatorLoadInProgressError(LogError):
    name, code, status = "COORDINATOR_LOAD_IN_PROGRESS", 14, 503
    retriable = True
    text = "The coordinator is loading the group."


class CoordinatorNotAvailableError(LogError):
    name, code, status = "COORDINATOR_NOT_AVAILABLE", 15, 503
    retriable = refresh_metadata = True
    text = "The group's coordinator is not available."


class NotCoordinatorError(LogError):
    name, code, status = "NOT_COORDINATOR", 16, 421
    retriable = refresh_metadata = True
    text = "This broker is not the group's coordinator."


class InvalidTopicError(LogError):
    name, code, status = "INVALID_TOPIC_EXCEPTION", 17, 400
    text = "The topic name is invalid."


class RecordListTooLargeError(LogError):
    name, code, status = "RECORD_LIST_TOO_LARGE", 18, 413
    text = "The batch is larger than a segment."


class NotEnoughReplicasError(LogError):
    name, code, status = "NOT_ENOUGH_REPLICAS", 19, 503
    retriable = True
    text = "Fewer replicas are in sync than min.insync.replicas asks."


class NotEnoughReplicasAfterAppendError(LogError):
    name, code, status = "NOT_ENOUGH_REPLICAS_AFTER_APPEND", 20, 503
    retriable = True
    text = "The records were appended, then the in-sync replicas fell below min.insync.replicas."


class InvalidRequiredAcksError(LogError):
    name, code, status = "INVALID_REQUIRED_ACKS", 21, 400
    text = "acks must be 0, 1, or -1 (all)."


class IllegalGenerationError(LogError):
    name, code, status = "ILLEGAL_GENERATION", 22, 409
    text = "The generation is not the group's."


class InvalidGroupIdError(LogError):
    name, code, status = "INVALID_GROUP_ID", 24, 400
    text = "The group id is invalid."


class UnknownMemberIdError(LogError):
    name, code, status = "UNKNOWN_MEMBER_ID", 25, 409
    text = "The member is not known to the group."


class InvalidSessionTimeoutError(LogError):
    name, code, status = "INVALID_SESSION_TIMEOUT", 26, 400
    text = "The session timeout is outside the allowed range."


class RebalanceInProgressError(LogError):
    name, code, status = "REBALANCE_IN_PROGRESS", 27, 409
    text = "The group is rebalancing."


class TopicAuthorizationFailedError(LogError):
    name, code, status = "TOPIC_AUTHORIZATION_FAILED", 29, 403
    text = "Not authorized to access the topic."


class GroupAuthorizationFailedError(LogError):
    name, code, status = "GROUP_AUTHORIZATION_FAILED", 30, 403
    text = "Not authorized to access the group."


class InvalidTimestampError(LogError):
    name, code, status = "INVALID_TIMESTAMP", 32, 422
    text = "The timestamp of the record is out of the acceptable range."


class UnsupportedVersionError(LogError):
    name, code, status = "UNSUPPORTED_VERSION", 35, 400
    text = "This version is not supported."


class TopicAlreadyExistsError(LogError):
    name, code, status = "TOPIC_ALREADY_EXISTS", 36, 409
    text = "A topic with this name already exists."


class InvalidPartitionsError(LogError):
    name, code, status = "INVALID_PARTITIONS", 37, 400
    text = "The number of partitions is invalid."


class InvalidReplicationFactorError(LogError):
    name, code, status = "INVALID_REPLICATION_FACTOR", 38, 400
    text = "The replication factor is below 1 or above the number of brokers."


class InvalidReplicaAssignmentError(LogError):
    name, code, status = "INVALID_REPLICA_ASSIGNMENT", 39, 400
    text = "The replica assignment is invalid."


class InvalidConfigError(LogError):
    name, code, status = "INVALID_CONFIG", 40, 400
    text = "The configuration is invalid."


class NotControllerError(LogError):
    name, code, status = "NOT_CONTROLLER", 41, 421
    retriable = refresh_metadata = True
    text = "This broker is not the controller."


class InvalidRequestError(LogError):
    name, code, status = "INVALID_REQUEST", 42, 400
    text = "The request is malformed."


class PolicyViolationError(LogError):
    name, code, status = "POLICY_VIOLATION", 44, 403
    text = "The request violates a policy of this server."


class OutOfOrderSequenceNumberError(LogError):
    name, code, status = "OUT_OF_ORDER_SEQUENCE_NUMBER", 45, 409
    text = "The producer's sequence has a gap."


class DuplicateSequenceNumberError(LogError):
    name, code, status = "DUPLICATE_SEQUENCE_NUMBER", 46, 409
    text = "The producer's sequence was stored before."


class InvalidProducerEpochError(LogError):
    name, code, status = "INVALID_PRODUCER_EPOCH", 47, 409
    text = "The producer's epoch is older than the latest."


class KafkaStorageError(LogError):
    name, code, status = "KAFKA_STORAGE_ERROR", 56, 503
    retriable = refresh_metadata = True
    text = "The broker's disk failed while it served the request."


class LogDirNotFoundError(LogError):
    name, code, status = "LOG_DIR_NOT_FOUND", 57, 404
    text = "The log directory is not in the broker's configuration."


class UnknownProducerIdError(LogError):
    name, code, status = "UNKNOWN_PRODUCER_ID", 59, 409
    text = "The producer id is not known to the partition."


class ReassignmentInProgressError(LogError):
    name, code, status = "REASSIGNMENT_IN_PROGRESS", 60, 409
    text = "A reassignment is in progress."


class NonEmptyGroupError(LogError):
    name, code, status = "NON_EMPTY_GROUP", 68, 409
    text = "The group is not empty."


class GroupIdNotFoundError(LogError):
    name, code, status = "GROUP_ID_NOT_FOUND", 69, 404
    text = "The group does not exist."


class FetchSessionIdNotFoundError(LogError):
    name, code, status = "FETCH_SESSION_ID_NOT_FOUND", 70, 404
    retriable = True
    text = "The fetch session is not known."


class TopicDeletionDisabledError(LogError):
    name, code, status = "TOPIC_DELETION_DISABLED", 73, 403
    text = "Topic deletion is disabled (delete.topic.enable=false)."


class FencedLeaderEpochError(LogError):
    name, code, status = "FENCED_LEADER_EPOCH", 74, 409
    retriable = refresh_metadata = True
    text = "The leader epoch in the request is older than the broker's."


class UnknownLeaderEpochError(LogError):
    name, code, status = "UNKNOWN_LEADER_EPOCH", 75, 409
    retriable = refresh_metadata = True
    text = "The leader epoch in the request is newer than the broker's."


class UnsupportedCompressionTypeError(LogError):
    name, code, status = "UNSUPPORTED_COMPRESSION_TYPE", 76, 415
    text = "The compression type is not supported."


class StaleBrokerEpochError(LogError):
    name, code, status = "STALE_BROKER_EPOCH", 77, 409
    text = "The request was meant for an earlier incarnation of the broker."


class OffsetNotAvailableError(LogError):
    name, code, status = "OFFSET_NOT_AVAILABLE", 78, 503
    retriable = True
    text = "The high watermark has not reached the start of the leader's epoch yet."


class PreferredLeaderNotAvailableError(LogError):
    name, code, status = "PREFERRED_LEADER_NOT_AVAILABLE", 80, 409
    refresh_metadata = True
    text = "The preferred leader is not available."


class GroupMaxSizeReachedError(LogError):
    name, code, status = "GROUP_MAX_SIZE_REACHED", 81, 409
    text = "The group is full."


class FencedInstanceIdError(LogError):
    name, code, status = "FENCED_INSTANCE_ID", 82, 409
    text = "Another member took over this instance id."


class EligibleLeadersNotAvailableError(LogError):
    name, code, status = "ELIGIBLE_LEADERS_NOT_AVAILABLE", 83, 409
    retriable = refresh_metadata = True
    text = "No eligible leader is available."


class ElectionNotNeededError(LogError):
    name, code, status = "ELECTION_NOT_NEEDED", 84, 409
    refresh_metadata = True
    text = "The partition needs no election."


class NoReassignmentInProgressError(LogError):
    name, code, status = "NO_REASSIGNMENT_IN_PROGRESS", 85, 404
    text = "No reassignment is in progress."


class GroupSubscribedToTopicError(LogError):
    name, code, status = "GROUP_SUBSCRIBED_TO_TOPIC", 86, 409
    text = "The group is subscribed to the topic."


class InvalidRecordError(LogError):
    name, code, status = "INVALID_RECORD", 87, 422
    text = "The record breaks a rule of the topic."


class ThrottlingQuotaExceededError(LogError):
    name, code, status = "THROTTLING_QUOTA_EXCEEDED", 89, 429
    retriable = True
    text = "The quota is exceeded."


class ProducerFencedError(LogError):
    name, code, status = "PRODUCER_FENCED", 90, 409
    text = "A newer producer has this transactional id."


class InconsistentTopicIdError(LogError):
    name, code, status = "INCONSISTENT_TOPIC_ID", 103, 409
    retriable = refresh_metadata = True
    text = "The topic id in the request is not the broker's."


class FencedMemberEpochError(LogError):
    name, code, status = "FENCED_MEMBER_EPOCH", 110, 409
    text = "The member was fenced by the coordinator."


class UnreleasedInstanceIdError(LogError):
    name, code, status = "UNRELEASED_INSTANCE_ID", 111, 409
    text = "Another member still uses the instance id."


class UnsupportedAssignorError(LogError):
    name, code, status = "UNSUPPORTED_ASSIGNOR", 112, 400
    text = "The assignor is not supported."


class StaleMemberEpochError(LogError):
    name, code, status = "STALE_MEMBER_EPOCH", 113, 409
    text = "The member epoch is behind the coordinator's."


# -- Rows of HTTP's own, which Kafka's protocol has no word for; their codes are negated statuses --


class PathNotFoundError(LogError):
    name, code, status = "PATH_NOT_FOUND", -404, 404
    text = "There is nothing at this path."


class MethodNotAllowedError(LogError):
    name, code, status = "METHOD_NOT_ALLOWED", -405, 405
    text = "The path does not take this method."


class NotAcceptableError(LogError):
    name, code, status = "NOT_ACCEPTABLE", -406, 406
    text = "None of the media types in Accept can be sent."


class RequestTooSlowError(LogError):
    name, code, status = "REQUEST_TOO_SLOW", -408, 408
    retriable = True
    text = "The request did not come whole in time."


class RequestTooLargeError(LogError):
    name, code, status = "REQUEST_TOO_LARGE", -413, 413
    text = "The body of the request is larger than this server takes."


class UnsupportedMediaTypeError(LogError):
    name, code, status = "UNSUPPORTED_MEDIA_TYPE", -415, 415
    text = "The media type of the body is not one that this path takes."


class MisdirectedRequestError(LogError):
    name, code, status = "MISDIRECTED_REQUEST", -421, 421
    text = "The request names a host that this server does not answer for."


class RequestHeaderTooLargeError(LogError):
    name, code, status = "REQUEST_HEADER_TOO_LARGE", -431, 431
    text = "The request's line and headers are larger than this server takes."


class MethodNotImplementedError(LogError):
    name, code, status = "METHOD_NOT_IMPLEMENTED", -501, 501
    text = "No path of this server takes this method."


class TooManyConnectionsError(LogError):
    name, code, status = "TOO_MANY_CONNECTIONS", -503, 503
    retriable = True
    text = "The server has as many connections as it takes."


NO_ERROR_CODE = 0
_ROWS: list[type[LogError]] = [LogError, *LogError.__subclasses__()]
ERRORS_BY_NAME: dict[str, type[LogError]] = {row.name: row for row in _ROWS}
ERRORS_BY_CODE: dict[int, type[LogError]] = {row.code: row for row in _ROWS}


def error_by_name(name: str) -> type[LogError]:
    """The error class of a name from an answer; LogError itself for one we do not know."""
    return ERRORS_BY_NAME.get(name, LogError)


def error_by_code(code: int) -> type[LogError]:
    """The error class of a code from an answer; LogError itself for one we do not know."""
    return ERRORS_BY_CODE.get(code, LogError)
