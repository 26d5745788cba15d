"""Bytes that no client library sends: broken, smuggled, slow, endless, cut off.

After each of these the broker serves, has logged no bug and grown by little; and while it goes on,
a connection that was there before is answered.
"""

import json
import socket
import struct
from collections.abc import Iterator

import msgpack
import pytest

from kafkalite.model.record import Record
from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawConnection
from tests.support.resident import resident_bytes
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_GOOD = b'{"records":[{"value":1}]}'
_JSON = {"Content-Type": "application/json"}
_MAX_BODY_BYTES = 2 << 20
_GROWTH_BYTES = 96 << 20
"""How much more memory a broker may have after any of these: buffers, and what malloc keeps."""
_POST = b"POST /v1/topics/nowhere/records HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_SMUGGLED = b"GET /v1/topics/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    """A broker of its own, with a small bound on bodies."""
    with BrokerProcess(
        tmp_path_factory.mktemp("raw-sockets"),
        f"{embedded_zookeeper.hosts}/raw-sockets",
        settings={"socket.request.max.bytes": str(_MAX_BODY_BYTES)},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def witness(broker: BrokerProcess) -> Iterator[RawConnection]:
    """Another client, whose connection is there all the time."""
    with RawConnection(broker.port) as connection:
        yield connection


@pytest.fixture(scope="module")
def memory_at_first(broker: BrokerProcess) -> int:
    """The broker's resident memory once it has served a bit."""
    with BrokerClient(broker.url) as client:
        warm = client.make_topic()
        for _ in range(10):
            warm.post(b"x" * (1 << 20), "application/octet-stream", partition=0)
        client.http.get("/openapi.json").raise_for_status()
    return resident_bytes(broker.pid)


def _is_answered(witness: RawConnection) -> None:
    witness.send(RawConnection.request("GET", "/healthz"))
    assert witness.read_answer().status == 200


@pytest.fixture
def topic(
    broker: BrokerProcess, client: BrokerClient, witness: RawConnection, memory_at_first: int
) -> Iterator[Topic]:
    """A topic; when the test is over the broker must be as it was before."""
    made = client.make_topic(partitions=2)
    before = len(broker.output)
    yield made
    _is_answered(witness)
    assert made.send({"value": "still there"}, partition=1)
    assert made.values(1)[-1] == "still there"
    logged = broker.output[before:]
    assert "Traceback" not in logged
    assert " ERROR " not in logged
    assert resident_bytes(broker.pid) < memory_at_first + _GROWTH_BYTES


@pytest.fixture
def raw(broker: BrokerProcess) -> Iterator[RawConnection]:
    with RawConnection(broker.port) as connection:
        yield connection


def _answered(raw: RawConnection, data: bytes) -> list[int]:
    """The statuses of all answers to `data`, until the broker closes the connection."""
    raw.send(data)
    answers = raw.read_to_end()
    return [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]


# -- what is no HTTP -------------------------------------------------------------------------------

_NO_HTTP = {
    "garbage": b"\x00\x01\x02\x03\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version of the future": b"GET / HTTP/1.7\r\nHost: x\r\n\r\n",
    "raw bytes in the query": b"GET /healthz?\xd9\xa1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the path": b"GET /v1/topics/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "null in the path": b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
    "space in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET ?x HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority form": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "null in a header": _POST + b"X: \x00\r\n\r\n",
    "null in a header's name": _POST + b"X\x00Y: z\r\n\r\n",
    "space before the colon": _POST + b"X : y\r\n\r\n",
    "no colon": _POST + b"X\r\n\r\n",
    "no name": _POST + b": y\r\n\r\n",
    "folded header": _POST + b"X: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "folded length": _POST + b"Content-Length:\r\n 2\r\n\r\nab",
    "folded first header": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare CR": _POST + b"X: y\rContent-Length: 2\r\n\r\nab",
    "bare CR behind the request": b"GET / HTTP/1.1\rHost: x\r\r",
}


@pytest.mark.parametrize("data", _NO_HTTP.values(), ids=_NO_HTTP)
def test_what_is_no_http_is_refused_and_the_connection_closed(
    topic: Topic, raw: RawConnection, data: bytes
) -> None:
    assert topic
    assert _answered(raw, data + _SMUGGLED) == [400]


@pytest.mark.parametrize("method", ["FROB", "get", "G-T", "PROPFIND_"])
def test_method_that_nobody_knows_is_told_those_that_there_are(
    topic: Topic, raw: RawConnection, method: str
) -> None:
    assert topic
    raw.send(RawConnection.request(method, "/healthz"))
    answer = raw.read_answer()
    assert (answer.status, answer.headers["connection"]) == (501, "close")
    assert "GET, HEAD, POST, PUT, PATCH, DELETE" in json.loads(answer.body)["detail"]


_TOO_LARGE = {
    "path": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header": _POST + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "header's name": _POST + b"a" * 1_000_000 + b": x\r\n\r\n",
    "head without an end": _POST + b"X: y\r\n" * 50_000,
    "number of headers": _POST + b"X: y\r\n" * 1_000 + b"\r\n",
    "extension of a chunk": _CHUNKED + b"2;" + b"a" * 1_000_000,
    "trailer": _CHUNKED + b"0\r\nX: " + b"a" * 1_000_000,
}


@pytest.mark.parametrize("data", _TOO_LARGE.values(), ids=_TOO_LARGE)
def test_head_is_refused_when_it_is_too_large(
    topic: Topic, raw: RawConnection, data: bytes
) -> None:
    assert topic
    # Where a body has begun its request may be answered already: there is no such topic.
    assert _answered(raw, data) in ([431], [404], [])


_BAD_HOSTS = {
    "none": b"POST /v1/topics/nowhere/records HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two": _POST + b"Host: y\r\nContent-Length: 0\r\n\r\n",
    "two alike": _POST + b"hOST: x\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("data", _BAD_HOSTS.values(), ids=_BAD_HOSTS)
def test_request_is_refused_unless_it_names_one_host(
    topic: Topic, raw: RawConnection, data: bytes
) -> None:
    assert topic
    assert _answered(raw, data) == [400]


# -- where a request ends --------------------------------------------------------------------------

_AMBIGUOUS = {
    "length and chunks": _POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n",
    "two lengths": _POST + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\nab",
    "two lengths alike": _POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": _POST + b"Content-Length: 2, 2\r\n\r\nab",
    "length with a sign": _POST + b"Content-Length: +2\r\n\r\nab",
    "negative length": _POST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": _POST + b"Content-Length: 0x2\r\n\r\nab",
    "empty length": _POST + b"Content-Length: \r\n\r\nab",
    "length in two": _POST + b"Content-Length: 0 2\r\n\r\nab",
    "length beyond all numbers": _POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "two codings": _POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "unknown coding": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding that is not the last": _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "coding below the chunks": _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "quoted coding": _POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "hidden coding": _POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding behind a space": _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding behind a bare CR": _POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding in a fold": _POST + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", _AMBIGUOUS.values(), ids=_AMBIGUOUS)
def test_request_whose_end_can_be_taken_in_two_ways_is_refused_with_what_follows(
    topic: Topic, raw: RawConnection, data: bytes
) -> None:
    assert topic
    assert _answered(raw, data + _SMUGGLED) == [400]


_BROKEN_CHUNKS = {
    "no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "negative": b"-1\r\nab\r\n0\r\n\r\n",
    "prefixed": b"0x2\r\nab\r\n0\r\n\r\n",
    "beyond all numbers": b"f" * 17 + b"\r\nab\r\n0\r\n\r\n",
    "with a space": b"2 \r\nab\r\n0\r\n\r\n",
    "longer than it says": b"2\r\nabc\r\n0\r\n\r\n",
    "lines of bare LF": b"2\nab\n0\n\n",
    "bare LF in an extension": b"2;a\nb\r\nab\r\n0\r\n\r\n",
    "a length as trailer": b"0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("chunks", _BROKEN_CHUNKS.values(), ids=_BROKEN_CHUNKS)
def test_chunks_are_refused_when_they_are_broken(
    topic: Topic, raw: RawConnection, chunks: bytes
) -> None:
    request = _CHUNKED.replace(b"/v1/topics/nowhere/records", topic.records_path(0).encode())
    assert _answered(raw, request + chunks + _SMUGGLED) == [400]
    assert topic.offsets()["log_end_offset"] == 0


def test_chunk_that_announces_more_than_there_is_memory_takes_none(
    topic: Topic, raw: RawConnection, witness: RawConnection
) -> None:
    request = _CHUNKED.replace(b"/v1/topics/nowhere/records", topic.records_path(0).encode())
    raw.send(request + b"f" * 16 + b"\r\nab")
    _is_answered(witness)


def test_trailers_say_nothing_of_the_request(topic: Topic, raw: RawConnection) -> None:
    request = _CHUNKED.replace(b"/v1/topics/nowhere/records", topic.records_path(0).encode())
    trailers = b"Content-Type: text/html\r\nContent-Encoding: br\r\nX-Request-Id: late\r\n"
    raw.send(request + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(_GOOD), _GOOD, trailers))
    raw.send(RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON))
    for _ in range(2):
        answer = raw.read_answer()
        assert answer.status == 200
        assert "x-request-id" not in answer.headers


def test_extensions_of_chunks_are_passed_over(topic: Topic, raw: RawConnection) -> None:
    request = _CHUNKED.replace(b"/v1/topics/nowhere/records", topic.records_path(0).encode())
    raw.send(request + b'%x;a=b;c="d"\r\n%b\r\n0\r\n\r\n' % (len(_GOOD), _GOOD))
    assert raw.read_answer().status == 200


def test_body_of_a_get_is_no_second_request(topic: Topic, raw: RawConnection) -> None:
    assert topic
    body = b"GET /v1/topics/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    raw.send(RawConnection.request("GET", "/healthz", body))
    raw.send(RawConnection.request("GET", "/healthz", headers={"Connection": "close"}))
    assert [raw.read_answer().status, raw.read_answer().status] == [200, 200]
    assert raw.read_to_end() == b""


def test_what_came_whole_before_what_is_no_http_is_answered_first(
    topic: Topic, raw: RawConnection
) -> None:
    good = RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON)
    slow = RawConnection.request("GET", f"{topic.partition_path(1)}?timeout_ms=300")
    assert _answered(raw, good + slow + good + b"\x00\r\n\r\n") == [200, 200, 200]
    assert topic.offsets()["log_end_offset"] == 2


# -- other forms of HTTP ---------------------------------------------------------------------------


def test_old_http_is_answered_and_its_connection_closed(topic: Topic, raw: RawConnection) -> None:
    body = b"Content-Length: %d\r\n\r\n%b" % (len(_GOOD), _GOOD)
    old = b"POST %b HTTP/1.0\r\n" % topic.records_path(0).encode()
    assert _answered(raw, old + body + _SMUGGLED) == [200]


@pytest.mark.parametrize("target", ["http://elsewhere:1/healthz?x", "/healthz#part", "/healthz"])
def test_target_may_be_in_any_form(topic: Topic, raw: RawConnection, target: str) -> None:
    assert topic
    raw.send(b"\r\n\r\n" + RawConnection.request("GET", target))
    assert raw.read_answer().status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_target_that_is_no_path_is_answered(topic: Topic, raw: RawConnection, method: str) -> None:
    assert topic
    raw.send(RawConnection.request(method, "*"))
    assert raw.read_answer().status in {204, 400, 404}


@pytest.mark.parametrize("size", [len(_GOOD), 100_000])
def test_client_that_waits_for_a_word_gets_it(topic: Topic, raw: RawConnection, size: int) -> None:
    body = _GOOD.ljust(size)
    request = RawConnection.request(
        "POST", topic.records_path(0), body, {**_JSON, "Expect": "100-continue"}
    )
    raw.send(request[: -len(body)])
    assert raw.read_answer().status == 100
    raw.send(body)
    assert raw.read_answer().status == 200


def test_client_that_waits_for_a_word_may_be_refused_instead(
    topic: Topic, raw: RawConnection
) -> None:
    assert topic
    headers = {"Content-Type": "text/html", "Expect": "100-continue", "Content-Length": "1000000"}
    raw.send(RawConnection.request("POST", topic.records_path(0), headers=headers))
    assert raw.read_answer().status == 415


# -- clients that go away, or do not read ----------------------------------------------------------


def test_clients_that_are_reset_within_their_bodies_leave_nothing(
    topic: Topic, broker: BrokerProcess, witness: RawConnection
) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    for _ in range(200):
        with RawConnection(broker.port) as raw:
            raw.send(head % topic.records_path(0).encode() + b" " * 500_000)
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _is_answered(witness)
    assert topic.offsets()["log_end_offset"] == 0


def test_many_bodies_under_way_take_no_more_memory_than_what_came(
    topic: Topic, broker: BrokerProcess, witness: RawConnection
) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\nabc"
    held = [RawConnection(broker.port) for _ in range(500)]
    try:
        for raw in held:
            raw.send(head % topic.records_path(0).encode())
        _is_answered(witness)
        assert topic.send({"value": 1}, partition=1)
    finally:
        for raw in held:
            raw.close()


def test_answer_that_comes_before_the_body_is_whole_can_be_read(
    topic: Topic, raw: RawConnection
) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    request = _CHUNKED.replace(b"/v1/topics/nowhere/records", topic.records_path(0).encode())
    # More than is taken, and all of it sent before the answer is read.
    raw.send(request + chunk * 112)
    answer = raw.read_answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_client_may_go_away_at_any_byte_of_its_request(topic: Topic, broker: BrokerProcess) -> None:
    request = RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON)
    for length in range(len(request)):
        with RawConnection(broker.port) as raw:
            raw.send(request[:length])
            if length % 2:  # reset, not closed
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert topic.offsets()["log_end_offset"] == 0


