"""`/v1/topics/T/records/stream` of one real broker: reported line by line, at constant memory."""

import contextlib
import gzip
import itertools
import json
import socket
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.line_sender import LineSender
from tests.support.resident import resident_bytes
from tests.support.standalone_broker import standalone_broker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_numbers = itertools.count()
_MAX_STREAMS: Final = 2


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    settings = {"produce.max.streams": str(_MAX_STREAMS)}
    with standalone_broker(tmp_path_factory.mktemp("stream"), settings) as running:
        yield running


@pytest.fixture
def topic(broker: BrokerProcess) -> str:
    name = f"t{next(_numbers)}"
    created = httpx.post(f"{broker.url}/v1/topics", json={"name": name, "partitions": 1})
    assert created.status_code == 201, created.text
    return name


def _path(topic: str, query: str = "") -> str:
    return f"/v1/topics/{topic}/records/stream{query}"


def _has(sender: LineSender, count: int) -> bool:
    return sender.count >= count


def _read(broker: BrokerProcess, topic: str) -> list[Any]:
    page = httpx.get(f"{broker.url}/v1/topics/{topic}/partitions/0/records").json()
    return [record["value"] for record in page["records"]]


def _streams(broker: BrokerProcess) -> int:
    for line in httpx.get(f"{broker.url}/metrics").text.splitlines():
        if line.startswith('kafkalite_streams{of="produce"}'):
            return int(float(line.split()[-1]))
    raise AssertionError("no such metric")


def _taken(connection: socket.socket, most: int) -> int:
    """How many bytes of lines the other side takes before it takes none for a second."""
    connection.settimeout(1)
    taken = 0
    with contextlib.suppress(TimeoutError):
        while taken < most:
            taken += connection.send(b"{}\n" * 20_000)
    return taken


def test_each_line_is_reported_while_the_body_goes_on(broker: BrokerProcess, topic: str) -> None:
    with LineSender(broker.url, _path(topic)) as sender:
        wait_until(lambda: sender.status == 200, "the answer begins before the body")
        for number in range(3):
            sender.send(b'{"value":%d}\n' % number)
            wait_until(partial(_has, sender, number + 1), "it is reported at once")
        sender.send(b'{"value":')
        sender.send(b'3}\n\n  \n{"value":4}\n{"value":5}')
        sender.end()
    assert sender.reports == [
        {"line": 1, "partition": 0, "offset": 0},
        {"line": 2, "partition": 0, "offset": 1},
        {"line": 3, "partition": 0, "offset": 2},
        {"line": 4, "partition": 0, "offset": 3},
        {"line": 7, "partition": 0, "offset": 4},
        {"line": 8, "partition": 0, "offset": 5},
        {"event": "end", "lines": 8, "records": 6, "errors": 0},
    ]
    assert _read(broker, topic) == list(range(6))


def test_a_bad_line_is_reported_and_the_others_are_taken(broker: BrokerProcess, topic: str) -> None:
    lines = [
        b'{"value":1}',
        b"{broken",
        b'{"value":2,"partition":9}',
        b'{"value":"' + b"x" * 3_000_000 + b'"}',
        b"\xff",
        b'{"value":3}',
    ]
    with LineSender(broker.url, _path(topic)) as sender:
        sender.send(b"\n".join(lines))
        sender.end()
    errors = {each["line"]: each.get("error") for each in sender.reports[:-1]}
    assert errors == {
        1: None,
        2: "INVALID_REQUEST",
        3: "UNKNOWN_TOPIC_OR_PARTITION",
        4: "MESSAGE_TOO_LARGE",
        5: "INVALID_REQUEST",
        6: None,
    }
    assert sender.reports[-1] == {"event": "end", "lines": 6, "records": 2, "errors": 4}
    assert _read(broker, topic) == [1, 3]


def test_only_errors_are_reported_where_that_is_asked_for(
    broker: BrokerProcess, topic: str
) -> None:
    body = b"".join(b'{"value":%d}\n' % number for number in range(10_000)) + b"nonsense\n"
    answer = httpx.post(
        f"{broker.url}{_path(topic, '?report=errors&acks=1')}",
        content=body,
        headers={"content-type": "application/x-ndjson"},
    )
    assert answer.headers["content-type"] == "application/x-ndjson"
    refused, end = map(json.loads, answer.text.splitlines())
    assert (refused["line"], refused["error"]) == (10_001, "INVALID_REQUEST")
    assert end == {"event": "end", "lines": 10_001, "records": 10_000, "errors": 1}


