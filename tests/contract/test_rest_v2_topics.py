"""REST Proxy's topics and produce on a real broker, row by row of the comparison it was made by.

Column R of sections 1, 2 and 4 is what this server answers.
"""

import base64
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster
from tests.support.standalone_broker import standalone_broker
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_V2: Final = "application/vnd.kafka.v2+json"
_JSON: Final = "application/vnd.kafka.json.v2+json"
_BINARY: Final = "application/vnd.kafka.binary.v2+json"
_TEXT: Final = "application/vnd.kafka.text.v2+json"
_AVRO: Final = "application/vnd.kafka.avro.v2+json"
_numbers = itertools.count()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Api:
    """A client of one broker that does not create topics by itself."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)

    def topic(self, partitions: int = 1, **config: str) -> str:
        name = f"t{next(_numbers)}"
        body = {"name": name, "partitions": partitions, "config": config}
        made = self.client.post("/v1/topics", json=body)
        assert made.status_code == 201, made.text
        return name

    def produce(self, path: str, body: object, media: str = _JSON) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": media} if media else {}
        return self.client.post(path, content=content, headers=headers)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def stored(self, topic: str, partition: int = 0) -> list[dict[str, Any]]:
        """What a partition holds, its keys and values as bytes."""
        path = f"/v1/topics/{topic}/partitions/{partition}/records"
        answer = self.get(path, accept="application/msgpack")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = msgspec.msgpack.decode(answer.content)["records"]
        return found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    settings = {"auto.create.topics.enable": "false", "message.max.bytes": "2000"}
    with standalone_broker(tmp_path_factory.mktemp("rest"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def api(broker: BrokerProcess) -> Iterator[Api]:
    made = Api(broker.url)
    yield made
    made.client.close()


def _values(api: Api, topic: str, partition: int = 0) -> list[bytes | None]:
    return [one["value"] for one in api.stored(topic, partition)]


def _told(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and error code; the code comes first in the body."""
    assert answer.headers["content-type"] == _V2
    document = answer.json()
    assert list(document)[:2] == ["error_code", "message"]
    assert document["message"]
    return answer.status_code, document["error_code"]


# -- 1.1 content types ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media", "value", "stored"),
    [
        (_JSON, {"a": 1}, b'{"a":1}'),
        (_BINARY, _b64(b"\x00\xff"), b"\x00\xff"),
        (_TEXT, "ä€", "ä€".encode()),
        (_V2, _b64(b"plain"), b"plain"),
        ("application/json", _b64(b"plain"), b"plain"),
        ("application/octet-stream", _b64(b"plain"), b"plain"),
        ("", _b64(b"plain"), b"plain"),
        ("application/vnd.kafka.json.v1+json", [1], b"[1]"),
        ("application/vnd.kafka+json", _b64(b"plain"), b"plain"),
        ("application/vnd.kafka.json+json", [1], b"[1]"),
        (f"{_JSON}; charset=utf-8", [1], b"[1]"),
        ("Application/VND.Kafka.JSON.v2+JSON", [1], b"[1]"),
    ],
)
def test_content_type_says_the_embedded_format(
    api: Api, media: str, value: object, stored: bytes
) -> None:
    topic = api.topic()
    answer = api.produce(f"/topics/{topic}", {"records": [{"value": value}]}, media)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == _V2
    assert answer.json() == {
        "offsets": [{"partition": 0, "offset": 0, "error_code": None, "error": None}],
        "key_schema_id": None,
        "value_schema_id": None,
    }
    assert _values(api, topic) == [stored]


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "bar/baz",
        "application/vnd.kafka.json.v3+json",
        "application/vnd.kafka.v2+avro",
    ],
)
def test_other_content_types_are_refused(api: Api, media: str) -> None:
    answer = api.produce(f"/topics/{api.topic()}", {"records": [{"value": 1}]}, media)
    assert _told(answer) == (415, 415)
    assert "HTTP 415 Unsupported Media Type" in answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"records": [{"value": {"a": 1}}]}, 42202),
        ({"records": [{"key": 1, "value": None}]}, 42201),
        ({"value_schema": '"int"', "records": [{"value": 1}]}, 42205),
        ({"value_schema_id": 1, "key_schema_id": 2, "records": [{"key": 1, "value": 1}]}, 42205),
    ],
)
@pytest.mark.parametrize("form", ["avro", "jsonschema", "protobuf"])
def test_schema_formats_are_not_supported_and_store_nothing(
    api: Api, form: str, body: object, code: int
) -> None:
    topic = api.topic()
    media = _AVRO.replace("avro", form)
    assert _told(api.produce(f"/topics/{topic}", body, media)) == (422, code)
    assert _values(api, topic) == []


