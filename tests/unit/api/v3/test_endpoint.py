"""Requests of version 3 of REST Proxy: which are taken without a task, and how errors are told."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, cast

import pytest

from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.rest.errors import RestError
from kafkalite.api.v3.endpoint import V3Endpoint
from kafkalite.api.v3.group_reads import V3Groups
from kafkalite.api.v3.links import Document, Links
from kafkalite.api.v3.metadata import V3Metadata
from kafkalite.api.v3.paths import V3Path
from kafkalite.api.v3.produce import V3Produce
from kafkalite.api.v3.topic_admin import V3TopicAdmin
from kafkalite.model.errors import RequestTooLargeError
from tests.support.whole_requests import Received

_RECORDS = "/v3/clusters/c/topics/t/records"


class _Parts:
    """Stands for whatever answers: notes what it is asked, then does what the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.is_running = True
        self.takes_records = True
        self.endpoint = V3Endpoint(
            cast("V3Metadata", self),
            cast("V3Groups", self),
            cast("V3TopicAdmin", self),
            cast("V3Produce", self),
            cluster_id=lambda: "c",
            is_running=lambda: self.is_running,
            takes_records=lambda: self.takes_records,
            advertised_url=lambda: "https://kafka.example/",
        )

    def post_whole(self, _request: WholeRequest, cluster_id: str, topic: str) -> bool:
        self.asked.append((cluster_id, topic))
        return True

    async def get(self, path: V3Path, links: Links, *_: object) -> Document:
        self.asked.append((path.operation,))
        if self.error is not None:
            raise self.error
        return {"self": links.url()}

    async def ask(
        self, method: str, path: str, media: bytes = b""
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and body of the answer."""
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "headers": [(b"content-type", media)],
            "query_string": b"",
        }
        await self.endpoint(scope, receive, send)
        headers = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], headers, json.loads(body) if body else {}


def _is_taken(parts: _Parts, received: Received) -> bool:
    try:
        return parts.endpoint.post_whole(received.request)
    except RestError:
        return False


def test_one_record_is_taken_without_a_task() -> None:
    async def scenario() -> None:
        parts = _Parts()
        assert _is_taken(parts, Received(path=_RECORDS))
        assert _is_taken(parts, Received(path=f"/kafka{_RECORDS}", media=b"application/x+json"))
        assert parts.asked == [("c", "t")] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "media"),
    [
        (f"{_RECORDS}:batch", b"application/json"),
        ("/v3/clusters/c/topics", b"application/json"),
        ("/v3/clusters/other/topics/t/records", b"application/json"),
        (_RECORDS, b"text/plain"),
        (_RECORDS, b""),
    ],
)
def test_other_requests_are_left_to_a_task(path: str, media: bytes) -> None:
    async def scenario() -> None:
        parts = _Parts()
        assert not _is_taken(parts, Received(path=path, media=media))
        assert parts.asked == []

    asyncio.run(scenario())


def test_broker_that_is_not_running_takes_nothing_and_says_when_to_come_back() -> None:
    async def scenario() -> None:
        parts = _Parts()
        parts.is_running = False
        assert not _is_taken(parts, Received(path=_RECORDS))
        status, headers, document = await parts.ask("GET", "/v3/clusters")
        assert (status, document["error_code"], headers["retry-after"]) == (503, 50302, "1")
        assert parts.asked == []

    asyncio.run(scenario())


@pytest.mark.parametrize("path", [_RECORDS, f"{_RECORDS}:batch"])
def test_operator_may_want_nobody_to_produce_this_way(path: str) -> None:
    async def scenario() -> None:
        parts = _Parts()
        parts.takes_records = False
        assert not _is_taken(parts, Received(path=path))
        status, _, document = await parts.ask("POST", path, b"application/json")
        assert (status, document["error_code"]) == (503, 503)
        assert "rest.producer.enabled" in document["message"]
        assert (await parts.ask("GET", "/v3/clusters"))[0] == 200

    asyncio.run(scenario())


def test_links_begin_with_the_url_that_was_configured() -> None:
    status, headers, document = asyncio.run(_Parts().ask("GET", "/kafka/v3/clusters/c"))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert document == {"self": "https://kafka.example/kafka/v3/clusters/c"}


@pytest.mark.parametrize("path", ["/v3/clusters/c/topics", "/v3/clusters/c/consumer-groups"])
def test_what_nobody_foresaw_is_told_without_its_text(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    parts = _Parts()
    parts.error = ValueError("a bug")
    status, _, document = asyncio.run(parts.ask("GET", path))
    assert (status, document["error_code"]) == (500, 50002)
    assert "a bug" not in document["message"]
    assert "a bug" in caplog.text


def test_connection_is_closed_where_the_rest_of_a_body_is_not_wanted() -> None:
    parts = _Parts()
    parts.error = RequestTooLargeError("too large")
    status, headers, document = asyncio.run(parts.ask("GET", "/v3/clusters"))
    assert (status, document["error_code"], headers["connection"]) == (413, 413, "close")
