"""What holds for every request to the control plane."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, cast

import httpx
import pytest

from kafkalite.api.control import make_control_app
from kafkalite.api.control_front import MAX_BODY_BYTES
from kafkalite.api.http.front import HttpFront
from kafkalite.api.http.origins import NO_SITES
from kafkalite.broker.broker import Broker
from tests.support.fake_broker import FakeBroker, control_plane

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]
_JSON = {"content-type": "application/json"}


def _run(scenario: Scenario, broker: FakeBroker | None = None) -> None:
    async def run() -> None:
        async with control_plane(broker or FakeBroker()) as client:
            await scenario(client)

    asyncio.run(run())


def _check_problem(response: httpx.Response, status: int, error: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["error"]) == (status, error)
    assert document["status"] == status
    return document


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/topics", "/redoc", "/v1/topics/a%2Fb", "/%00"])
def test_unknown_path_is_a_problem(path: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        _check_problem(await client.get(path), 404, "PATH_NOT_FOUND")
        _check_problem(await client.options(path), 404, "PATH_NOT_FOUND")

    _run(scenario)


def test_wrong_method_is_told_all_right_ones() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        response = await client.put("/v1/topics", content=b"{}", headers=_JSON)
        document = _check_problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET, POST, HEAD, OPTIONS"
        assert document["detail"] == (
            "/v1/topics does not take PUT; it takes GET, POST, HEAD, OPTIONS."
        )
        response = await client.request("BREW", "/v1/topics/t")
        _check_problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET, PATCH, DELETE, HEAD, OPTIONS"

    _run(scenario)


def test_options_lists_the_methods() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        response = await client.options("/v1/topics/t/partitions/0/delete-records")
        assert response.status_code == 204
        assert response.headers["allow"] == "POST, OPTIONS"

    _run(scenario)


def test_head_is_get_without_the_body() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        got, headed = await client.get("/v1/brokers"), await client.head("/v1/brokers")
        assert headed.status_code == 200
        assert headed.content == b""
        assert headed.headers["content-length"] == str(len(got.content))
        missing = await client.head("/v1/topics/missing")
        assert (missing.status_code, missing.content) == (404, b"")

    _run(scenario)


def test_head_sends_no_body_to_whatever_server_runs_the_application() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("HEAD has no body to read")

    scope = {"type": "http", "method": "HEAD", "path": "/healthz", "headers": []}
    app = HttpFront(make_control_app(cast("Broker", FakeBroker())), NO_SITES, 1024)

    async def serve() -> None:
        await app({**scope, "query_string": b"", "root_path": ""}, receive, send)

    asyncio.run(serve())
    assert [message.get("body") for message in sent] == [None, b""]


def test_trailing_slashes_do_not_matter() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/topics/")).json() == {"topics": []}
        assert (await client.get("/v1/topics//")).json() == {"topics": []}

    _run(scenario)


def test_request_id_is_left_to_the_server_when_given_and_made_when_not() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        given = await client.get("/healthz", headers={"x-request-id": "mine-1"})
        assert "x-request-id" not in given.headers
        first, second = await client.get("/healthz"), await client.get("/nowhere")
        assert len(first.headers["x-request-id"]) == 16
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        odd = await client.get("/healthz", headers={"x-request-id": "a b\t<c>"})
        assert len(odd.headers["x-request-id"]) == 16

    _run(scenario)


def test_unforeseen_error_is_a_problem_with_the_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = FakeBroker()

    def fail() -> list[str]:
        raise ZeroDivisionError("secret")

    broker.not_ready_reasons = fail  # type: ignore[method-assign]

    async def scenario(client: httpx.AsyncClient) -> None:
        response = await client.get("/readyz", headers={"x-request-id": "r-1"})
        document = _check_problem(response, 500, "UNKNOWN_SERVER_ERROR")
        assert document["request_id"] == "r-1"
        assert "secret" not in response.text

    _run(scenario, broker)
    assert "r-1" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_broker_that_is_not_running_says_so() -> None:
    broker = FakeBroker()
    broker.state = "starting"

    async def scenario(client: httpx.AsyncClient) -> None:
        for path in ("/v1/topics", "/v1/cluster", "/v1/topics/t/partitions/0/offsets"):
            document = _check_problem(await client.get(path), 503, "BROKER_NOT_AVAILABLE")
            assert document["detail"] == "Broker 0 is starting; see /readyz."

    _run(scenario, broker)


def test_body_is_bounded_by_its_announced_length() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        body = b" " * (MAX_BODY_BYTES + 1)
        response = await client.post("/v1/topics", content=body, headers=_JSON)
        document = _check_problem(response, 413, "REQUEST_TOO_LARGE")
        assert str(MAX_BODY_BYTES) in document["detail"]

    _run(scenario)


def test_body_is_bounded_while_it_is_read() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 65_536
            yield b" " * 65_536

    async def scenario(client: httpx.AsyncClient) -> None:
        response = await client.post("/v1/topics", content=endless(), headers=_JSON)
        _check_problem(response, 413, "REQUEST_TOO_LARGE")

    _run(scenario)
    assert sent <= 2 * MAX_BODY_BYTES


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
def test_body_that_does_not_say_that_it_is_json_is_refused(media: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        headers = {"content-type": media} if media else {}
        response = await client.post("/v1/topics", content=b'{"name":"t"}', headers=headers)
        document = _check_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")
        assert "curl: -H 'Content-Type: application/json'" in document["detail"]
        assert (await client.get("/v1/topics")).json() == {"topics": []}

    _run(scenario)


@pytest.mark.parametrize("media", ["Application/JSON; charset=utf-8", "application/vnd.x+json"])
def test_any_way_to_say_json_will_do(media: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        headers = {"content-type": media}
        response = await client.post("/v1/topics", content=b'{"name":"t"}', headers=headers)
        assert response.status_code == 201, response.text

    _run(scenario)