# -- 1.2 what may be sent back ----------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    ["application/json", "application/*", "*/json", "*/*", _V2, "application/vnd.kafka+json"],
)
def test_json_is_sent_to_whoever_accepts_it(api: Api, accept: str) -> None:
    answer = api.get("/topics", accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, _V2)


@pytest.mark.parametrize(
    "accept", ["foo/*", "bar/json", "*/baz", "application/text", "application/octet-stream"]
)
def test_nothing_else_can_be_accepted(api: Api, accept: str) -> None:
    topic = api.topic()
    answers = [
        api.get("/topics", accept=accept),
        api.client.post(
            f"/topics/{topic}",
            json={"records": [{"value": ""}]},
            headers={"accept": accept, "content-type": _BINARY},
        ),
    ]
    for answer in answers:
        assert _told(answer) == (406, 406)
        assert answer.json()["message"].startswith("HTTP 406 Not Acceptable")
    assert _values(api, topic) == []


# -- 1.3 embedded formats ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [0, False, "", {}, [], 1.0, 12345678901234567890123, "ä", {"b": [1, {"c": None}]}]
)
def test_any_json_is_stored_as_a_compact_dump(api: Api, value: object) -> None:
    topic = api.topic()
    body = {"records": [{"value": value, "key": value}]}
    spaced = json.dumps(body, ensure_ascii=False, indent=2).encode()
    assert api.produce(f"/topics/{topic}", spaced).status_code == 200
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    record = api.stored(topic)[0]
    assert (record["value"], record["key"]) == (compact, compact)


@pytest.mark.parametrize("media", [_JSON, _BINARY, _TEXT])
def test_null_or_missing_is_a_tombstone(api: Api, media: str) -> None:
    topic = api.topic()
    body = {"records": [{"key": None, "value": None}, {}]}
    assert api.produce(f"/topics/{topic}", body, media).status_code == 200
    assert [(one["key"], one["value"]) for one in api.stored(topic)] == [(None, None)] * 2


@pytest.mark.parametrize("media", [_BINARY, _TEXT])
def test_empty_string_is_an_empty_value(api: Api, media: str) -> None:
    topic = api.topic()
    assert api.produce(f"/topics/{topic}", {"records": [{"value": ""}]}, media).is_success
    assert _values(api, topic) == [b""]


@pytest.mark.parametrize("value", ["!!", "QQ", "Q Q=", 1, {"a": 1}, True, ["QQ=="]])
def test_what_is_not_base64_is_refused(api: Api, value: object) -> None:
    topic = api.topic()
    body = {"records": [{"value": "QQ=="}, {"value": value}]}
    answer = api.produce(f"/topics/{topic}", body, _BINARY)
    assert _told(answer) == (400, 400)
    shown = json.dumps(value)
    expected = f"Bad Request: data={shown} is not a valid base64 string."
    assert answer.json()["message"] == expected
    assert _values(api, topic) == []


@pytest.mark.parametrize("field", ["key", "value"])
def test_text_must_be_a_string(api: Api, field: str) -> None:
    answer = api.produce(f"/topics/{api.topic()}", {"records": [{field: 1}]}, _TEXT)
    assert _told(answer) == (422, 422)
    expected = f"Because the embedded format is 'text', the {field} must be a string"
    assert answer.json()["message"] == expected


# -- 1.5 paths --------------------------------------------------------------------------------


