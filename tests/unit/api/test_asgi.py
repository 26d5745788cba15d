"""The raw data plane: paths, methods, the bound on work at a time, and unforeseen errors."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, cast

import pytest

from kafkalite.api.asgi import Dispatcher, RecordsPath, parse_records_path
from kafkalite.api.data_plane.controller import ControllerEndpoint
from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.data_plane.fetch import FetchEndpoint
from kafkalite.api.data_plane.produce import ProduceEndpoint
from kafkalite.api.data_plane.records import RecordsEndpoint
from kafkalite.api.groups.endpoint import GroupsEndpoint
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.rest.proxy import RestProxy
from kafkalite.api.rest.topics_endpoint import TopicsEndpoint
from kafkalite.api.streams.endpoint import StreamsEndpoint
from kafkalite.api.v3.endpoint import V3Endpoint
from tests.support.whole_requests import Received


class _Endpoint:
    """Stands for each endpoint: notes what it is asked, then does what the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def post(self, exchange: Exchange, *place: object) -> None:
        self.asked.append(("post", *place))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        await exchange.respond(200, b"text/plain", b"")

    def post_whole(self, _request: WholeRequest, *place: object) -> bool:
        self.asked.append(("post_whole", *place))
        if self.error is not None:
            raise self.error
        return True

    async def heartbeat(self, exchange: Exchange, *place: object) -> None:
        self.asked.append(("heartbeat", *place))
        await exchange.respond(200, b"text/plain", b"")

    async def offsets(self, exchange: Exchange, *place: object) -> None:
        self.asked.append(("offsets", *place))
        await exchange.respond(200, b"text/plain", b"")

    async def get(self, exchange: Exchange, *place: object) -> None:
        self.asked.append(("get", *place))
        await exchange.respond(200, b"text/plain", b"")


class _RestProxy:
    """Stands for an endpoint of REST Proxy, which takes what begins with `taken` without a task."""

    def __init__(self, asked: list[str], taken: str) -> None:
        self._asked = asked
        self._taken = taken

    async def __call__(self, scope: MutableMapping[str, Any], *_: object) -> None:
        self._asked.append(scope["path"])

    def post_whole(self, request: WholeRequest) -> bool:
        path = request.scope["path"]
        if path.startswith(self._taken):
            self._asked.append(f"whole {path}")
            return True
        return False


