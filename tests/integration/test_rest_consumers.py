"""Consumers over plain HTTP, as clients of REST Proxy and of Strimzi's bridge expect them.

Names of columns and rows are those of the comparison that this API was made by.
"""

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawConnection
from tests.support.rest_consumers import V2, RestApi, RestInstance, next_number, rest_error
from tests.support.standalone_broker import standalone_broker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_JSON_V2: Final = "application/vnd.kafka.json.v2+json"
_BINARY_V2: Final = "application/vnd.kafka.binary.v2+json"
_ONE_WAY_ONLY: Final = (
    "IllegalStateError: You must choose only one way to configure your consumer: "
    "(1) subscribe to specific topics by name, "
    "(2) subscribe to topics matching a regex pattern, "
    "(3) assign itself specific topic-partitions."
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with standalone_broker(tmp_path_factory.mktemp("rest")) as running:
        yield running


@pytest.fixture
def api(broker: BrokerProcess) -> Iterator[RestApi]:
    made = RestApi(broker)
    yield made
    made.close()


# -- 1: rules that hold for every endpoint -----------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        V2,
        _JSON_V2,
        _BINARY_V2,
        "application/vnd.kafka.avro.v2+json",
        "application/vnd.kafka.v1+json",
        "application/vnd.kafka+json",
        "application/vnd.kafka.json+json",
        "application/json",
        "application/octet-stream",
        "Application/VND.Kafka.V2+JSON; charset=utf-8",
        None,
    ],
)
def test_consumer_bodies_may_be_of_these_types(api: RestApi, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    group = f"g{next_number()}"
    answer = api.client.post(f"/consumers/{group}", content=b'{"format":"json"}', headers=headers)
    assert answer.status_code == 200, answer.text
    api.client.delete(f"/consumers/{group}/instances/{answer.json()['instance_id']}")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "bar/baz", "application/vnd.kafka.v3+json", "application/vnd.kafka+avro"],
)
def test_consumer_bodies_of_other_types_are_refused(api: RestApi, content_type: str) -> None:
    answer = api.client.post("/consumers/g", content=b"{}", headers={"content-type": content_type})
    assert rest_error(answer) == (415, 415)
    assert answer.json()["message"].startswith(
        "HTTP 415 Unsupported Media Type: set Content-Type to"
    )


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/json",
        "application/*",
        "*/json",
        V2,
        _JSON_V2,
        f"{_BINARY_V2}, */*",
    ],
)
def test_records_come_in_the_format_of_the_instance_whatever_fits(
    api: RestApi, accept: str | None
) -> None:
    reading = api.instance()
    reading.subscribe(api.topic(1))
    answer = reading.get("records?timeout=5000", headers={"accept": accept or ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == _JSON_V2


@pytest.mark.parametrize(
    ("accept", "code"), [(_BINARY_V2, 40601), ("text/html", 406), (f"{_BINARY_V2};q=0.5", 40601)]
)
def test_records_in_another_format_are_refused(api: RestApi, accept: str, code: int) -> None:
    reading = api.instance()
    reading.subscribe(api.topic(1))
    answer = reading.get("records", headers={"accept": accept})
    assert rest_error(answer) == (406, code)
    assert [record["value"] for record in reading.records()] == [1]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("application/*", 200),
        ("*/json", 200),
        ("*/*", 200),
        ("application/vnd.kafka.v1+json", 200),
        ("application/vnd.kafka+json", 200),
        ("foo/*", 406),
        ("bar/json", 406),
        ("*/baz", 406),
        ("application/text", 406),
        ("application/octet-stream", 406),
    ],
)
def test_other_answers_are_sent_where_json_is_accepted(
    api: RestApi, accept: str, status: int
) -> None:
    answer = api.instance().get("subscription", headers={"accept": accept})
    assert answer.status_code == status
    assert answer.headers["content-type"] == V2
    if status == 406:
        assert answer.json()["error_code"] == 406
        assert answer.json()["message"].startswith("HTTP 406 Not Acceptable: accept ")


