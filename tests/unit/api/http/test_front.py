"""HEAD, OPTIONS, pages of other sites and compression, whatever the path."""

import asyncio
import gzip
import inspect
import json
from collections.abc import Mapping
from types import CoroutineType
from typing import Any, cast

import pytest

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.http.front import HttpFront, reads_by_taking
from kafkalite.api.http.head_marks import MARK_OF, MARKS
from kafkalite.api.http.origins import NO_SITES, Cors
from kafkalite.api.streams.event_stream import EventStream

_SITES = Cors(frozenset({"https://app.example"}), ("GET", "POST"), ("Content-Type",), False, 600)
_LONG = b'{"a":"' + b"b" * 2_000 + b'"}'


class _App:
    """Answers GET and POST with something long, and streams below /stream for ever."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self.is_left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        self.methods.append(scope["method"])
        if scope["method"] not in {"GET", "POST"}:
            allow = [(b"content-type", b"text/plain"), (b"allow", b"GET, POST, HEAD, OPTIONS")]
            await exchange.respond(405, b"text/plain", b"no", allow)
        elif scope["path"] == "/stream":
            try:
                events = EventStream(exchange)
                await events.start()
                await asyncio.Event().wait()
            except ClientGoneError:
                self.is_left = True
                raise
        elif scope["path"] == "/empty":
            await exchange.start(204, ())
            await exchange.send_part(b"", more=False)
        else:
            await exchange.respond(200, b"application/json", _LONG)


class _Answer:
    """What was sent."""

    def __init__(self, messages: list[Any]) -> None:
        self.status: int = messages[0]["status"]
        self.headers: dict[bytes, bytes] = dict(messages[0]["headers"])
        self.body = b"".join(message.get("body", b"") for message in messages[1:])
        assert not messages[-1].get("more_body", False)


def _ask(
    method: str,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    *,
    cors: Cors = NO_SITES,
    app: _App | None = None,
) -> _Answer:
    raw = [(name.encode(), text.encode()) for name, text in (headers or {}).items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": raw}
    marks = 0
    for name, _ in raw:
        marks |= MARK_OF.get(name, 0)
    if marks:
        scope[MARKS] = marks
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def serve() -> None:
        await asyncio.wait_for(HttpFront(app or _App(), cors, 1024)(scope, receive, send), 30)

    asyncio.run(serve())
    return _Answer(sent)


def test_usual_request_goes_past() -> None:
    app = _App()
    front = HttpFront(app, NO_SITES, 1024)
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asked = front(scope, lambda: asyncio.sleep(0, {}), lambda _: asyncio.sleep(0))
    serving = cast("CoroutineType[Any, Any, None]", asked)
    assert inspect.getcoroutinestate(serving) == "CORO_CREATED"
    assert serving.cr_code is _App.__call__.__code__
    serving.close()


def test_head_is_get_without_the_body() -> None:
    app = _App()
    answer = _ask("HEAD", app=app)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[b"content-length"] == b"%d" % len(_LONG)
    assert app.methods == ["GET"]
    assert _ask("HEAD", "/empty").status == 204


def test_head_of_what_never_ends_is_its_beginning() -> None:
    app = _App()
    answer = _ask("HEAD", "/stream", app=app)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[b"content-type"] == b"text/event-stream"
    assert app.is_left


@pytest.mark.parametrize(
    "path", ["/v1/groups/g/stream", "/consumers/g/instances/i/records", "//consumers/g/i/records/"]
)
def test_head_takes_nothing_where_get_does(path: str) -> None:
    app = _App()
    assert reads_by_taking(path)
    answer = _ask("HEAD", path, app=app)
    assert (answer.status, answer.body, app.methods) == (200, b"", [])
    assert answer.headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize("path", ["/v1/topics/t/stream", "/topics/t/partitions/0/records", "/"])
def test_other_paths_may_be_read_by_anybody(path: str) -> None:
    assert not reads_by_taking(path)


def test_options_tells_what_a_path_allows() -> None:
    answer = _ask("OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers == {b"allow": b"GET, POST, HEAD, OPTIONS"}


_PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "POST"}


def test_browser_that_asks_for_an_allowed_page_is_told_what_it_may_send() -> None:
    answer = _ask("OPTIONS", headers=_PREFLIGHT, cors=_SITES)
    assert answer.status == 204
    assert answer.headers[b"access-control-allow-methods"] == b"GET, POST"
    assert answer.headers[b"access-control-max-age"] == b"600"


def test_browser_that_asks_for_another_page_is_told_nothing() -> None:
    for headers, cors in (
        ({**_PREFLIGHT, "origin": "https://evil"}, _SITES),
        (_PREFLIGHT, NO_SITES),
    ):
        answer = _ask("OPTIONS", headers=headers, cors=cors)
        assert not any(name.startswith(b"access-control") for name in answer.headers)


@pytest.mark.parametrize(
    ("path", "media", "members"),
    [
        ("/v1/topics/t/records", b"application/problem+json", {"error": "UNSUPPORTED_MEDIA_TYPE"}),
        ("/topics/t", b"application/vnd.kafka.v2+json", {"error_code": 415}),
        ("/consumers/g", b"application/vnd.kafka.v2+json", {"error_code": 415}),
        ("/v3/clusters", b"application/json", {"error_code": 415}),
    ],
)
def test_post_of_a_foreign_page_is_refused_as_the_api_does(
    path: str, media: bytes, members: dict[str, object]
) -> None:
    app = _App()
    headers = {"origin": "https://evil", "content-type": "text/plain"}
    answer = _ask("POST", path, headers, cors=_SITES, app=app)
    assert (answer.status, app.methods) == (415, [])
    assert answer.headers[b"content-type"] == media
    assert members.items() <= json.loads(answer.body).items()
    assert (
        _ask("POST", path, {**headers, "origin": "https://app.example"}, cors=_SITES).status == 200
    )


def test_answer_is_compressed_where_that_is_accepted() -> None:
    answer = _ask("GET", headers={"accept-encoding": "gzip"})
    assert answer.headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(answer.body) == _LONG
    assert _ask("GET", headers={"accept-encoding": "br"}).body == _LONG
    assert _ask("GET", headers={"x-request-id": "a"}).body == _LONG
