"""What holds for every path because it is HTTP: methods, ids, codings, pages, limits."""

import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import msgpack
import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.record import Record
from kafkalite.wire.compression import compress
from kafkalite.wire.records import encode_batch
from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawConnection
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_SITE = "https://app.example"
_BROWSER = {"user-agent": "Mozilla/5.0"}
_JSON = {"content-type": "application/json"}
_RECORD = b'{"records":[{"value":1}]}'
_MAX_BODY_BYTES = 2 << 20


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    """A broker that one site's pages may use."""
    with BrokerProcess(
        tmp_path_factory.mktemp("courtesies"),
        f"{embedded_zookeeper.hosts}/courtesies",
        settings={
            "socket.request.max.bytes": str(_MAX_BODY_BYTES),
            "http.cors.allowed.origins": _SITE,
            "http.allowed.hosts": "kafka.example.com",
        },
    ) as running:
        yield running


@pytest.fixture
def topic(client: BrokerClient) -> Topic:
    return client.make_topic()


@pytest.fixture
def http(client: BrokerClient) -> httpx.Client:
    return client.http


# -- methods and media types -----------------------------------------------------------------------


def _paths(topic: Topic) -> dict[str, str]:
    """Paths of all kinds, with what they allow."""
    return {
        topic.records_path(None): "POST, OPTIONS",
        topic.records_path(0): "GET, POST, HEAD, OPTIONS",
        f"{topic.path}/records/stream": "POST, OPTIONS",
        f"{topic.path}/stream": "GET, HEAD, OPTIONS",
        "/v1/produce": "POST, OPTIONS",
        "/v1/fetch": "POST, OPTIONS",
        "/v1/groups/g/heartbeat": "POST, OPTIONS",
        "/v1/groups/g/offsets": "DELETE, GET, POST, HEAD, OPTIONS",
        "/v1/groups/g/stream": "GET, HEAD, OPTIONS",
        "/v1/groups/g/stream/ack": "POST, OPTIONS",
        "/v1/topics": "GET, POST, HEAD, OPTIONS",
        "/docs": "GET, HEAD, OPTIONS",
        "/metrics": "GET, HEAD, OPTIONS",
        f"/topics/{topic.name}": "GET, POST, HEAD, OPTIONS",
        "/healthy": "GET, HEAD, OPTIONS",
        "/admin/topics": "POST, OPTIONS",
        "/consumers/g": "POST, OPTIONS",
        "/consumers/g/instances/i": "DELETE, OPTIONS",
        "/consumers/g/instances/i/records": "GET, HEAD, OPTIONS",
        "/consumers/g/instances/i/subscription": "DELETE, GET, POST, HEAD, OPTIONS",
        "/v3/clusters": "GET, HEAD, OPTIONS",
    }


def test_options_of_every_kind_of_path_tells_its_methods(topic: Topic, http: httpx.Client) -> None:
    for path, allowed in _paths(topic).items():
        answer = http.options(path)
        assert (answer.status_code, answer.content) == (204, b""), path
        assert answer.headers["allow"] == allowed, path


def test_other_methods_are_told_the_right_ones(topic: Topic, http: httpx.Client) -> None:
    for path, allowed in _paths(topic).items():
        answer = http.request("TRACE", path)
        assert answer.status_code == 405, path
        told = answer.json()
        assert answer.headers["allow"] == allowed, path
        assert allowed in told.get("detail", told.get("message", "")), path


def test_head_of_every_get_has_its_headers_and_no_body(topic: Topic, http: httpx.Client) -> None:
    topic.send({"value": "a"})
    gets = [
        topic.records_path(0), f"{topic.path}/stream", "/v1/topics", "/docs", "/openapi.json",
        "/healthz", "/readyz", "/metrics", "/topics", f"/topics/{topic.name}", "/", "/brokers",
        "/v3/clusters", "/v1/groups/g/stream?topics=a", "/consumers/g/instances/i/records",
    ]  # fmt: skip
    for path in gets:
        answer = http.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
    got, headed = http.get(topic.records_path(0)), http.head(topic.records_path(0))
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert headed.headers["x-next-offset"] == got.headers["x-next-offset"]
    assert http.get("/v1/groups").json() == {"groups": []}, "HEAD joined a group"