def test_slashes_at_the_end_and_doubled_ones_do_not_matter(api: RestApi) -> None:
    topic = api.topic(1, 2)
    reading = api.instance()
    assert reading.post("subscription/", {"topics": [topic]}).status_code == 204
    place = {"partitions": [{"topic": topic, "partition": 0}]}
    assert reading.post("positions//end/", place).status_code == 204
    assert reading.records("timeout=0") == []
    assert reading.post("positions//beginning", place).status_code == 204
    assert len(reading.records("timeout=0")) == 2


def test_names_are_percent_encoded(api: RestApi) -> None:
    created = api.client.post("/consumers/a%3Fb%20c", json={"name": "x/ü", "format": "json"})
    uri = created.json()["base_uri"]
    assert uri == f"{api.broker.url}/consumers/a%3Fb%20c/instances/x%2F%C3%BC"
    assert api.client.get(f"{uri}/subscription").status_code == 200
    assert api.client.delete(uri).status_code == 204
    assert rest_error(api.client.delete(uri)) == (404, 40403)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/consumers/g/instances", 404),
        ("GET", "/consumers/g/instances/c/nothing", 404),
        ("GET", "/consumers/g", 405),
        ("DELETE", "/consumers/g/instances/c/records", 405),
        ("POST", "/consumers/g/instances/c/records", 405),
    ],
)
def test_what_there_is_not_is_refused_in_json(
    api: RestApi, method: str, path: str, status: int
) -> None:
    assert rest_error(api.client.request(method, path)) == (status, status)


def test_body_that_is_too_large_is_refused_in_json(api: RestApi) -> None:
    with RawConnection(api.broker.port) as connection:
        head = f"POST /consumers/g HTTP/1.1\r\nHost: x\r\nContent-Length: {20 << 20}\r\n\r\n"
        connection.send(head.encode() + b"{")
        answer = connection.read_answer()
    assert (answer.status, json.loads(answer.body)["error_code"]) == (413, 413)


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 100_000])
def test_malformed_json_is_refused(api: RestApi, body: bytes) -> None:
    assert rest_error(api.client.post("/consumers/g", content=body)) == (400, 400)


# -- 3.1: create -------------------------------------------------------------------------------


def test_instance_is_created_with_defaults_when_the_body_is_empty(api: RestApi) -> None:
    answer = api.client.post("/consumers/g-default")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == V2
    body = answer.json()
    assert body["base_uri"] == (
        f"{api.broker.url}/consumers/g-default/instances/{body['instance_id']}"
    )
    assert api.client.delete(body["base_uri"]).status_code == 204


@pytest.mark.parametrize("name", ["avro", "JSON", "Protobuf", "jsonschema", "text", "BINARY"])
def test_all_formats_are_taken_in_any_case(api: RestApi, name: str) -> None:
    api.instance({"format": name})


def test_unknown_and_ignored_keys_do_not_matter(api: RestApi) -> None:
    api.instance(
        {
            "topic.metadata.refresh.interval.ms": 100,
            "what.is.this": True,
            "fetch.min.bytes": "5",
            "consumer.request.timeout.ms": "200",
            "isolation.level": "read_uncommitted",
            "auto.commit.enable": "false",
        }
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"format": "xml"}, 42204),
        ({"format": 3}, 42204),
        ({"auto.offset.reset": "middle"}, 42204),
        ({"fetch.min.bytes": -2}, 42204),
        ({"fetch.min.bytes": 10_000_001}, 42204),
        ({"fetch.min.bytes": "x"}, 42204),
        ({"responseMinBytes": True}, 42204),
        ({"auto.commit.enable": "perhaps"}, 42204),
        ({"isolation.level": "none"}, 42204),
        ({"name": 5}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 241}, 422),
    ],
)
def test_instance_is_refused_when_a_setting_cannot_be_used(
    api: RestApi, body: Mapping[str, Any], code: int
) -> None:
    assert rest_error(api.client.post("/consumers/g", json=body)) == (422, code)


def test_name_is_taken_once_and_id_wins_over_it(api: RestApi) -> None:
    first = api.instance({"id": "one", "name": "other"}, group="g-taken")
    assert first.name == "one"
    again = api.client.post("/consumers/g-taken", json={"name": "one"})
    assert rest_error(again) == (409, 40902)
    assert again.json()["message"] == (
        "Consumer with specified consumer ID already exists in the specified consumer group."
    )
    assert api.client.delete(first.path).status_code == 204
    assert api.client.post("/consumers/g-taken", json={"name": "one"}).status_code == 200


