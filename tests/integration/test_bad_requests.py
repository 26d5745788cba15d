"""INV-8: no input kills the broker or a task, or gets a bare 500.

After each of these the same broker serves, and has logged no traceback.
"""

import json
from collections.abc import Iterator
from urllib.parse import quote

import msgpack
import pytest

from kafkalite.api.errors import PROBLEM_MEDIA_TYPE
from kafkalite.model.errors import ERRORS_BY_NAME
from kafkalite.model.record import Record
from kafkalite.wire.records import encode_batch
from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawAnswer, RawConnection
from tests.support.topic import BrokerClient, Topic
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_GOOD = b'{"records":[{"value":1}]}'
_JSON = {"Content-Type": "application/json"}
_MAX_BODY_BYTES = 2 << 20


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    """A broker of its own, with a small bound on bodies."""
    with BrokerProcess(
        tmp_path_factory.mktemp("bad-requests"),
        f"{embedded_zookeeper.hosts}/bad-requests",
        settings={"socket.request.max.bytes": str(_MAX_BODY_BYTES)},
    ) as running:
        yield running


@pytest.fixture
def topic(broker: BrokerProcess, client: BrokerClient) -> Iterator[Topic]:
    """A topic; when the test is over the broker must serve it still, and have logged no bug."""
    made = client.make_topic(partitions=2)
    before = len(broker.output)
    yield made
    assert made.send({"value": "still there"}, partition=1)
    assert made.values(1)[-1] == "still there"
    logged = broker.output[before:]
    assert "Traceback" not in logged
    assert " ERROR " not in logged


@pytest.fixture
def raw(broker: BrokerProcess) -> Iterator[RawConnection]:
    with RawConnection(broker.port) as connection:
        yield connection


def _assert_problem(answer: RawAnswer, *statuses: int) -> None:
    """A problem document with an error of the table, and not the one for bugs."""
    assert answer.status in statuses, answer
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["error"] in ERRORS_BY_NAME
    assert problem["error"] != "UNKNOWN_SERVER_ERROR"


_BAD_JSON = {
    "empty": b"",
    "truncated": _GOOD[:-1],
    "trailing": _GOOD + b"x",
    "null": b"null",
    "array": b"[]",
    "no records": b'{"records":[]}',
    "records of a wrong type": b'{"records":{"value":1}}',
    "unknown member": b'{"records":[{"value":1,"vaule":2}]}',
    "deep nesting": b'{"records":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
    "unclosed nesting": b'{"records":[{"value":' + b'{"a":' * 100_000,
    "deep records": b'{"records":' + b"[" * 100_000,
    "not UTF-8": b'{"records":[{"value":"\xff"}]}',
    "lone surrogate in a header": b'{"records":[{"value":1,"headers":{"\\ud800":"x"}}]}',
    "lone surrogate as text": b'{"records":[{"value":"\\udfff","value_encoding":"text"}]}',
    "huge timestamp": b'{"records":[{"value":1,"timestamp":' + b"9" * 5000 + b"}]}",
    "timestamp beyond 64 bits": b'{"records":[{"value":1,"timestamp":9223372036854775808}]}',
    "negative timestamp": b'{"records":[{"value":1,"timestamp":-1}]}',
    "broken timestamp": b'{"records":[{"value":1,"timestamp":1.5}]}',
    "huge partition": b'{"records":[{"value":1,"partition":' + b"9" * 5000 + b"}]}",
    "partition beyond 64 bits": b'{"records":[{"value":1,"partition":99999999999999999999}]}',
    "partition of a wrong type": b'{"records":[{"value":1,"partition":"0"}]}',
    "no base64": b'{"records":[{"value":"=!","value_encoding":"base64"}]}',
    "base64 that is no string": b'{"records":[{"value":1,"value_encoding":"base64"}]}',
    "unknown encoding": b'{"records":[{"value":"a","value_encoding":"avro"}]}',
    "header of a wrong type": b'{"records":[{"value":1,"headers":{"a":1}}]}',
    "headers of a wrong type": b'{"records":[{"value":1,"headers":"a"}]}',
    "byte order mark": b"\xef\xbb\xbf" + _GOOD,
    "UTF-16": _GOOD.decode().encode("utf-16"),
}


@pytest.mark.parametrize("body", _BAD_JSON.values(), ids=_BAD_JSON)
def test_json_is_refused_when_it_is_broken(topic: Topic, raw: RawConnection, body: bytes) -> None:
    raw.send(RawConnection.request("POST", topic.records_path(0), body, _JSON))
    _assert_problem(raw.read_answer(), 400)
    assert topic.offsets()["log_end_offset"] == 0


def test_deeply_nested_json_is_no_reason_to_fail_when_it_is_read_back(topic: Topic) -> None:
    nested = b"[" * 900 + b"]" * 900
    topic.post(nested, "application/octet-stream", partition=0)
    topic.post(b"[" * 50_000 + b"]" * 50_000, "application/octet-stream", partition=0)
    topic.post(b"1" * 5_000, "application/octet-stream", partition=0)
    for accept in ("application/json", "application/x-ndjson", "application/msgpack"):
        assert topic.get(accept=accept).status_code == 200