def test_half_closed_connection_is_answered(topic: Topic, raw: RawConnection) -> None:
    raw.send(RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON))
    raw.end()
    # Whether or not the answer still comes, the record is taken, as acks say.
    wait_until(lambda: topic.offsets()["log_end_offset"] == 1, "the record is there")


def test_pipelined_requests_are_answered_in_order(topic: Topic, raw: RawConnection) -> None:
    requests = [
        RawConnection.request(
            "POST", topic.records_path(0), b'{"records":[{"value":%d}]}' % number, _JSON
        )
        for number in range(50)
    ]
    raw.send(b"".join(requests))
    for number in range(50):
        answer = raw.read_answer()
        assert answer.status == 200
        assert json.loads(answer.body)["offsets"][0]["offset"] == number
    assert topic.values() == list(range(50))


@pytest.mark.parametrize(
    "offer",
    [
        {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAA"},
        {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"},
    ],
    ids=["HTTP/2", "websocket"],
)
def test_another_protocol_that_is_offered_is_declined_and_the_request_served(
    topic: Topic, raw: RawConnection, offer: dict[str, str]
) -> None:
    requests = [
        RawConnection.request(
            "POST",
            topic.records_path(0),
            b'{"records":[{"value":%d}]}' % number,
            {**_JSON, **offer},
        )
        for number in range(300)
    ]
    sent = b"".join(requests)
    raw.send(sent[:40])  # within a head
    raw.send(sent[40:-5])  # and within a body
    raw.send(sent[-5:])
    for number in range(300):
        answer = raw.read_answer()
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)["offsets"][0]["offset"] == number
    assert topic.values() == list(range(300))


def test_pipelined_request_behind_a_refused_one_is_answered(
    topic: Topic, raw: RawConnection
) -> None:
    bad = RawConnection.request("POST", topic.records_path(0), b"{", _JSON)
    good = RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON)
    raw.send(bad + good)
    assert raw.read_answer().status == 400
    assert raw.read_answer().status == 200