def test_base_uri_is_what_the_proxies_say(api: RestApi) -> None:
    def base(headers: Mapping[str, str]) -> str:
        answer = api.client.post("/consumers/g-base", headers=dict(headers))
        uri: str = answer.json()["base_uri"]
        name = answer.json()["instance_id"]
        api.client.delete(f"/consumers/g-base/instances/{name}")
        return uri.removesuffix(f"/instances/{name}")

    forwarded = {"forwarded": 'for=1.2.3.4;host="kafka.example";proto=https, host=other'}
    x_forwarded = {"x-forwarded-host": "proxy:8443, inner", "x-forwarded-proto": "https"}
    assert base({"host": "plain:99"}) == "http://plain:99/consumers/g-base"
    assert base(x_forwarded) == "https://proxy:8443/consumers/g-base"
    assert base({**forwarded, **x_forwarded}) == "https://kafka.example/consumers/g-base"
    path = {"x-forwarded-path": "/rest/consumers/g-base"}
    assert base({**x_forwarded, **path}) == "https://proxy:8443/rest/consumers/g-base"
    assert base({"host": "plain:99", "x-forwarded-proto": "gopher"}).startswith("http://plain:99/")


# -- 3.2: subscription, assignments, positions -------------------------------------------------


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("DELETE", ""),
        ("POST", "/subscription"),
        ("GET", "/subscription"),
        ("DELETE", "/subscription"),
        ("POST", "/assignments"),
        ("GET", "/assignments"),
        ("POST", "/positions"),
        ("POST", "/positions/beginning"),
        ("POST", "/positions/end"),
        ("GET", "/records"),
        ("POST", "/offsets"),
        ("GET", "/offsets"),
    ],
)
def test_unknown_instance_is_not_found(api: RestApi, method: str, what: str) -> None:
    answer = api.client.request(method, f"/consumers/g/instances/nobody{what}")
    assert rest_error(answer) == (404, 40403)
    assert answer.json()["message"] == "Consumer instance not found."


def test_subscription_is_assigned_at_once_and_can_be_ended(api: RestApi) -> None:
    topic = api.topic(partitions=2)
    reading = api.instance()
    assert reading.get("subscription").json() == {"topics": [], "partitions": []}
    reading.subscribe(topic)
    assert reading.get("subscription").json() == {
        "topics": [topic],
        "partitions": [{topic: [0, 1]}],
    }
    assert reading.get("assignments").json() == {
        "partitions": [{"topic": topic, "partition": 0}, {"topic": topic, "partition": 1}]
    }
    ended = reading.client.delete(f"{reading.path}/subscription")
    assert (ended.status_code, ended.content) == (204, b"")
    assert reading.get("subscription").json() == {"topics": [], "partitions": []}
    reading.subscribe(topic)
    assert reading.post("subscription", {"topics": []}).status_code == 204
    assert reading.get("assignments").json() == {"partitions": []}
    answer = reading.get("records")
    assert rest_error(answer) == (500, 500)
    assert answer.json()["message"] == (
        "Consumer is not subscribed to any topics or assigned any partitions"
    )


def test_pattern_finds_topics_also_those_that_come_later(api: RestApi) -> None:
    prefix = f"p{next_number()}-"
    reading = api.instance()
    assert reading.post("subscription", {"topic_pattern": f"{prefix}.*"}).status_code == 204
    assert reading.records("timeout=0") == []
    api.client.post("/v1/topics", json={"name": f"{prefix}x"})
    api.produce(f"{prefix}x", 7)
    wait_until(
        lambda: [record["value"] for record in reading.records("timeout=1000")] == [7],
        "the record of the new topic comes",
    )
    assert reading.get("subscription").json() == {
        "topics": [f"{prefix}x"],
        "partitions": [{f"{prefix}x": [0]}],
    }
    topic = api.topic(8)
    reading.subscribe(topic)
    assert [record["value"] for record in reading.records()] == [8]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"topics": ["a"], "topic_pattern": "a"}, 409, 40903),
        ({}, 422, 422),
        ({"topics": "a"}, 422, 422),
        ({"topics": [1]}, 422, 422),
        ({"topic_pattern": 1}, 422, 422),
        ({"topic_pattern": "("}, 422, 422),
    ],
)
def test_subscription_is_refused(
    api: RestApi, body: Mapping[str, Any], status: int, code: int
) -> None:
    answer = api.instance().post("subscription", body)
    assert rest_error(answer) == (status, code)
    if status == 409:
        assert answer.json()["message"] == _ONE_WAY_ONLY
    if body.get("topics") == [1]:
        assert answer.json()["message"] == "Topics is expected to be list of strings"