@pytest.mark.parametrize("partition", ["-1", "9", "2147483648", "-9223372036854775808"])
def test_partition_that_is_not_there_is_answered(topic: Topic, partition: str) -> None:
    body = b'{"records":[{"value":1,"partition":%b}]}' % partition.encode()
    answer = topic.client.http.post(topic.records_path(None), content=body)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"] in {"INVALID_REQUEST", "UNKNOWN_TOPIC_OR_PARTITION"}


_BAD_MSGPACK = {
    "empty": b"",
    "truncated": msgpack.packb({"records": [{"value": b"a"}]})[:-1],
    "never used byte": b"\xc1",
    "lying length": b"\xdf\xff\xff\xff\xff",
    "lying array": b"\x81\xa7records\xdd\xff\xff\xff\xff",
    "lying bin": b"\x81\xa7records\x91\x81\xa5value\xc6\xff\xff\xff\xff",
    "deep nesting": b"\x81\xa7records" + b"\x91" * 100_000,
    "key that is no string": msgpack.packb({1: 2}),
    "value of a wrong type": msgpack.packb({"records": [{"value": 1.5}]}),
    "extension": msgpack.packb({"records": [{"value": msgpack.ExtType(5, b"x")}]}),
    "broken UTF-8 in a name": b"\x81\xa7recor\xff\xff\x90",
    "broken UTF-8 in a header": b"\x81\xa7records\x91\x81\xa7headers\x91\x92\xa1\xff\xc0",
    "huge timestamp": msgpack.packb({"records": [{"timestamp": 2**64 - 1}]}),
}


@pytest.mark.parametrize("body", _BAD_MSGPACK.values(), ids=_BAD_MSGPACK)
@pytest.mark.parametrize("path", ["records", "/v1/produce", "/v1/fetch"])
def test_msgpack_is_refused_when_it_is_broken(
    topic: Topic, raw: RawConnection, path: str, body: bytes
) -> None:
    target = topic.records_path(0) if path == "records" else path
    headers = {"Content-Type": "application/msgpack"}
    raw.send(RawConnection.request("POST", target, body, headers))
    _assert_problem(raw.read_answer(), 400)


_ENTRY = {"topic": "t", "partition": 0, "offset": 0, "batches": b""}
_BAD_NATIVE: dict[str, tuple[str, dict[str, object]]] = {
    "wait that is negative": ("/v1/fetch", {"partitions": [], "max_wait_ms": -1}),
    "wait without an end": ("/v1/fetch", {"partitions": [], "max_wait_ms": 2**62}),
    "offset that is negative": ("/v1/fetch", {"partitions": [{**_ENTRY, "offset": -1}]}),
    "offset beyond 64 bits": ("/v1/fetch", {"partitions": [{**_ENTRY, "offset": 2**63}]}),
    "batches that are text": ("/v1/produce", {"partitions": [{**_ENTRY, "batches": "x"}]}),
    "partition that is text": ("/v1/produce", {"partitions": [{**_ENTRY, "partition": "0"}]}),
    "timeout without an end": ("/v1/produce", {"partitions": [], "timeout_ms": 2**62}),
    "no partitions": ("/v1/produce", {}),
}


@pytest.mark.parametrize(("path", "body"), _BAD_NATIVE.values(), ids=_BAD_NATIVE)
def test_native_request_is_refused_when_it_is_broken(
    topic: Topic, raw: RawConnection, path: str, body: dict[str, object]
) -> None:
    assert topic
    headers = {"Content-Type": "application/msgpack"}
    raw.send(RawConnection.request("POST", path, msgpack.packb(body), headers))
    _assert_problem(raw.read_answer(), 400)


def test_native_requests_name_topics_and_partitions_that_cannot_be(topic: Topic) -> None:
    batch = encode_batch([Record(b"x")], now_ms=1)
    names = ["", "a b", "../etc", "x" * 5_000, "\x00", "é", topic.name]
    results = topic.client.produce([(name, -(2**63), batch) for name in names])
    assert all(each.error for each in results)
    assert {each.error for each in results} <= {
        "INVALID_TOPIC_EXCEPTION",
        "UNKNOWN_TOPIC_OR_PARTITION",
    }