def test_a_body_that_breaks_off_leaves_what_was_reported(broker: BrokerProcess, topic: str) -> None:
    with LineSender(broker.url, _path(topic)) as sender:
        sender.send(b'{"value":1}\n{"value":2')
        wait_until(partial(_has, sender, 1), "the whole line is reported")
    wait_until(lambda: _streams(broker) == 0, "it is over")
    assert _read(broker, topic) == [1]


_GZIP: Final = "content-encoding: gzip\r\n"
_NOT_GZIP: Final = {
    "error": "INVALID_REQUEST",
    "reason": "The body is not whole gzip, as it says it is",
}


def test_compressed_body_that_breaks_ends_the_report_with_what_is_wrong(
    broker: BrokerProcess, topic: str
) -> None:
    deflating = zlib.compressobj(wbits=31)
    good = deflating.compress(b'{"value":1}\n{"value":2}\n{"value":')
    with LineSender(broker.url, _path(topic), _GZIP) as sender:
        sender.send(good + deflating.flush(zlib.Z_SYNC_FLUSH))
        wait_until(partial(_has, sender, 2), "what came before is reported")
        sender.send(b"\xff" * 1_000)
        for _ in range(50):  # nobody has told the client yet
            sender.send(b"\xff" * 100_000)
        sender.join(60)
        assert not sender.is_alive(), "the answer goes on"
        assert sender.connection.recv(1) == b"", "the connection is kept"
    assert sender.reports == [
        {"line": 1, "partition": 0, "offset": 0},
        {"line": 2, "partition": 0, "offset": 1},
        {"event": "end", "lines": 2, "records": 2, "errors": 0, **_NOT_GZIP},
    ]
    assert _read(broker, topic) == [1, 2]
    wait_until(lambda: _streams(broker) == 0, "it is over")


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b'{"value":1}\n')[:-4]], ids=["another format", "cut off"]
)
def test_whole_body_that_is_not_as_it_says_ends_the_report_with_that(
    broker: BrokerProcess, topic: str, body: bytes
) -> None:
    with httpx.Client(base_url=broker.url) as client:
        for _ in range(2):
            answer = client.post(
                _path(topic, "?report=errors"), content=body, headers={"content-encoding": "gzip"}
            )
            end = json.loads(answer.text)
            assert (end["event"], end["error"]) == ("end", _NOT_GZIP["error"])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (_path("t", "?acks=2"), {}, 400),
        (_path("t", "?report=some"), {}, 400),
        (_path("t"), {"content-type": "application/json"}, 415),
        (_path("no such topic"), {}, 400),
    ],
)
def test_what_cannot_be_is_refused_before_it_begins(
    broker: BrokerProcess, path: str, headers: dict[str, str], status: int
) -> None:
    refused = httpx.post(f"{broker.url}{path}", content=b"{}", headers=headers)
    assert refused.status_code == status, refused.text


def test_one_more_than_may_be_is_told_when_to_come_back(broker: BrokerProcess, topic: str) -> None:
    with LineSender(broker.url, _path(topic)), LineSender(broker.url, _path(topic)):
        wait_until(lambda: _streams(broker) == _MAX_STREAMS, "both are served")
        refused = httpx.post(f"{broker.url}{_path(topic)}", content=b"{}")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"


def test_200_megabytes_take_no_memory(broker: BrokerProcess, topic: str) -> None:
    line = b'{"value":"%b"}\n' % (b"x" * 986)
    chunk = line * 1_000
    with LineSender(broker.url, _path(topic), keeps=False) as sender:
        for _ in range(10):
            sender.send(chunk)
        before = resident_bytes(broker.pid)
        for _ in range(190):
            sender.send(chunk)
        after = resident_bytes(broker.pid)
        sender.end()
    assert sender.reports == [{"event": "end", "lines": 200_000, "records": 200_000, "errors": 0}]
    assert sender.count == 200_001
    assert after - before < 32_000_000


def test_who_reads_no_reports_is_not_read_from_either(broker: BrokerProcess, topic: str) -> None:
    address = urlsplit(broker.url)
    deaf = socket.create_connection((address.hostname, address.port))
    try:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"POST {_path(topic)} HTTP/1.1\r\nhost: h\r\n".encode())
        deaf.sendall(b"content-length: 1000000000\r\n\r\n")
        assert _taken(deaf, 500_000_000) < 100_000_000
        assert _streams(broker) == 1
    finally:
        deaf.close()
    wait_until(lambda: _streams(broker) == 0, "it is let go")