def test_assignment_and_subscription_exclude_each_other(api: RestApi) -> None:
    topic = api.topic(1)
    place = {"partitions": [{"topic": topic, "partition": "0"}]}
    reading = api.instance()
    assert reading.post("assignments", place).status_code == 204
    assert reading.get("subscription").json() == {"topics": [topic], "partitions": [{topic: [0]}]}
    assert rest_error(reading.post("subscription", {"topics": [topic]})) == (409, 40903)
    assert [record["value"] for record in reading.records()] == [1]
    assert reading.post("assignments", {"partitions": []}).status_code == 204
    reading.subscribe(topic)
    assert rest_error(reading.post("assignments", place)) == (409, 40903)
    assert rest_error(reading.post("assignments", {})) == (422, 422)


def test_topic_that_is_not_there_is_read_once_it_appears(api: RestApi) -> None:
    name = f"later{next_number()}"
    subscribed, assigned = api.instance(), api.instance()
    subscribed.subscribe(name)
    place = {"partitions": [{"topic": name, "partition": 0}]}
    assert assigned.post("assignments", place).status_code == 204
    assert subscribed.records("timeout=100") == assigned.records("timeout=100") == []
    with ThreadPoolExecutor(2) as polling:
        waiting = [polling.submit(one.records, "timeout=20000") for one in (subscribed, assigned)]
        api.client.post("/v1/topics", json={"name": name})
        api.produce(name, 1)
        for one in waiting:
            assert [record["value"] for record in one.result()] == [1]


@pytest.mark.parametrize("dialect", ["confluent", "strimzi"])
def test_seeking_in_partitions_that_are_not_assigned_is_refused(api: RestApi, dialect: str) -> None:
    key = "auto.commit.enable" if dialect == "confluent" else "enable.auto.commit"
    reading = api.instance({key: True})
    reading.subscribe(api.topic())
    other = {"topic": api.topic(), "partition": 0}
    expected = (409, 40903) if dialect == "confluent" else (404, 404)
    assert rest_error(reading.post("positions", {"offsets": [{**other, "offset": 0}]})) == expected
    for where in ("beginning", "end"):
        answer = reading.post(f"positions/{where}", {"partitions": [other]})
        assert rest_error(answer) == expected
        assert f"No current assignment for partition {other['topic']}-0" in answer.json()["message"]


def test_positions_go_where_they_are_sent(api: RestApi) -> None:
    topic = api.topic()
    api.records(topic, *[{"value": n, "timestamp": 1_000_000 + n} for n in range(10)])
    reading = api.instance({"format": "json"})
    reading.subscribe(topic)
    place = {"topic": topic, "partition": 0}

    def next_value() -> object:
        return [record["value"] for record in reading.records("timeout=0&max_bytes=1")]

    assert next_value() == [], "it began at the end"
    assert reading.post("positions", {"offsets": [{**place, "offset": "3"}]}).status_code == 204
    assert next_value() == [3]
    assert reading.post("positions/beginning", {"partitions": [place]}).status_code == 204
    assert next_value() == [0]
    at = {"timestamps": [{**place, "timestamp": "1970-01-01T00:16:40.007Z"}]}
    assert reading.post("positions", at).status_code == 204
    assert next_value() == [7]
    assert reading.post("positions/end", {"partitions": [place]}).status_code == 204
    assert next_value() == []
    assert reading.post("positions", {"offsets": [{**place, "offset": 999}]}).status_code == 204
    assert reading.records("timeout=300") == [], "beyond the end it begins anew, at the latest"
    for wrong in (-1, None, "x", 1.5):
        answer = reading.post("positions", {"offsets": [{**place, "offset": wrong}]})
        assert rest_error(answer) == (422, 422)
    assert rest_error(reading.post("positions", {})) == (422, 422)