def test_slashes_at_the_end_and_doubled_ones_do_not_matter(api: Api, broker: BrokerProcess) -> None:
    topic = api.topic(partitions=2)
    for path in (f"/topics/{topic}/", f"//topics//{topic}", f"/topics/{topic}//partitions/0/"):
        answer = api.produce(broker.url + path, {"records": [{"value": 1}]})
        assert answer.status_code == 200, path
    for path in ("/topics/", "//topics", f"/topics//{topic}/partitions/1//offsets/", "/brokers/"):
        assert api.get(broker.url + path).status_code == 200, path


@pytest.mark.parametrize(
    "path",
    ["/topics/t/nothing", "/topics/t/partitions/foo", "/topics/t/partitions/0/x", "/admin/x"],
)
def test_paths_that_lead_nowhere_are_told_in_json(api: Api, path: str) -> None:
    answer = api.get(path)
    assert _told(answer) == (404, 404)
    assert answer.json()["message"] == "HTTP 404 Not Found"


def test_methods_that_a_path_does_not_take_are_named(api: Api) -> None:
    answer = api.client.delete("/topics/t")
    assert _told(answer) == (405, 405)
    assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"
    options = api.client.options("/topics")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    head = api.client.head("/topics")
    assert (head.status_code, head.content) == (200, b"")


def test_root_and_brokers_satisfy_each_client(api: Api) -> None:
    root = api.get("/")
    assert root.status_code == 200
    assert set(root.json()) == {"bridge_version", "version"}
    assert api.get("/brokers").json() == {"brokers": [0]}


@pytest.mark.parametrize("path", ["/healthy", "/ready"])
def test_probes_answer_empty(api: Api, path: str) -> None:
    answer = api.get(path, accept="text/html")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("path", ["/openapi", "/openapi/v3"])
def test_openapi_is_where_clients_of_the_bridge_look(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.0"
    assert "/topics/{topic}" in answer.json()["paths"]


def test_metrics_are_plain_text(api: Api) -> None:
    assert api.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


# -- 2.1 metadata -----------------------------------------------------------------------------


def test_topics_are_listed_without_internal_ones(api: Api) -> None:
    topic = api.topic()
    body = {"topic_name": "__consumer_offsets"}
    assert api.client.post("/admin/topics", json=body).status_code in {201, 409}
    names = api.get("/topics").json()
    assert topic in names
    assert names == sorted(names)
    assert "__consumer_offsets" not in names


def test_topic_is_described_with_configs_and_partitions(api: Api) -> None:
    topic = api.topic(partitions=2, **{"retention.ms": "1234567"})
    document = api.get(f"/topics/{topic}").json()
    assert list(document) == ["name", "configs", "partitions"]
    assert document["name"] == topic
    assert document["configs"]["retention.ms"] == "1234567"
    assert document["configs"]["cleanup.policy"] == "delete"
    partition = {
        "partition": 0,
        "leader": 0,
        "replicas": [{"broker": 0, "leader": True, "in_sync": True}],
    }
    assert document["partitions"] == [partition, {**partition, "partition": 1}]
    assert api.get(f"/topics/{topic}/partitions").json() == document["partitions"]
    assert api.get(f"/topics/{topic}/partitions/0").json() == partition


def test_offsets_of_a_partition_are_its_bounds(api: Api) -> None:
    topic = api.topic()
    path = f"/topics/{topic}/partitions/0"
    assert api.get(f"{path}/offsets").json() == {"beginning_offset": 0, "end_offset": 0}
    api.produce(path, {"records": [{"value": 1}, {"value": 2}]})
    assert api.get(f"{path}/offsets").json() == {"beginning_offset": 0, "end_offset": 2}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/topics/none", 404, 40403),
        ("/topics/none/partitions", 404, 40401),
        ("/topics/none/partitions/0", 404, 40401),
        ("/topics/none/partitions/0/offsets", 404, 40401),
        ("/topics/{t}/partitions/1", 404, 40402),
        ("/topics/{t}/partitions/1/offsets", 404, 40402),
        ("/topics/{t}/partitions/99999999999999999999", 404, 40402),
        ("/topics/{t}/partitions/foo", 404, 404),
        ("/topics/{t}/partitions/foo/offsets", 404, 404),
        ("/topics/{t}/partitions/-1", 400, 400),
        ("/topics/{t}/partitions/-1/offsets", 400, 400),
    ],
)
def test_what_is_not_there_is_told_by_its_code(api: Api, path: str, status: int, code: int) -> None:
    answer = api.get(path.format(t=api.topic()))
    assert _told(answer) == (status, code)
    if code in {40401, 40403}:
        assert answer.json()["message"] == "Topic none not found"


