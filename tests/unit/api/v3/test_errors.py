"""What version 3 of REST Proxy tells of errors: the codes that its clients know."""

import json

import pytest

from kafkalite.api.rest.errors import RestError
from kafkalite.api.v3.errors import record_failure, refusal
from kafkalite.broker.ports import StoreUnavailableError
from kafkalite.model.errors import (
    CorruptMessageError,
    GroupIdNotFoundError,
    InvalidConfigError,
    InvalidPartitionsError,
    LeaderNotAvailableError,
    LogError,
    MessageTooLargeError,
    NotEnoughReplicasError,
    ReassignmentInProgressError,
    RecordListTooLargeError,
    RequestTooLargeError,
    ThrottlingQuotaExceededError,
    TopicAlreadyExistsError,
    TopicDeletionDisabledError,
    UnknownTopicOrPartitionError,
)
from kafkalite.wire.v3_records import RefusedRecordError


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RestError(40402, "x"), 404, 40402),
        (RefusedRecordError(42208, "x"), 422, 42208),
        (UnknownTopicOrPartitionError("x"), 404, 40403),
        (GroupIdNotFoundError("x"), 404, 40405),
        (TopicAlreadyExistsError("x"), 400, 40002),
        (InvalidConfigError("x"), 400, 40002),
        (InvalidPartitionsError("x"), 400, 40002),
        (ReassignmentInProgressError("x"), 400, 40002),
        (TopicDeletionDisabledError("x"), 400, 40002),
        (RequestTooLargeError("x"), 413, 413),
        (ThrottlingQuotaExceededError("x"), 429, 429),
        (LeaderNotAvailableError("x"), 503, 50302),
        (StoreUnavailableError("x"), 503, 50302),
        (LogError("x"), 500, 50002),
    ],
)
def test_refusal_has_the_code_that_clients_know(error: Exception, status: int, code: int) -> None:
    answer = refusal(error)
    assert (answer.status, answer.media) == (status, b"application/json")
    document = json.loads(answer.body)
    assert list(document) == ["error_code", "message"]
    assert document["error_code"] == code
    assert "x" in document["message"]
    assert ((b"retry-after", b"1") in answer.headers) == (status in {429, 503})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MessageTooLargeError(), 413),
        (RecordListTooLargeError(), 413),
        (ThrottlingQuotaExceededError(), 429),
        (NotEnoughReplicasError(), 50003),
        (LeaderNotAvailableError(), 50003),
        (CorruptMessageError(), 50003),
        (LogError("x"), 50002),
    ],
)
def test_record_that_is_not_stored_says_whether_to_send_it_again(
    error: LogError, code: int
) -> None:
    assert record_failure(error, names_partition=False).code == code


def test_missing_partition_is_told_from_a_missing_topic() -> None:
    error = UnknownTopicOrPartitionError("x")
    assert record_failure(error, names_partition=True).code == 40402
    assert record_failure(error, names_partition=False).code == 40403