@pytest.mark.parametrize("accept", ["image/png", "text/html"])
def test_refusal_of_an_answer_says_what_may_be_accepted(
    topic: Topic, http: httpx.Client, accept: str
) -> None:
    headers = {"accept": accept}
    native = http.get(topic.records_path(0), headers=headers)
    assert (native.status_code, native.headers["content-type"]) == (406, "application/problem+json")
    assert "application/json" in native.json()["detail"]
    proxied = http.get("/topics", headers=headers)
    assert (proxied.status_code, proxied.json()["error_code"]) == (406, 406)
    assert "application/vnd.kafka.v2+json" in proxied.json()["message"]


def test_refusal_of_a_body_says_what_may_be_sent(topic: Topic, http: httpx.Client) -> None:
    headers = {"content-type": "image/png"}
    native = http.post(topic.records_path(0), content=b"x", headers=headers)
    assert native.status_code == 415
    assert "application/json" in native.json()["detail"]
    proxied = http.post(f"/topics/{topic.name}", content=b"x", headers=headers)
    assert (proxied.status_code, proxied.json()["error_code"]) == (415, 415)
    assert "application/vnd.kafka." in proxied.json()["message"]


# -- ids -------------------------------------------------------------------------------------------


def test_id_of_a_request_stands_in_its_answer(topic: Topic, http: httpx.Client) -> None:
    for path in ("/v1/topics", topic.records_path(0), "/topics", "/v3/clusters", "/nowhere"):
        answer = http.get(path, headers={"x-request-id": "mine-7"})
        assert answer.headers.get_list("x-request-id") == ["mine-7"], path
    posted = http.post(
        topic.records_path(0), content=_RECORD, headers={**_JSON, "x-request-id": "mine-8"}
    )
    assert (posted.status_code, posted.headers["x-request-id"]) == (200, "mine-8")


