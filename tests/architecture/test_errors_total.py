"""The error table is total: Kafka's names, codes and retriable flags, each once."""

from http import HTTPStatus

import pytest

from kafkalite.model import errors
from kafkalite.model.errors import ERRORS_BY_CODE, ERRORS_BY_NAME, LogError

# name, Kafka's code, whether a client may retry (org.apache.kafka.common.protocol.Errors)
KAFKAS_ERRORS = """
    OFFSET_OUT_OF_RANGE 1 no
    CORRUPT_MESSAGE 2 yes
    UNKNOWN_TOPIC_OR_PARTITION 3 yes
    LEADER_NOT_AVAILABLE 5 yes
    NOT_LEADER_OR_FOLLOWER 6 yes
    REQUEST_TIMED_OUT 7 yes
    BROKER_NOT_AVAILABLE 8 no
    REPLICA_NOT_AVAILABLE 9 yes
    MESSAGE_TOO_LARGE 10 no
    STALE_CONTROLLER_EPOCH 11 no
    OFFSET_METADATA_TOO_LARGE 12 no
    NETWORK_EXCEPTION 13 yes
    COORDINATOR_LOAD_IN_PROGRESS 14 yes
    COORDINATOR_NOT_AVAILABLE 15 yes
    NOT_COORDINATOR 16 yes
    INVALID_TOPIC_EXCEPTION 17 no
    RECORD_LIST_TOO_LARGE 18 no
    NOT_ENOUGH_REPLICAS 19 yes
    NOT_ENOUGH_REPLICAS_AFTER_APPEND 20 yes
    INVALID_REQUIRED_ACKS 21 no
    ILLEGAL_GENERATION 22 no
    INVALID_GROUP_ID 24 no
    UNKNOWN_MEMBER_ID 25 no
    INVALID_SESSION_TIMEOUT 26 no
    REBALANCE_IN_PROGRESS 27 no
    TOPIC_AUTHORIZATION_FAILED 29 no
    GROUP_AUTHORIZATION_FAILED 30 no
    INVALID_TIMESTAMP 32 no
    UNSUPPORTED_VERSION 35 no
    TOPIC_ALREADY_EXISTS 36 no
    INVALID_PARTITIONS 37 no
    INVALID_REPLICATION_FACTOR 38 no
    INVALID_REPLICA_ASSIGNMENT 39 no
    INVALID_CONFIG 40 no
    NOT_CONTROLLER 41 yes
    INVALID_REQUEST 42 no
    POLICY_VIOLATION 44 no
    OUT_OF_ORDER_SEQUENCE_NUMBER 45 no
    DUPLICATE_SEQUENCE_NUMBER 46 no
    INVALID_PRODUCER_EPOCH 47 no
    KAFKA_STORAGE_ERROR 56 yes
    LOG_DIR_NOT_FOUND 57 no
    UNKNOWN_PRODUCER_ID 59 no
    REASSIGNMENT_IN_PROGRESS 60 no
    NON_EMPTY_GROUP 68 no
    GROUP_ID_NOT_FOUND 69 no
    FETCH_SESSION_ID_NOT_FOUND 70 yes
    TOPIC_DELETION_DISABLED 73 no
    FENCED_LEADER_EPOCH 74 yes
    UNKNOWN_LEADER_EPOCH 75 yes
    UNSUPPORTED_COMPRESSION_TYPE 76 no
    STALE_BROKER_EPOCH 77 no
    OFFSET_NOT_AVAILABLE 78 yes
    PREFERRED_LEADER_NOT_AVAILABLE 80 no
    GROUP_MAX_SIZE_REACHED 81 no
    FENCED_INSTANCE_ID 82 no
    ELIGIBLE_LEADERS_NOT_AVAILABLE 83 yes
    ELECTION_NOT_NEEDED 84 no
    NO_REASSIGNMENT_IN_PROGRESS 85 no
    GROUP_SUBSCRIBED_TO_TOPIC 86 no
    INVALID_RECORD 87 no
    THROTTLING_QUOTA_EXCEEDED 89 yes
    PRODUCER_FENCED 90 no
    INCONSISTENT_TOPIC_ID 103 yes
    FENCED_MEMBER_EPOCH 110 no
    UNRELEASED_INSTANCE_ID 111 no
    UNSUPPORTED_ASSIGNOR 112 no
    STALE_MEMBER_EPOCH 113 no
"""

ROWS: list[type[LogError]] = [
    LogError,
    # Those of the client are not in the table: no broker answers with one.
    *(kind for kind in LogError.__subclasses__() if kind.__module__ == errors.__name__),
]


def test_every_error_of_kafka_that_we_use_has_its_row() -> None:
    expected = {
        (name, int(code), retriable == "yes")
        for name, code, retriable in map(str.split, KAFKAS_ERRORS.strip().splitlines())
    }
    rows = {(row.name, row.code, row.retriable) for row in ROWS if row.code > 0}
    assert rows == expected


def test_errors_that_kafka_does_not_have_are_those_of_http() -> None:
    """Their codes are the negated statuses, out of the way of Kafka's.

    Those may be tried again of which nothing was done.
    """
    ours = {row for row in ROWS if row.code < 0} - {LogError}
    assert {row.code for row in ours} == {-row.status for row in ours}
    assert {row.status for row in ours if row.retriable} == {408, 503}


def test_names_and_codes_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len({row.code for row in ROWS}) == len(ROWS)
    assert errors.NO_ERROR_CODE not in ERRORS_BY_CODE


def test_every_class_of_the_module_is_a_row() -> None:
    classes = {value for value in vars(errors).values() if isinstance(value, type)}
    assert classes == set(ROWS)
    assert set(ERRORS_BY_NAME.values()) == set(ERRORS_BY_CODE.values()) == classes


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_is_complete(row: type[LogError]) -> None:
    assert HTTPStatus(row.status) >= HTTPStatus.BAD_REQUEST
    assert row.text.endswith(".")
    assert str(row()) == row.text
    assert row("what happened", leader_id=1).extra == {"leader_id": 1}
    if row is not LogError:
        assert row.text != LogError.text
        assert "name" in vars(row), "an error says its own name, code and status"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_class_is_found_by_name_and_by_code(row: type[LogError]) -> None:
    assert errors.error_by_name(row.name) is row
    assert errors.error_by_code(row.code) is row


def test_unknown_name_and_code_give_the_general_error() -> None:
    assert errors.error_by_name("FROM_THE_FUTURE") is LogError
    assert errors.error_by_code(9999) is LogError