# -- 2.2 produce ------------------------------------------------------------------------------


def test_record_may_have_all_its_fields(api: Api) -> None:
    topic = api.topic(partitions=3)
    record = {
        "key": "k",
        "value": {"a": 1},
        "partition": "2",
        "timestamp": 1_700_000_000_000,
        "headers": [{"key": "h", "value": _b64(b"\x01")}, {"name": "n", "value": None}],
    }
    for path in (f"/topics/{topic}", f"/topics/{topic}/partitions/2"):
        answer = api.produce(path, {"records": [record]})
        assert answer.json()["offsets"][0]["partition"] == 2, answer.text
    for stored in api.stored(topic, 2):
        assert stored["key"] == b'"k"'
        assert stored["timestamp"] == 1_700_000_000_000
        assert stored["headers"] == [["h", b"\x01"], ["n", None]]


def test_partition_of_a_record_counts_more_than_that_of_the_path(api: Api) -> None:
    topic = api.topic(partitions=3)
    body = {"records": [{"value": 1, "partition": 1}, {"value": 2}, {"value": 3, "partition": 0}]}
    offsets = api.produce(f"/topics/{topic}/partitions/2", body).json()["offsets"]
    assert [one["partition"] for one in offsets] == [1, 2, 0]


def test_offsets_come_in_the_order_of_the_records(api: Api) -> None:
    topic = api.topic(partitions=2)
    body = {"records": [{"value": number, "partition": number % 2} for number in range(6)]}
    offsets = api.produce(f"/topics/{topic}", body).json()["offsets"]
    expected = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert [(one["partition"], one["offset"]) for one in offsets] == expected
    assert _values(api, topic, 1) == [b"1", b"3", b"5"]


def test_records_with_one_key_share_a_partition(api: Api) -> None:
    topic = api.topic(partitions=5)
    spaced = b'{"records":[{"key":{"id": 7},"value":1},{"key":{"id":7},"value":2}]}'
    offsets = api.produce(f"/topics/{topic}", spaced).json()["offsets"]
    assert len({one["partition"] for one in offsets}) == 1