# -- 3.3: records ------------------------------------------------------------------------------


def test_records_have_all_that_they_were_sent_with(api: RestApi) -> None:
    topic = api.topic()
    api.records(
        topic,
        {"key": "k", "value": {"big": 2**60 + 1}, "timestamp": 5, "headers": {"h": "x"}},
        {"value": None, "timestamp": 6},
    )
    reading = api.instance()
    reading.subscribe(topic)
    shared = {"topic": topic, "partition": 0}
    assert reading.records() == [
        {
            **shared,
            "key": "k",
            "value": {"big": 2**60 + 1},
            "offset": 0,
            "timestamp": 5,
            "headers": [{"key": "h", "value": base64.b64encode(b"x").decode()}],
        },
        {**shared, "key": None, "value": None, "offset": 1, "timestamp": 6},
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"), [("binary", "w6R4"), ("text", "äx"), ("BINARY", "w6R4")]
)
def test_bytes_come_in_the_format_of_the_instance(api: RestApi, wanted: str, expected: str) -> None:
    topic = api.topic()
    path = f"/v1/topics/{topic}/records"
    headers = {"content-type": "application/octet-stream"}
    api.client.post(path, content="äx".encode(), headers=headers)
    api.client.post(path, content=b"", headers=headers)
    reading = api.instance({"format": wanted, "auto.offset.reset": "earliest"})
    reading.subscribe(topic)
    assert [record["value"] for record in reading.records()] == [expected, ""]


def test_poison_record_is_told_of_and_can_be_passed(api: RestApi) -> None:
    topic = api.topic(1)
    api.client.post(
        f"/v1/topics/{topic}/records", content=b"{no", headers={"content-type": "text/plain"}
    )
    api.produce(topic, 3)
    reading = api.instance()
    reading.subscribe(topic)
    assert [record["value"] for record in reading.records()] == [1], "what precedes it"
    for _ in range(2):
        answer = reading.get("records?timeout=5000")
        assert rest_error(answer) == (422, 422)
        message = answer.json()["message"]
        assert message.startswith("value deserialization error for format json: ")
        assert f"partition {topic}-0, offset 1" in message
    place = {"topic": topic, "partition": 0, "offset": 1}
    (poison, after) = reading.records("on_error=binary&timeout=5000")
    assert poison["value"] == base64.b64encode(b"{no").decode()
    assert poison["value_encoding"] == "base64"
    assert after["value"] == 3
    reading.post("positions", {"offsets": [place]})
    assert [record["value"] for record in reading.records("on_error=skip&timeout=0")] == [3]


def test_records_without_schema_registry_are_refused_but_for_empty_values(api: RestApi) -> None:
    topic = api.topic()
    api.records(topic, {"key": "k", "value": None}, {"value": 1})
    reading = api.instance({"format": "avro", "auto.offset.reset": "earliest"})
    reading.subscribe(topic)
    (first,) = reading.records()
    assert (first["key"], first["value"]) == (base64.b64encode(b'"k"').decode(), None)
    answer = reading.get("records?timeout=0")
    assert rest_error(answer) == (422, 422)
    assert answer.json()["message"].startswith("value deserialization error for format avro: ")


def test_poll_returns_as_soon_as_there_is_something(api: RestApi) -> None:
    topic = api.topic(1)
    reading = api.instance()
    reading.subscribe(topic)
    started = time.monotonic()
    assert len(reading.records("timeout=20000")) == 1
    late = threading.Timer(0.3, api.produce, (topic, 2))
    late.start()
    assert [record["value"] for record in reading.records("timeout=20000")] == [2]
    late.join()
    assert time.monotonic() - started < 15


def test_poll_waits_for_the_whole_timeout_when_nothing_comes(api: RestApi) -> None:
    patient = api.instance({"consumer.request.timeout.ms": 700, "auto.offset.reset": "earliest"})
    patient.subscribe(api.topic())
    for query, least in (("", 0.7), ("timeout=400", 0.4)):
        started = time.monotonic()
        assert patient.records(query) == []
        assert time.monotonic() - started >= least