def test_request_refused_before_its_body_is_read_keeps_the_connection_in_step(
    topic: Topic, raw: RawConnection
) -> None:
    wrong = RawConnection.request(
        "POST", topic.records_path(0), _GOOD * 1000, {"Content-Type": "text/html"}
    )
    raw.send(wrong)
    assert raw.read_answer().status == 415
    try:
        raw.send(RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON))
        answer = raw.read_answer()
    except OSError:
        return  # closed: in step, too
    assert answer.status == 200


def test_body_that_comes_byte_by_byte_keeps_nobody_waiting(
    topic: Topic, raw: RawConnection
) -> None:
    request = RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON)
    for position in range(0, len(request), 7):
        raw.send(request[position : position + 7])
        topic.send({"value": "meanwhile"}, partition=1)
    assert raw.read_answer().status == 200


def test_thousand_idle_connections_do_no_harm(topic: Topic, broker: BrokerProcess) -> None:
    idle = [RawConnection(broker.port) for _ in range(1_000)]
    try:
        for number, each in enumerate(idle):
            if number % 2:
                each.send(b"POST /v1/produce HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert topic.send({"value": 1})
        idle[0].send(RawConnection.request("GET", "/healthz"))
        assert idle[0].read_answer().status == 200
    finally:
        for each in idle:
            each.close()


def test_reader_that_does_not_read_keeps_nobody_waiting(
    topic: Topic, broker: BrokerProcess
) -> None:
    for _ in range(40):
        topic.append(Record(b"x" * 500_000))
    wanted = {"topic": topic.name, "partition": 0, "offset": 0, "max_bytes": 1 << 30}
    body = msgpack.packb({"partitions": [wanted]})
    headers = {"Content-Type": "application/msgpack"}
    with RawConnection(broker.port, receive_buffer=4096) as lazy:
        lazy.send(RawConnection.request("POST", "/v1/fetch", body, headers))
        for _ in range(20):
            topic.send({"value": 1}, partition=1)


def test_pipelined_requests_of_all_kinds_are_answered_in_order(
    topic: Topic, raw: RawConnection
) -> None:
    post = RawConnection.request("POST", topic.records_path(0), _GOOD, _JSON)
    large = RawConnection.request("POST", topic.records_path(0), _GOOD.ljust(300_000), _JSON)
    named = RawConnection.request("POST", topic.records_path(0), _GOOD, {"X-Request-Id": "a"})
    fetch = RawConnection.request("GET", f"{topic.partition_path(1)}?timeout_ms=50")
    admin = RawConnection.request("GET", "/v1/brokers")
    refused = RawConnection.request("PUT", topic.records_path(0))
    round_of = [(post, 200), (fetch, 200), (large, 200), (refused, 405), (named, 200), (admin, 200)]
    raw.send(b"".join(request for request, _ in round_of * 5))
    for _, status in round_of * 5:
        assert raw.read_answer().status == status
    assert topic.offsets()["log_end_offset"] == 15