def test_async_is_answered_before_the_records_are_safe(api: Api) -> None:
    topic = api.topic()
    body = {"records": [{"value": 1}]}
    answer = api.produce(f"/topics/{topic}?async=true", body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.produce(f"/topics/{topic}?async=false&other=1", body).status_code == 200
    assert _told(api.produce(f"/topics/{topic}?async=maybe", body)) == (400, 400)
    to_partition = api.produce(f"/topics/{topic}/partitions/0?async=TRUE", body)
    assert (to_partition.status_code, to_partition.content) == (204, b"")
    assert _told(api.produce("/topics/none?async=true", body)) == (404, 40401)
    wait_until(lambda: _values(api, topic) == [b"1", b"1", b"1"], "all are safe")


@pytest.mark.parametrize(
    ("media", "encoded", "stored"),
    [
        (_JSON, ['"a"', "null", "[1, 2]"], [b'"a"', None, b"[1,2]"]),
        (_BINARY, ['"QQ=="', "null", '""'], [b"A", None, b""]),
    ],
)
def test_values_alone_are_stored_as_records_are(
    api: Api, media: str, encoded: list[str], stored: list[bytes | None]
) -> None:
    topic = api.topic()
    plain = ",".join(f'{{"value":{text}}}' for text in encoded)
    full = ",".join(f'{{"value":{text},"key":null,"timestamp":5}}' for text in encoded)
    for path in (f"/topics/{topic}", f"/topics/{topic}/partitions/0"):
        for records in (plain, full):
            answer = api.produce(path, f'{{"records":[{records}]}}'.encode(), media)
            assert [one["error_code"] for one in answer.json()["offsets"]] == [None] * 3
    assert _values(api, topic) == stored * 4
    assert {one["timestamp"] == 5 for one in api.stored(topic)} == {True, False}
    assert all(one["key"] is None for one in api.stored(topic))
    last = api.produce(f"/topics/{topic}", f'{{"records":[{plain}]}}'.encode(), media)
    assert [(one["partition"], one["offset"]) for one in last.json()["offsets"]] == [
        (0, 12),
        (0, 13),
        (0, 14),
    ]


def test_values_that_are_too_large_do_not_take_the_others_with_them(api: Api) -> None:
    topic = api.topic()
    body = {"records": [{"value": "a"}, {"value": "x" * 5000}, {"value": "b"}]}
    answer = api.produce(f"/topics/{topic}", body)
    assert [one["error_code"] for one in answer.json()["offsets"]] == [None, 50002, None]
    assert _values(api, topic) == [b'"a"', b'"b"']


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"records":[{"value":"\xff"}]}', 400),
        (b"", 422),
        (b"  ", 422),
        (b"[]", 400),
        (b"1", 400),
        (b"{}", 422),
        (b'{"records":[]}', 422),
        (b'{"records":1}', 400),
        (b'{"records":{}}', 400),
        (b'{"records":[1]}', 400),
        (b'{"records":[{"valuesss":1}]}', 422),
        (b'{"records":[{"value":1}],"acks":1}', 422),
        (b'{"records":[{"value":1,"partition":-1}]}', 422),
        (b'{"records":[{"value":1,"partition":"x"}]}', 422),
        (b'{"records":[{"value":1,"partition":true}]}', 400),
        (b'{"records":[{"value":1,"timestamp":-1}]}', 422),
        (b'{"records":[{"value":1,"timestamp":99999999999999999999}]}', 422),
        (b'{"records":[{"value":1,"timestamp":"x"}]}', 400),
        (b'{"records":[{"value":1,"headers":[{"key":"a","value":"!"}]}]}', 422),
        (b'{"records":[{"value":1,"headers":[{"key":1,"value":"QQ=="}]}]}', 422),
    ],
)
def test_bodies_that_are_wrong_store_nothing(api: Api, body: bytes, code: int) -> None:
    topic = api.topic()
    for path in (f"/topics/{topic}", f"/topics/{topic}/partitions/0"):
        assert _told(api.produce(path, body)) == (code, code)
    assert _values(api, topic) == []


def test_unknown_field_is_named(api: Api) -> None:
    answer = api.produce(f"/topics/{api.topic()}", {"records": [{"valuesss": 1}]})
    assert answer.json()["message"] == "Unrecognized field: valuesss"


@pytest.mark.parametrize("path", ["/topics/none", "/topics/none/partitions/0"])
def test_unknown_topic_is_told_at_once_whatever_the_body(api: Api, path: str) -> None:
    for body in (b'{"records":[{"value":1}]}', b"nonsense"):
        answer = api.produce(path, body)
        assert _told(answer) == (404, 40401)
        assert answer.json()["message"] == "Topic none not found"


def test_unknown_partition_of_the_path_is_told_at_once(api: Api) -> None:
    topic = api.topic()
    path = f"/topics/{topic}/partitions"
    body = {"records": [{"value": 1}]}
    answer = api.produce(f"{path}/1", body)
    assert _told(answer) == (404, 40402)
    assert answer.json()["message"] == "Partition 1 not found"
    assert _told(api.produce(f"{path}/foo", body)) == (404, 404)
    assert _told(api.produce(f"{path}/-1", body)) == (400, 400)