def test_poll_waits_for_min_bytes(api: RestApi) -> None:
    topic = api.topic("x" * 100)
    reading = api.instance(
        {"format": "json", "fetch.min.bytes": 1000, "auto.offset.reset": "earliest"}
    )
    reading.subscribe(topic)
    with ThreadPoolExecutor(1) as polling:
        waiting = polling.submit(reading.records, "timeout=20000")
        api.produce(topic, "y" * 2000)
        assert [record["value"][0] for record in waiting.result()] == ["x", "y"]


@pytest.mark.parametrize("query", ["timeout=x", "timeout=-1", "max_bytes=x", "on_error=perhaps"])
def test_bad_parameters_are_refused(api: RestApi, query: str) -> None:
    reading = api.instance()
    reading.subscribe(api.topic(1))
    assert rest_error(reading.get(f"records?{query}")) == (422, 422)


def test_max_bytes_bounds_keys_and_values_and_at_least_one_record_comes(api: RestApi) -> None:
    topic = api.topic(*["123456789"[:7]] * 6)
    reading = api.instance()
    reading.subscribe(topic)
    assert [len(reading.records(f"max_bytes={size}")) for size in (10, 1, 0, 20)] == [1, 1, 1, 2]
    assert [record["offset"] for record in reading.records()] == [5]


def test_partitions_have_their_turns(api: RestApi) -> None:
    topic = api.topic(partitions=3)
    for partition in range(3):
        api.produce(topic, *["x" * 100] * 50, partition=partition)
    reading = api.instance()
    reading.subscribe(topic)
    seen = [{record["partition"] for record in reading.records("max_bytes=500")} for _ in range(6)]
    assert set().union(*seen[:3]) == set().union(*seen[3:]) == {0, 1, 2}


def test_polls_of_one_instance_queue_and_share_nothing(api: RestApi) -> None:
    topic = api.topic(*range(200))
    reading = api.instance()
    reading.subscribe(topic)
    with ThreadPoolExecutor(8) as polling:
        pages = list(polling.map(reading.records, ["timeout=0&max_bytes=30"] * 40))
    offsets = [record["offset"] for page in pages for record in page]
    assert sorted(offsets) == list(range(len(offsets)))


def test_delete_ends_a_poll_that_waits(api: RestApi) -> None:
    reading = api.instance()
    reading.subscribe(api.topic())
    with ThreadPoolExecutor(1) as polling:
        waiting = polling.submit(reading.get, "records?timeout=20000")
        wait_until(
            lambda: (
                "waiting_fetches 1" in api.client.get("/metrics").text.replace(".0", "")
                or waiting.done()
            ),
            "the poll waits",
        )
        deleted = api.client.delete(reading.path)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert waiting.result().json() == []
    assert rest_error(reading.get("records")) == (404, 40403)


# -- 3.4: offsets, and 1.6: dialects -----------------------------------------------------------


def test_commit_without_offsets_commits_what_was_delivered(api: RestApi) -> None:
    topic = api.topic(*range(10))
    for body in (b"", b"{}"):
        reading = api.instance()
        reading.subscribe(topic)
        assert reading.offsets() == []
        delivered = len(reading.records("max_bytes=3"))
        answer = reading.client.post(f"{reading.path}/offsets", content=body)
        assert (answer.status_code, answer.json()) == (200, [])
        assert reading.offsets() == [(topic, 0, delivered)]


@pytest.mark.parametrize(
    ("key", "stored", "status"), [("auto.commit.enable", 2, 200), ("enable.auto.commit", 1, 204)]
)
def test_committing_an_offset_means_what_the_dialect_says(
    api: RestApi, key: str, stored: int, status: int
) -> None:
    topic = api.topic(*range(5))
    reading = api.instance({"format": "json", "auto.offset.reset": "earliest", key: False})
    reading.subscribe(topic)
    place = {"topic": topic, "partition": 0}
    body = {"offsets": [{**place, "offset": "1", "metadata": "mine"}]}
    answer = reading.post("offsets", body)
    assert answer.status_code == status
    assert answer.content == (b"[]" if status == 200 else b"")
    expected = {"offsets": [{**place, "offset": stored, "metadata": "mine"}]}
    assert reading.get("offsets").json() == expected
    assert reading.get(f"offsets?topic={topic}&partition=0").json() == expected
    asked = reading.client.request("GET", f"{reading.path}/offsets", json={"partitions": [place]})
    assert asked.json() == expected
    api.client.delete(reading.path)
    again = api.instance(group=reading.group)
    again.subscribe(topic)
    assert again.records()[0]["offset"] == stored


