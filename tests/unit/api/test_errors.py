"""Problem documents: one translation for every error."""

import json
import logging

import msgspec
import pytest

from kafkalite.api.errors import PROBLEM_MEDIA_TYPE, problem, problem_response, unexpected
from kafkalite.model.errors import (
    ERRORS_BY_NAME,
    BrokerNotAvailableError,
    InvalidRequestError,
    KafkaStorageError,
    LogError,
    MethodNotAllowedError,
    NotLeaderOrFollowerError,
    ThrottlingQuotaExceededError,
    UnknownTopicOrPartitionError,
)


class _Result(msgspec.Struct):
    partition: int
    error: str


def test_problem_has_what_rfc_9457_and_kafka_say_of_the_error() -> None:
    assert problem(UnknownTopicOrPartitionError("Topic 'x' does not exist.")) == (
        404,
        {
            "type": "about:blank",
            "title": "This server does not host this topic-partition.",
            "status": 404,
            "detail": "Topic 'x' does not exist.",
            "error": "UNKNOWN_TOPIC_OR_PARTITION",
            "error_code": 3,
            "retriable": True,
        },
    )


def test_what_the_error_carries_is_in_the_document() -> None:
    _, document = problem(NotLeaderOrFollowerError(leader_id=2, leader_url="http://b:9092"))
    assert document["leader_id"] == 2
    assert document["leader_url"] == "http://b:9092"


def test_what_the_error_carries_does_not_replace_the_row() -> None:
    _, document = problem(InvalidRequestError("no", status=200, title="fine"))
    assert (document["status"], document["title"]) == (400, InvalidRequestError.text)


@pytest.mark.parametrize("row", ERRORS_BY_NAME.values(), ids=lambda row: row.name)
def test_every_row_makes_an_answer(row: type[LogError]) -> None:
    status, headers, body = problem_response(row())
    document = json.loads(body)
    assert status == document["status"] == row.status
    assert document["error"] == row.name
    assert dict(headers)[b"content-type"] == PROBLEM_MEDIA_TYPE.encode()
    assert dict(headers)[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(
    "error", [KafkaStorageError(), ThrottlingQuotaExceededError(), BrokerNotAvailableError()]
)
def test_client_is_told_when_to_come_back_when_it_may(error: LogError) -> None:
    assert (b"retry-after", b"1") in problem_response(error).headers


@pytest.mark.parametrize("error", [UnknownTopicOrPartitionError(), InvalidRequestError()])
def test_client_is_not_told_to_wait_when_that_would_not_help(error: LogError) -> None:
    assert b"retry-after" not in dict(problem_response(error).headers)


def test_allowed_methods_are_in_the_header_too() -> None:
    response = problem_response(MethodNotAllowedError(allow="GET, HEAD"))
    assert dict(response.headers)[b"allow"] == b"GET, HEAD"


def test_given_headers_are_added() -> None:
    response = problem_response(InvalidRequestError(), {"Connection": "close"})
    assert dict(response.headers)[b"connection"] == b"close"


@pytest.mark.parametrize("detail", ["\ud800", "ä\u2028\x00", '"\\', "x" * 100_000])
def test_any_text_makes_a_document(detail: str) -> None:
    assert json.loads(problem_response(InvalidRequestError(detail)).body)["detail"] == detail


def test_members_of_any_type_make_a_document() -> None:
    error = InvalidRequestError(offsets=[_Result(0, "x")], huge=10**30, odd=b"raw")
    document = json.loads(problem_response(error).body)
    assert document["offsets"] == [{"partition": 0, "error": "x"}]
    assert document["huge"] == 10**30


def test_unexpected_error_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        error = unexpected(ValueError("secret"), "id-1")
    assert error.status == 500
    assert error.extra == {"request_id": "id-1"}
    assert "secret" not in problem_response(error).body.decode()
    assert "id-1" in caplog.text
    assert "secret" in caplog.text