@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml",
        "text/html",
        "multipart/form-data; boundary=x",
        "x",
        ";",
        "\xff",
        "a" * 4000,
    ],
)
def test_body_of_an_unknown_media_type_is_refused(
    topic: Topic, raw: RawConnection, content_type: str
) -> None:
    raw.send(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Type: %b\r\n\r\n{}"
        % (topic.records_path(0).encode(), content_type.encode("latin-1"))
    )
    _assert_problem(raw.read_answer(), 415)


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=1", "*/*;q=0", ";;;,,,"])
def test_answer_is_refused_when_no_media_type_will_do(topic: Topic, accept: str) -> None:
    answer = topic.get(accept=accept)
    assert (answer.status_code, answer.json()["error"]) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    "query",
    [
        "nope=1", "offset=x", "offset=-1", "offset=1.5", "offset=" + "9" * 5000,
        "offset=1&offset=2", "offset=%ff", "offset=%", "max_bytes=0", "max_bytes=-1",
        "timeout_ms=-1",
        "timeout_ms=99999999999", "text=maybe", "&".join(["text=true"] * 100), "offset=%00",
        "offset=%D9%A1",
    ],
)  # fmt: skip
def test_query_is_refused_when_it_is_not_understood(
    topic: Topic, raw: RawConnection, query: str
) -> None:
    raw.send(RawConnection.request("GET", f"{topic.partition_path(0)}?{query}"))
    _assert_problem(raw.read_answer(), 400)


@pytest.mark.parametrize("offset", ["x", "-1"])
def test_refusal_of_an_offset_names_what_else_it_may_be(topic: Topic, offset: str) -> None:
    answer = topic.get(offset=offset)
    assert answer.json()["detail"].endswith("; or earliest, or latest")


@pytest.mark.parametrize(
    "query", ["acks=2", "acks=quorum", "acks=", "timeout_ms=x", "partition=-1"]
)
def test_produce_query_is_refused_when_it_is_not_understood(
    topic: Topic, raw: RawConnection, query: str
) -> None:
    target = f"{topic.records_path(None)}?{query}"
    raw.send(RawConnection.request("POST", target, _GOOD, _JSON))
    _assert_problem(raw.read_answer(), 400)


_ODD_TOPICS = [
    "%ff", "%ed%a0%80", "%", "%zz", "%00", "..", ".", "%2e%2e", "a%2fb", "%F0%9F%9B%AB",
    "x" * 300, "a%0d%0aSet-Cookie:x", quote("a b"), "%25", "__",
]  # fmt: skip


@pytest.mark.parametrize("name", _ODD_TOPICS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_path_is_answered_when_its_topic_cannot_be(
    topic: Topic, raw: RawConnection, method: str, name: str
) -> None:
    assert topic
    if method == "GET":
        raw.send(RawConnection.request("GET", f"/v1/topics/{name}/partitions/0/records"))
        _assert_problem(raw.read_answer(), 400, 404)
    elif name != "__":  # a legal name: it would be created
        raw.send(RawConnection.request("POST", f"/v1/topics/{name}/records", _GOOD, _JSON))
        _assert_problem(raw.read_answer(), 400, 404)


@pytest.mark.parametrize("number", ["-1", "x", "99999999999", "1.0", "%31%32x", "٣", "2", "1e1"])
def test_path_is_answered_when_its_partition_cannot_be(topic: Topic, number: str) -> None:
    answer = topic.client.http.get(f"{topic.path}/partitions/{number}/records")
    assert answer.status_code in {404, 405, 422, 400}
    assert answer.json()["error"] in ERRORS_BY_NAME


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(topic: Topic, raw: RawConnection, method: str) -> None:
    raw.send(RawConnection.request(method, topic.records_path(0), _GOOD))
    answer = raw.read_answer()
    _assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"


# -- bounds ----------------------------------------------------------------------------------------


def test_body_is_refused_at_its_beginning_when_its_announced_length_is_too_large(
    topic: Topic, raw: RawConnection
) -> None:
    raw.send(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx"
        % topic.records_path(0).encode()
    )
    answer = raw.read_answer()
    _assert_problem(answer, 413)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["records", "/v1/produce", "/v1/fetch", "/v1/topics"])
def test_chunked_body_is_refused_while_it_is_read(
    topic: Topic, raw: RawConnection, path: str
) -> None:
    target = topic.records_path(0) if path == "records" else path
    raw.send(
        b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/%b\r\n\r\n"
        % (target.encode(), b"msgpack" if path in {"/v1/produce", "/v1/fetch"} else b"json")
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    try:
        # Far more than the bound, and without an end: the answer cannot be waiting for it.
        while sent < 64 * _MAX_BODY_BYTES:
            raw.send(chunk)
            sent += len(chunk)
    except OSError:
        pass
    assert sent < 64 * _MAX_BODY_BYTES, "the broker took it all"


def test_answer_to_a_chunked_body_that_is_too_large_says_so(
    topic: Topic, raw: RawConnection
) -> None:
    raw.send(
        b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        % topic.records_path(0).encode()
    )
    size = _MAX_BODY_BYTES + 1
    raw.send(b"%x\r\n" % size + b" " * size + b"\r\n")
    _assert_problem(raw.read_answer(), 413)


def test_body_at_the_bound_is_taken(topic: Topic) -> None:
    topic.client.http.patch(
        topic.path, json={"config": {"max.message.bytes": str(2 * _MAX_BODY_BYTES)}}
    ).raise_for_status()
    body = b"x" * _MAX_BODY_BYTES
    assert topic.post(body, "application/octet-stream", partition=0).status_code == 200
    assert topic.post(body + b"x", "application/octet-stream", partition=0).status_code == 413


def test_chunked_body_is_taken(topic: Topic, raw: RawConnection) -> None:
    raw.send(
        b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        % topic.records_path(0).encode()
    )
    for byte in _GOOD:
        raw.send(b"1\r\n%c\r\n" % byte)
    raw.send(b"0\r\n\r\n")
    assert raw.read_answer().status == 200