def test_commits_that_make_no_sense_are_refused(api: RestApi) -> None:
    topic = api.topic(*range(5))
    reading = api.instance({"auto.commit.enable": False})
    strict = api.instance({"enable.auto.commit": False})
    for one in (reading, strict):
        one.subscribe(topic)
    place = {"topic": topic, "partition": 0}

    def commit(one: RestInstance, **entry: object) -> httpx.Response:
        return one.post("offsets", {"offsets": [{**place, **entry}]})

    assert reading.post("offsets", {"offsets": []}).json() == []
    assert reading.offsets() == [], "an empty list commits nothing"
    assert rest_error(commit(reading, topic="nowhere", offset=0)) == (404, 40401)
    assert rest_error(commit(reading, partition=9, offset=0)) == (404, 40402)
    assert rest_error(commit(strict, topic="nowhere", offset=0)) == (404, 404)
    for missing in ({}, {"topic": None, "offset": 1}, {"partition": None, "offset": 1}):
        assert rest_error(commit(reading, **missing)) == (422, 422)
    assert rest_error(commit(strict, offset=-1)) == (422, 422)
    assert commit(reading, offset=-1).status_code == 200
    assert reading.offsets() == [(topic, 0, 0)]
    assert rest_error(commit(reading, offset=-2)) == (422, 422)


def test_instance_commits_by_itself_what_earlier_polls_delivered(api: RestApi) -> None:
    topic = api.topic(*range(4))
    reading = api.instance()
    reading.subscribe(topic)
    first = len(reading.records("max_bytes=1"))
    reading.records("max_bytes=1")
    wait_until(lambda: reading.offsets() != [], "it commits by itself", timeout_s=20)
    assert reading.offsets() == [(topic, 0, first)], "the last poll's may never have arrived"
    api.client.delete(reading.path)
    again = api.instance(group=reading.group)
    again.subscribe(topic)
    assert again.offsets() == [(topic, 0, 2)], "who deletes its instance has dealt with all"


def test_instance_that_shall_not_commit_does_not(api: RestApi) -> None:
    for key in ("auto.commit.enable", "enable.auto.commit"):
        topic = api.topic(*range(3))
        reading = api.instance({"format": "json", "auto.offset.reset": "earliest", key: "false"})
        reading.subscribe(topic)
        assert len(reading.records()) == 3
        assert reading.records("timeout=0") == []
        api.client.delete(reading.path)
        again = api.instance(group=reading.group)
        again.subscribe(topic)
        assert len(again.records()) == 3


def test_offset_reset_none_says_that_there_is_no_offset(api: RestApi) -> None:
    reading = api.instance({"auto.offset.reset": "none"})
    reading.subscribe(api.topic(1))
    assert rest_error(reading.get("records?timeout=2000")) == (409, 40903)


# -- the group ---------------------------------------------------------------------------------


def test_two_instances_share_the_partitions_and_hand_them_over_without_repeating(
    api: RestApi,
) -> None:
    topic = api.topic(partitions=4)
    for partition in range(4):
        api.produce(topic, *range(20), partition=partition)
    first = api.instance()
    first.subscribe(topic)
    seen = [(one["partition"], one["offset"]) for one in first.records("max_bytes=10")]
    second = api.instance(group=first.group)
    second.subscribe(topic)

    def poll() -> bool:
        for reading in (first, second):
            found = reading.records("timeout=100&max_bytes=50")
            seen.extend((one["partition"], one["offset"]) for one in found)
        return len(seen) >= 80

    wait_until(poll, "all records are read", timeout_s=30)
    assert sorted(seen) == [(partition, offset) for partition in range(4) for offset in range(20)]
    shares = [
        {one["partition"] for one in reading.get("assignments").json()["partitions"]}
        for reading in (first, second)
    ]
    assert [len(share) for share in shares] == [2, 2]
    assert shares[0] | shares[1] == {0, 1, 2, 3}
    api.client.delete(second.path)
    wait_until(
        lambda: len(first.get("assignments").json()["partitions"]) == 4, "the first has all again"
    )