def test_id_that_could_do_harm_is_not_repeated(topic: Topic, http: httpx.Client) -> None:
    for given in ("a b", "x" * 200, "<script>"):
        answer = http.get(topic.records_path(0), headers={"x-request-id": given})
        assert "x-request-id" not in answer.headers
        assert (
            len(http.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"]) == 16
        )


# -- codings ---------------------------------------------------------------------------------------

_CODECS = {"gzip": Compression.GZIP, "zstd": Compression.ZSTD}


def _coded(body: bytes, name: str, media: str = "application/json") -> dict[str, Any]:
    headers = {"content-type": media, "content-encoding": name}
    return {"content": compress(_CODECS[name], body), "headers": headers}


@pytest.mark.parametrize("name", _CODECS)
def test_compressed_bodies_are_taken_everywhere(
    topic: Topic, http: httpx.Client, name: str
) -> None:
    long = json.dumps({"records": [{"value": "x" * 300_000}]}).encode()
    batch = encode_batch([Record(b'"native"')], now_ms=1)
    produce = {"partitions": [{"topic": topic.name, "partition": 0, "batches": batch}]}
    requests = [
        (topic.records_path(0), _coded(_RECORD, name)),
        (topic.records_path(0), _coded(long, name)),
        ("/v1/produce", _coded(msgpack.packb(produce), name, "application/msgpack")),
        (f"/topics/{topic.name}", _coded(_RECORD, name, "application/vnd.kafka.json.v2+json")),
    ]
    for path, request in requests:
        answer = http.post(path, **request)
        assert answer.status_code == 200, answer.text
    created = http.post("/v1/topics", **_coded(b'{"name":"coded-%b"}' % name.encode(), name))
    assert created.status_code == 201
    assert topic.values() == [1, "x" * 300_000, "native", 1]


def test_stream_of_records_is_taken_compressed(topic: Topic, http: httpx.Client) -> None:
    lines = b"".join(b'{"value":%d}\n' % number for number in range(1000))
    answer = http.post(
        f"{topic.records_path(None)}/stream?report=errors",
        **_coded(lines, "gzip", "application/x-ndjson"),
    )
    assert json.loads(answer.text.splitlines()[-1])["records"] == 1000


@pytest.mark.parametrize("name", _CODECS)
def test_bomb_is_refused(topic: Topic, http: httpx.Client, name: str) -> None:
    bomb = _coded(b'{"records":[{"value":"' + b"x" * 400_000_000, name)
    for path in (topic.records_path(0), f"/topics/{topic.name}", "/v1/topics", "/v1/fetch"):
        media = "application/msgpack" if path == "/v1/fetch" else "application/json"
        answer = http.post(
            path, content=bomb["content"], headers={**bomb["headers"], "content-type": media}
        )
        assert answer.status_code == 413, path


def test_unknown_coding_is_told_the_known_ones(topic: Topic, http: httpx.Client) -> None:
    for path in (topic.records_path(0), f"/topics/{topic.name}", "/v1/topics", "/v1/produce"):
        headers = {"content-encoding": "br"}
        if path != "/v1/produce":
            headers |= _JSON
        answer = http.post(path, content=_RECORD, headers=headers)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, zstd"), path
        told = answer.json()
        assert "gzip, zstd" in told.get("detail", told.get("message", ""))


def test_answers_are_compressed_where_that_is_accepted(topic: Topic, http: httpx.Client) -> None:
    for number in range(100):
        topic.send({"value": {"number": number, "text": "abc" * 10}})
    for path in (topic.records_path(0), "/openapi.json", "/metrics"):
        with httpx.stream(
            "GET", f"{http.base_url}{path}", headers={"accept-encoding": "zstd;q=0.5, gzip"}
        ) as answer:
            body = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip", path
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert len(gzip.decompress(body)) > len(body)
    plain = http.get(topic.records_path(0), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    fetched = http.get(
        topic.records_path(0), headers={"accept-encoding": "gzip", "accept": "application/msgpack"}
    )
    assert "content-encoding" not in fetched.headers


# -- pages -----------------------------------------------------------------------------------------


def test_page_that_is_known_is_not_sent_again(http: httpx.Client) -> None:
    for path in ("/docs", "/openapi.json", "/openapi"):
        first = http.get(path)
        again = http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_what_changes_is_not_stored(topic: Topic, http: httpx.Client) -> None:
    for path in (topic.records_path(0), "/v1/topics", "/topics", "/v3/clusters", "/healthz"):
        assert http.get(path).headers["cache-control"] == "no-store", path


def test_pages_of_an_allowed_site_may_read_what_they_get(topic: Topic, http: httpx.Client) -> None:
    for path in (topic.records_path(0), "/v1/topics", "/topics"):
        allowed = http.get(path, headers={"origin": _SITE})
        assert allowed.headers["access-control-allow-origin"] == _SITE
        assert "Origin" in allowed.headers["vary"]
        other = http.get(path, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        assert "Origin" in other.headers["vary"]


def test_browser_may_ask_first(topic: Topic, http: httpx.Client) -> None:
    ask = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    for path in (topic.records_path(0), "/v1/topics", "/topics/t", "/consumers/g"):
        answer = http.options(path, headers={**ask, "origin": _SITE})
        assert answer.status_code == 204
        assert answer.headers.get_list("access-control-allow-origin") == [_SITE]
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "Content-Type" in answer.headers["access-control-allow-headers"]
        other = http.options(path, headers={**ask, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_page_of_another_site_cannot_produce(
    topic: Topic, http: httpx.Client, content_type: str
) -> None:
    headers = {"origin": "https://evil.example", **_BROWSER}
    if content_type:
        headers["content-type"] = content_type
    for path in (topic.records_path(0), f"/topics/{topic.name}", "/v1/produce", "/consumers/g"):
        assert http.post(path, content=_RECORD, headers=headers).status_code == 415, path
    assert topic.offsets()["log_end_offset"] == 0


def test_page_of_another_site_cannot_take_records(topic: Topic, http: httpx.Client) -> None:
    foreign: list[Mapping[str, str]] = [
        {"origin": "https://evil.example"},
        {**_BROWSER, "sec-fetch-site": "cross-site"},
        {**_BROWSER, "referer": "https://evil.example/"},
        _BROWSER,
    ]
    for headers in foreign:
        stream = http.get(f"/v1/groups/g/stream?topics={topic.name}", headers=headers)
        assert (stream.status_code, stream.json()["error"]) == (403, "POLICY_VIOLATION")
        assert "http.cors.allowed.origins" in stream.json()["detail"]
        polled = http.get("/consumers/g/instances/i/records", headers=headers)
        assert (polled.status_code, polled.json()["error_code"]) == (403, 403)
    own = {**_BROWSER, "sec-fetch-site": "same-origin"}
    assert http.get("/consumers/g/instances/i/records", headers=own).status_code == 404


def test_page_whose_own_name_leads_to_the_broker_is_not_served(
    topic: Topic, broker: BrokerProcess
) -> None:
    # To its browser such a page is one of the broker's: nothing else gives it away.
    evil = f"evil.example:{broker.port}"
    headers = {**_BROWSER, **_JSON, "Host": evil, "Origin": f"http://{evil}"}
    path = topic.records_path(0)
    for request in (
        RawConnection.request("POST", path, _RECORD, headers),
        RawConnection.request("GET", path, headers={"Host": evil}),
        RawConnection.request("GET", f"http://{evil}{path}"),  # which counts more than Host
    ):
        with RawConnection(broker.port) as raw:
            raw.send(RawConnection.request("GET", "/healthz"))  # under another name
            assert raw.read_answer().status == 200
            raw.send(request)
            refused = raw.read_answer()
            assert raw.read_to_end() == b""
        told = json.loads(refused.body)
        assert (refused.status, told["error"]) == (421, "MISDIRECTED_REQUEST")
        assert "evil.example" in told["detail"]
        assert "http.allowed.hosts" in told["detail"]
    assert f"Refused what 127.0.0.1 sent: This broker does not answer for the host '{evil}" in (
        broker.output
    )
    assert topic.offsets()["log_end_offset"] == 0


def test_broker_is_served_under_its_names(http: httpx.Client, broker: BrokerProcess) -> None:
    for target in ("http://kafka.example.com/healthz", "http://[::1]:1/healthz"):
        with RawConnection(broker.port) as raw:
            raw.send(RawConnection.request("GET", target))
            assert raw.read_answer().status == 200, target
    for host in ("kafka.example.com", "localhost", f"KAFKA.example.com:{broker.port}", "[::1]:1"):
        assert http.get("/healthz", headers={"host": host}).status_code == 200, host


# -- limits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    """A broker that waits for nobody and takes few."""
    with BrokerProcess(
        tmp_path_factory.mktemp("strict"),
        f"{embedded_zookeeper.hosts}/strict",
        settings={
            "http.request.head.timeout.ms": "500",
            "http.request.body.timeout.ms": "500",
            "max.connections.per.ip": "20",
            "max.connections.per.ip.overrides": "127.0.0.2:2",
        },
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "media"),
    [
        (b"GET /healthz HT", "application/problem+json"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", "application/problem+json"),
        (
            b"POST /v1/topics/t/records HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
            "application/problem+json",
        ),
        (
            b"POST /topics/t HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
            b"Content-Type: application/json\r\n\r\nabc",
            "application/vnd.kafka.v2+json",
        ),
    ],
)
def test_request_that_does_not_come_in_time_is_told_so(
    strict: BrokerProcess, sent: bytes, media: str
) -> None:
    with RawConnection(strict.port) as raw:
        raw.send(sent)
        answer = raw.read_answer()
        if answer.status == 404:  # REST Proxy's topics are looked at before the body
            return
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert answer.headers["content-type"] == media
        assert raw.read_to_end() == b""


def test_body_that_trickles_is_not_waited_for(strict: BrokerProcess) -> None:
    with RawConnection(strict.port) as raw:
        raw.send(b"POST /v1/produce HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        raw.socket.settimeout(0.05)
        answer = b""
        sent = 0
        while not answer and sent < 2_000:  # never silent, and never done
            raw.send(b"x")
            sent += 1
            try:
                answer = raw.socket.recv(1 << 16)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def _connected(port: int, source: str) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(30)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", port))
    return connection


def _status(connection: socket.socket) -> int:
    connection.sendall(RawConnection.request("GET", "/healthz"))
    return int(connection.recv(1 << 16).split()[1])


def test_connection_one_too_many_is_told_so_while_others_are_served(strict: BrokerProcess) -> None:
    first, second = (_connected(strict.port, "127.0.0.2") for _ in range(2))
    with first, second:
        assert [_status(first), _status(second)] == [200, 200]
        with _connected(strict.port, "127.0.0.2") as third:
            answer = b""
            while part := third.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert b"max.connections.per.ip=2" in answer
        with _connected(strict.port, "127.0.0.3") as other:
            assert _status(other) == 200
    wait_until(lambda: _is_let_in(strict.port), "there is room again")


def _is_let_in(port: int) -> bool:
    with _connected(port, "127.0.0.2") as connection:
        return _status(connection) == 200


# -- the end ---------------------------------------------------------------------------------------


def test_what_is_in_work_is_answered_when_the_broker_stops(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    with BrokerProcess(
        tmp_path_factory.mktemp("stopping"), f"{embedded_zookeeper.hosts}/stopping"
    ) as broker:
        with BrokerClient(broker.url) as client:
            topic = client.make_topic()
        with RawConnection(broker.port) as poll, RawConnection(broker.port) as idle:
            idle.send(RawConnection.request("GET", "/healthz"))
            assert idle.read_answer().status == 200
            poll.send(RawConnection.request("GET", f"{topic.records_path(0)}?timeout_ms=600000"))
            poll.send(RawConnection.request("GET", "/v1/brokers", headers={"Connection": "close"}))
            broker.stop()
            answer = poll.read_answer()
            assert answer.status in {200, 503}
            assert idle.read_to_end() == b""