def test_record_that_fails_does_not_take_the_others_with_it(api: Api) -> None:
    topic = api.topic()
    body = {"records": [{"value": 1}, {"value": 2, "partition": 500}]}
    answer = api.produce(f"/topics/{topic}", body)
    assert answer.status_code == 200
    stored, failed = answer.json()["offsets"]
    assert (stored["offset"], stored["error_code"]) == (0, None)
    assert (failed["partition"], failed["offset"], failed["error_code"]) == (None, None, 50003)
    assert failed["error"] == failed["message"]


@pytest.mark.parametrize(
    ("record", "code"),
    [({"value": 1, "partition": 500}, 50003), ({"value": "x" * 5000, "partition": 0}, 50002)],
)
def test_lone_failure_is_a_422(api: Api, record: dict[str, Any], code: int) -> None:
    answer = api.produce(f"/topics/{api.topic()}", {"records": [record]})
    assert answer.status_code == 422
    failed = answer.json()["offsets"][0]
    assert (failed["offset"], failed["error_code"]) == (None, code)


# -- 6.4 records by partition and offset ------------------------------------------------------


def test_records_are_read_by_partition_and_offset_without_an_instance(api: Api) -> None:
    topic = api.topic()
    path = f"/topics/{topic}/partitions/0"
    headers = [{"key": "h", "value": "AQ=="}]
    body = {"records": [{"key": "k", "value": {"n": 0}, "timestamp": 1_000, "headers": headers}]}
    api.produce(path, body)
    for number in range(1, 5):
        record = {"value": {"n": number}, "timestamp": 1_000 * (number + 1)}
        api.produce(path, {"records": [record]})
    answer = api.get(f"{path}/records", accept=_JSON)
    assert answer.headers["content-type"] == _JSON
    assert answer.headers["x-next-offset"] == "5"
    assert answer.json()[0] == {
        "topic": topic,
        "key": "k",
        "value": {"n": 0},
        "partition": 0,
        "offset": 0,
        "timestamp": 1_000,
        "headers": headers,
    }
    assert [one["value"]["n"] for one in answer.json()] == [0, 1, 2, 3, 4]
    for query, offsets, next_offset in (
        ("offset=3", [3, 4], 5),
        ("offset=1&count=2", [1, 2], 3),
        ("timestamp=2500&count=1", [2], 3),
        ("timestamp=9999", [], 5),
        ("offset=latest", [], 5),
        ("offset=earliest&count=1", [0], 1),
        ("offset=5", [], 5),
        ("offset=1&max_bytes=1", [1], 2),
    ):
        answer = api.get(f"{path}/records?{query}", accept=_JSON)
        assert [one["offset"] for one in answer.json()] == offsets, query
        assert answer.headers["x-next-offset"] == str(next_offset), query


@pytest.mark.parametrize(
    ("accept", "media", "value"),
    [
        ("*/*", _BINARY, "MQ=="),
        ("application/json", _BINARY, "MQ=="),
        (_BINARY, _BINARY, "MQ=="),
        (f"text/html, {_TEXT}, */*", _TEXT, "1"),
        (_JSON, _JSON, 1),
    ],
)
def test_records_come_in_the_format_that_is_accepted(
    api: Api, accept: str, media: str, value: object
) -> None:
    path = f"/topics/{api.topic()}/partitions/0"
    api.produce(path, {"records": [{"value": 1}]})
    answer = api.get(f"{path}/records", accept=accept)
    assert (answer.headers["content-type"], answer.json()[0]["value"]) == (media, value)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("offset=2", 416),
        ("offset=-1", 422),
        ("offset=x", 422),
        ("count=0", 422),
        ("offset=0&timestamp=0", 422),
        ("timestamp=x", 422),
    ],
)
def test_records_that_cannot_be_asked_for_are_refused(api: Api, query: str, status: int) -> None:
    path = f"/topics/{api.topic()}/partitions/0"
    api.produce(path, {"records": [{"value": 1}]})
    assert _told(api.get(f"{path}/records?{query}")) == (status, status)
    assert _told(api.get(f"{path}/records", accept="text/html")) == (406, 406)