class _Server:
    def __init__(self) -> None:
        self.endpoint = _Endpoint()
        self.passed_on: list[str] = []
        self.for_consumers: list[str] = []
        self.for_topics: list[str] = []
        self.for_v3: list[str] = []
        self.app = Dispatcher(
            cast("ProduceEndpoint", self.endpoint),
            cast("FetchEndpoint", self.endpoint),
            cast("RecordsEndpoint", self.endpoint),
            cast("ControllerEndpoint", self.endpoint),
            cast("GroupsEndpoint", self.endpoint),
            cast("StreamsEndpoint", self.endpoint),
            RestProxy(
                self._consumers,
                cast("TopicsEndpoint", _RestProxy(self.for_topics, "/topics/")),
                cast("V3Endpoint", _RestProxy(self.for_v3, "/v3/clusters/c/")),
            ),
            self._control,
        )

    async def _consumers(self, scope: MutableMapping[str, Any], *_: object) -> None:
        self.for_consumers.append(scope["path"])

    async def _control(self, scope: MutableMapping[str, Any], *_: object) -> None:
        self.passed_on.append(scope["path"])

    async def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of the answer; status 0 when there is none."""
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            "query_string": b"",
        }
        await self.app(scope, receive, send)
        if not sent:
            return 0, {}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], json.loads(body) if body else {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/topics/t/records", RecordsPath("t", None)),
        ("/v1/topics/t/partitions/12/records", RecordsPath("t", 12)),
        ("/v1/topics//records", None),
        ("/v1/topics/t/records/", None),
        ("/v1/topics/t/partitions/-1/records", None),
        ("/v1/topics/t/partitions/٣/records", None),
        ("/v1/topics/t/partitions/12345678901/records", None),
        ("/v1/topics/t/partitions//records", None),
        ("/v2/topics/t/records", None),
        ("/v1/topics/t", None),
    ],
)
def test_paths_of_records_are_told_from_others(path: str, expected: RecordsPath | None) -> None:
    assert parse_records_path(path) == expected


def test_requests_go_to_their_endpoints() -> None:
    async def scenario() -> None:
        server = _Server()
        for method, path in (
            ("POST", "/v1/produce"),
            ("POST", "/v1/fetch"),
            ("POST", "/v1/topics/t/records"),
            ("POST", "/v1/topics/t/partitions/1/records"),
            ("GET", "/v1/topics/t/partitions/1/records"),
            ("POST", "/v1/groups/g/heartbeat"),
            ("DELETE", "/v1/groups/g/offsets"),
        ):
            assert (await server.ask(method, path))[0] == 200
        assert server.endpoint.asked == [
            ("post",), ("post",), ("post", "t", None), ("post", "t", 1), ("get", "t", 1),
            ("heartbeat", "POST", "g"), ("offsets", "DELETE", "g"),
        ]  # fmt: skip
        await server.ask("POST", "/v1/groups/g/offsets/reset")
        assert server.passed_on.pop() == "/v1/groups/g/offsets/reset"
        await server.ask("GET", "/v1/topics")
        assert server.passed_on == ["/v1/topics"]

    asyncio.run(scenario())


def test_whole_requests_are_taken_when_they_bring_records() -> None:
    server = _Server()
    assert server.app.express(Received(path="/v1/topics/t/records").request)
    assert server.app.express(Received(path="/v1/topics/t/partitions/1/records").request)
    assert server.app.express(Received(path="/v1/produce").request)
    assert server.endpoint.asked == [
        ("post_whole", "t", None), ("post_whole", "t", 1), ("post_whole",),
    ]  # fmt: skip
    for method, path in (
        ("GET", "/v1/topics/t/partitions/1/records"),
        ("GET", "/v1/produce"),
        ("POST", "/v1/topics"),
    ):
        assert not server.app.express(Received(method=method, path=path).request)
    assert len(server.endpoint.asked) == 3


def test_whole_request_is_left_to_a_task_when_anything_is_wrong_with_it() -> None:
    server = _Server()
    server.endpoint.error = RuntimeError("a bug")
    received = Received()
    assert not server.app.express(received.request)
    assert received.answer == (0, b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/produce", "POST, OPTIONS"),
        ("GET", "/v1/topics/t/records", "POST, OPTIONS"),
        ("DELETE", "/v1/topics/t/partitions/0/records", "GET, POST, HEAD, OPTIONS"),
    ],
)
def test_other_methods_are_refused_with_those_there_are(
    method: str, path: str, allowed: str
) -> None:
    status, problem = asyncio.run(_Server().ask(method, path))
    assert (status, problem["allow"]) == (405, allowed)


def test_error_that_nobody_foresaw_is_a_problem_document_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> tuple[int, dict[str, Any]]:
        server = _Server()
        server.endpoint.error = RuntimeError("a bug")
        return await server.ask("POST", "/v1/produce")

    status, problem = asyncio.run(scenario())
    assert (status, problem["error"]) == (500, "UNKNOWN_SERVER_ERROR")
    assert "a bug" not in problem["detail"]
    assert "a bug" in caplog.text


@pytest.mark.parametrize("path", ["/consumers/g", "//consumers//g/instances/c/", "/consumers/"])
def test_all_below_consumers_goes_to_the_rest_api(path: str) -> None:
    server = _Server()
    asyncio.run(server.ask("GET", path))
    assert server.for_consumers == [path]
    assert server.passed_on == []


@pytest.mark.parametrize("path", ["/consumers", "/v1/consumers/g", "/consumersx/g"])
def test_what_only_looks_like_consumers_does_not(path: str) -> None:
    server = _Server()
    asyncio.run(server.ask("GET", path))
    assert server.passed_on == [path]


@pytest.mark.parametrize(
    "path", ["/", "/topics", "//topics//t/", "/topics/t", "/brokers", "/ready"]
)
def test_topics_as_rest_proxy_has_them_go_their_own_way(path: str) -> None:
    server = _Server()
    asyncio.run(server.ask("GET", path))
    assert (server.for_topics, server.passed_on) == ([path], [])


@pytest.mark.parametrize("path", ["/v3/clusters", "/kafka/v3/clusters/c/topics", "/v3"])
def test_version_3_of_rest_proxy_goes_its_own_way(path: str) -> None:
    server = _Server()
    asyncio.run(server.ask("POST", path))
    assert (server.for_v3, server.passed_on) == ([path], [])


@pytest.mark.parametrize("path", ["/v3x", "/kafka", "/v1/v3/clusters"])
def test_what_only_looks_like_version_3_does_not(path: str) -> None:
    server = _Server()
    asyncio.run(server.ask("GET", path))
    assert server.passed_on == [path]


def test_record_for_rest_proxy_is_taken_without_a_task() -> None:
    server = _Server()
    assert server.app.express(Received(path="/topics/t").request)
    assert server.for_topics == ["whole /topics/t"]
    path = "/v3/clusters/c/topics/t/records"
    assert server.app.express(Received(path=path).request)
    assert server.for_v3 == [f"whole {path}"]
