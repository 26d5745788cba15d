"""What bodies and query strings may be; each refusal names the field."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.fake_broker import FakeBroker, control_plane

_JSON = {"content-type": "application/json"}


def _ask(method: str, path: str, body: bytes | None = None) -> httpx.Response:
    broker = FakeBroker()
    broker.partitions.add("t", 0)

    async def run() -> httpx.Response:
        async with control_plane(broker) as client:
            return await client.request(method, path, content=body, headers=_JSON)

    return asyncio.run(run())


def _refusal(method: str, path: str, body: bytes | None = None) -> str:
    response = _ask(method, path, body)
    assert response.headers["content-type"] == "application/problem+json", response.text
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["error"]) == (400, "INVALID_REQUEST"), document
    return str(document["detail"])


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is missing: send a JSON object"),
        (b"{", "The body is not JSON: "),
        (b"[]", "The body must be a JSON object"),
        (b'"name"', "The body must be a JSON object"),
        (b"null", "The body must be a JSON object"),
        (b"\xff", "The request cannot be read: "),
        (b'{"name":1e', "The body is not JSON: "),
        (b"[" * 100_000, "The request cannot be read: "),
        (b'{"partitions":2}', "name is missing"),
        (b'{"name":1}', "name: Input should be a valid string"),
        (b'{"name":"t","partitions":"2"}', "partitions: Input should be a valid integer"),
        (b'{"name":"t","partitions":2.5}', "partitions: Input should be a valid integer"),
        (b'{"name":"t","partitions":true}', "partitions: Input should be a valid integer"),
        (b'{"name":"t","partitions":99999999999}', "partitions: Input should be less than"),
        (
            b'{"name":"t","replica_assignment":[[0],[0,"1"]]}',
            "replica_assignment[1][1]: Input should be a valid integer",
        ),
        (b'{"name":"t","config":{"retention.ms":null}}', "config.retention.ms: Input should be"),
        (b'{"name":"t","config":{"retention.ms":[1]}}', "config.retention.ms: Input should be"),
        (b'{"name":"t","config":[]}', "config: Input should be a valid dictionary"),
        (b'{"name":"t","validate_only":1}', "validate_only: Input should be a valid boolean"),
        (b'{"name":"t","timeout_ms":-1}', "timeout_ms: Input should be greater than or equal"),
        (
            b'{"name":"t","num_partitions":2}',
            "there is no 'num_partitions' here; did you mean 'partitions'?",
        ),
        (b'{"name":"t","zzz":2}', "there is no 'zzz' here; it knows name, partitions, "),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_topic_to_create_is_checked(body: bytes, detail: str) -> None:
    assert _refusal("POST", "/v1/topics", body).startswith(detail)


def test_every_problem_of_a_body_is_named() -> None:
    detail = _refusal("POST", "/v1/topics", b'{"name":1,"partitions":"2"}')
    assert detail == (
        "name: Input should be a valid string; partitions: Input should be a valid integer"
    )


def test_many_problems_are_counted() -> None:
    body = b'{"name":"t","replica_assignment":[["a","b","c","d","e","f","g"]]}'
    assert _refusal("POST", "/v1/topics", body).endswith("; and 2 more")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{}", "nothing to change: give partition_count, config or both"),
        (b'{"config":{}}', "nothing to change: give partition_count, config or both"),
        (b'{"replica_assignment":[[0]]}', "replica_assignment is for added partitions: "),
        (b'{"partitions":3}', "there is no 'partitions' here; did you mean 'partition_count'?"),
    ],
)
def test_change_of_a_topic_is_checked(body: bytes, detail: str) -> None:
    assert _refusal("PATCH", "/v1/topics/t", body).startswith(detail)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{}", "before_offset is missing"),
        (b'{"before_offset":-2}', "before_offset: Input should be greater than or equal to -1"),
        (b'{"before_offset":9223372036854775808}', "before_offset: Input should be less than"),
        (b'{"before_offset":1e3}', "before_offset: Input should be a valid integer"),
    ],
)
def test_deletion_of_records_is_checked(body: bytes, detail: str) -> None:
    path = "/v1/topics/t/partitions/0/delete-records"
    assert _refusal("POST", path, body).startswith(detail)


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/v1/topics/t/partitions/x/offsets", "partition: Input should be a valid integer"),
        ("GET", "/v1/topics/t/partitions/-1/offsets", "partition: Input should be greater than"),
        ("GET", "/v1/topics/t/partitions/0/offsets?att=1", "there is no 'att' here; did you mean"),
        ("GET", "/v1/topics/t/config?all=perhaps", "all: Input should be a valid boolean"),
        ("DELETE", "/v1/topics/t?timeout_ms=soon", "timeout_ms: Input should be a valid integer"),
        ("GET", "/v1/brokers/zero", "broker_id: Input should be a valid integer"),
        ("GET", "/v1/brokers/all/config", "broker_id: String should match pattern"),
    ],
)
def test_path_and_query_string_are_checked(method: str, path: str, detail: str) -> None:
    assert _refusal(method, path).startswith(detail)


def test_settings_may_be_numbers_and_booleans() -> None:
    body = b'{"name":"t","config":{"retention.ms":1000,"unclean.leader.election.enable":true}}'
    response = _ask("POST", "/v1/topics", body)
    assert response.json()["config"] == {
        "retention.ms": "1000",
        "unclean.leader.election.enable": "true",
    }