def test_record_that_does_not_fit_the_format_can_be_passed(api: Api) -> None:
    path = f"/topics/{api.topic()}/partitions/0"
    api.produce(path, {"records": [{"value": _b64(b"{")}, {"value": _b64(b"1")}]}, _BINARY)
    assert _told(api.get(f"{path}/records", accept=_JSON)) == (422, 422)
    skipped = api.get(f"{path}/records?on_error=skip", accept=_JSON)
    assert [one["offset"] for one in skipped.json()] == [1]


def test_reader_may_wait_for_the_first_record(api: Api) -> None:
    path = f"/topics/{api.topic()}/partitions/0"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.get, f"{path}/records?timeout=20000", accept=_JSON)
        api.produce(path, {"records": [{"value": 1}]})
        assert [one["value"] for one in waiting.result().json()] == [1]


# -- 4 administration -------------------------------------------------------------------------


@pytest.mark.parametrize("media", ["application/json", _JSON, _V2])
def test_topic_is_created(api: Api, media: str) -> None:
    name = f"t{next(_numbers)}"
    body = {"topic_name": name, "partitions_count": 2, "replication_factor": None}
    answer = api.produce("/admin/topics", body, media)
    assert (answer.status_code, answer.json()) == (201, {})
    assert len(api.get(f"/topics/{name}/partitions").json()) == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, (400, 400)),
        ({"topic_name": 1}, (400, 400)),
        ({"topic_name": "a b"}, (400, 40002)),
        ({"topic_name": "fresh", "replication_factor": 5}, (400, 40002)),
        ({"topic_name": "fresh", "partitions_count": 0}, (400, 40002)),
        ({"topic_name": "fresh", "partitions_count": "x"}, (422, 422)),
        ([], (400, 400)),
    ],
)
def test_topic_that_cannot_be_created_is_refused(
    api: Api, body: object, told: tuple[int, int]
) -> None:
    assert _told(api.client.post("/admin/topics", json=body)) == told


def test_topic_that_exists_is_a_conflict(api: Api) -> None:
    topic = api.topic()
    answer = api.client.post("/admin/topics", json={"topic_name": topic})
    assert _told(answer) == (409, 40002)
    assert answer.json()["message"] == f"Topic '{topic}' already exists."


def test_missing_name_of_a_topic_is_a_validation_error(api: Api) -> None:
    answer = api.client.post("/admin/topics", json={"partitions_count": 1})
    fault = 'Instance does not have required property "topic_name"'
    assert fault in answer.json()["message"]
    assert answer.json()["validation_errors"] == [fault]


def test_topic_is_not_created_for_a_body_without_a_type(api: Api) -> None:
    assert _told(api.produce("/admin/topics", {"topic_name": "x"}, "")) == (415, 415)


# -- any broker -------------------------------------------------------------------------------


def test_any_broker_takes_records_and_creates_topics_that_are_produced_to(tmp_path: Path) -> None:
    with EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper:
        cluster = Cluster(tmp_path, zookeeper.hosts, size=2)
        with cluster[0], cluster[1]:
            apis = [Api(broker.url) for broker in cluster]
            topic = apis[0].topic()
            for number, api in enumerate(apis):
                body = {"records": [{"value": number}]}
                answer = api.produce(f"/topics/{topic}", body)
                assert answer.json()["offsets"][0]["offset"] == number, answer.text
                offsets = api.get(f"/topics/{topic}/partitions/0/offsets").json()
                assert offsets == {"beginning_offset": 0, "end_offset": number + 1}
                page = api.get(f"/topics/{topic}/partitions/0/records?timestamp=0", accept=_JSON)
                assert [one["value"] for one in page.json()] == list(range(number + 1))
                made = api.produce(f"/topics/made{number}", {"records": [{"value": 1}] * 2})
                assert made.status_code == 200, made.text
                body = {"records": [{"value": 1, "partition": 0}]}
                assert api.produce(f"/topics/placed{number}", body).status_code == 200
                made = api.produce(f"/topics/path{number}/partitions/0", body)
                assert made.status_code == 200, made.text
            assert apis[0].get("/brokers").json() == {"brokers": [0, 1]}
            for api in apis:
                api.client.close()
