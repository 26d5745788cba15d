"""REST Proxy's consumers on a real broker: what clients of each implementation tell apart.

Rows of the comparison that this API was made by, column R, beyond those that
`integration/test_rest_consumers.py` goes through.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.rest_consumers import RestApi, RestInstance, next_number, rest_error

pytestmark = pytest.mark.slow

_EARLIEST: Final = {"auto.offset.reset": "earliest"}
_BINARY: Final = "application/vnd.kafka.binary.v2+json"


@pytest.fixture
def api(broker: BrokerProcess) -> Iterator[RestApi]:
    made = RestApi(broker)
    yield made
    made.close()


# -- 1.2 and 1.3: formats ---------------------------------------------------------------------


def _raw(api: RestApi, topic: str, *values: bytes | None) -> None:
    """Store values, byte for byte."""
    records = [
        {"value": None if value is None else base64.b64encode(value).decode()} for value in values
    ]
    sent = api.client.post(
        f"/topics/{topic}", json={"records": records}, headers={"content-type": _BINARY}
    )
    assert sent.status_code == 200, sent.text


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("binary", [None, "", "AP8=", "MQ=="]),
        ("text", [None, "", "\x00\ufffd", "1"]),
    ],
)
def test_null_empty_and_any_bytes_come_as_the_format_has_them(
    api: RestApi, wanted: str, expected: list[str | None]
) -> None:
    topic = api.topic()
    _raw(api, topic, None, b"", b"\x00\xff", b"1")
    reading = api.instance({"format": wanted, **_EARLIEST})
    reading.subscribe(topic)
    assert [record["value"] for record in reading.records()] == expected


@pytest.mark.parametrize(
    "text",
    ["9007199254740993", "-18446744073709551617", "1e400", "0.1", '"\\u00e4"', "[1, 2]", "false"],
)
def test_json_comes_byte_for_byte(api: RestApi, text: str) -> None:
    topic = api.topic()
    _raw(api, topic, text.encode())
    reading = api.instance()
    reading.subscribe(topic)
    answer = reading.get("records?timeout=5000")
    assert f'"value":{text},' in answer.text


def test_record_that_is_no_json_can_be_passed_by_asking_for_its_bytes(api: RestApi) -> None:
    topic = api.topic()
    _raw(api, topic, b"\xff", b"1")
    reading = api.instance()
    reading.subscribe(topic)
    assert rest_error(reading.get("records?timeout=5000")) == (422, 422)
    poison, good = reading.records("on_error=binary")
    assert (poison["value"], poison["value_encoding"]) == ("/w==", "base64")
    assert good["value"] == 1


@pytest.mark.parametrize("wanted", ["avro", "jsonschema", "protobuf"])
def test_formats_with_schemas_give_keys_of_records_without_value(api: RestApi, wanted: str) -> None:
    topic = api.topic()
    api.records(topic, {"key": "k", "value": None}, {"key": "k", "value": 1})
    reading = api.instance({"format": wanted, **_EARLIEST})
    reading.subscribe(topic)
    answer = reading.get("records?timeout=5000")
    assert answer.headers["content-type"] == f"application/vnd.kafka.{wanted}.v2+json"
    assert [(one["key"], one["value"]) for one in answer.json()] == [("Imsi", None)]
    refusal = reading.get("records?timeout=5000")
    assert rest_error(refusal) == (422, 422)
    expected = f"value deserialization error for format {wanted}: "
    assert refusal.json()["message"].startswith(expected)


@pytest.mark.parametrize("wanted", ["json", "binary"])
def test_headers_count_toward_the_bytes_of_an_answer(api: RestApi, wanted: str) -> None:
    topic = api.topic()
    header = {"key": "h", "value": base64.b64encode(b"x" * 2_000).decode()}
    record = {"value": "MQ==", "headers": [header]}
    sent = api.client.post(
        f"/topics/{topic}", json={"records": [record] * 5}, headers={"content-type": _BINARY}
    )
    assert sent.status_code == 200, sent.text
    reading = api.instance({"format": wanted, **_EARLIEST})
    reading.subscribe(topic)
    answers = [reading.records("timeout=5000&max_bytes=5000") for _ in range(3)]
    assert [len(each) for each in answers] == [2, 2, 1]
    assert answers[0][0]["headers"] == [header]


def test_mismatch_of_formats_is_told_in_the_words_of_rest_proxy(api: RestApi) -> None:
    reading = api.instance()
    reading.subscribe(api.topic())
    answer = reading.get("records", headers={"accept": _BINARY})
    assert rest_error(answer) == (406, 40601)
    assert answer.json()["message"] == (
        "The requested embedded data format does not match the deserializer for this consumer "
        "instance"
    )


# -- 1.5: bodies that nobody reads ------------------------------------------------------------


@pytest.mark.parametrize("body", [b"{}", b"nonsense", b"[1]"])
def test_bodies_of_get_and_delete_do_not_matter(api: RestApi, body: bytes) -> None:
    topic = api.topic(1)
    reading = api.instance()
    reading.subscribe(topic)

    def ask(method: str, what: str) -> httpx.Response:
        headers = {"content-type": "text/plain"}
        return api.client.request(method, reading.path + what, content=body, headers=headers)

    assert [one["value"] for one in ask("GET", "/records?timeout=5000").json()] == [1]
    assert ask("GET", "/subscription").json()["topics"] == [topic]
    assert ask("GET", "/assignments").status_code == 200
    assert ask("DELETE", "/subscription").status_code == 204
    assert ask("DELETE", "").status_code == 204


def test_slashes_around_a_group_do_not_matter(api: RestApi) -> None:
    group = f"g{next_number()}"
    created = api.client.post(f"{api.broker.url}//consumers//{group}/", json={"name": "c"})
    assert created.status_code == 200
    assert created.json()["base_uri"].endswith(f"/consumers/{group}/instances/c")
    deleted = api.client.delete(f"{api.broker.url}/consumers/{group}//instances/c//")
    assert deleted.status_code == 204


@pytest.mark.parametrize("group", ["a%2Fb", "%00", "x" * 300, "."])
def test_group_that_cannot_be_is_refused(api: RestApi, group: str) -> None:
    path = f"/consumers/{group}" if group != "." else "/consumers/%2E"
    answer = api.client.post(path, json={"name": "c"})
    assert rest_error(answer) == (400, 400)
    assert "The group id is invalid" in answer.json()["message"]


# -- 1.6: dialects ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({}, "confluent"),
        ({"format": "json"}, "confluent"),
        ({"auto.commit.enable": "true"}, "confluent"),
        ({"id": "c"}, "confluent"),
        ({"responseMinBytes": 1}, "confluent"),
        ({"requestWaitMs": 100}, "confluent"),
        ({"format": "avro"}, "confluent"),
        ({"format": "protobuf", "enable.auto.commit": True}, "confluent"),
        ({"auto.commit.enable": False, "enable.auto.commit": False}, "confluent"),
        ({"enable.auto.commit": "false"}, "strimzi"),
        ({"isolation.level": "read_committed"}, "strimzi"),
        ({"isolation.level": "read_uncommitted", "format": "json"}, "strimzi"),
        ({"format": "text"}, "strimzi"),
        ({"format": "text", "auto.commit.enable": True}, "confluent"),
    ],
)
def test_keys_of_the_create_body_tell_who_is_calling(
    api: RestApi, body: Mapping[str, Any], dialect: str
) -> None:
    topic = api.topic(*range(5))
    reading = api.instance(body)
    reading.subscribe(topic)
    place = {"topic": topic, "partition": 0}
    answer = reading.post("offsets", {"offsets": [{**place, "offset": 2}]})
    (kept,) = reading.offsets()
    unassigned = reading.post("positions/end", {"partitions": [{**place, "partition": 7}]})
    if dialect == "confluent":
        assert (answer.status_code, answer.content, kept[2]) == (200, b"[]", 3)
        assert rest_error(unassigned) == (409, 40903)
    else:
        assert (answer.status_code, answer.content, kept[2]) == (204, b"", 2)
        assert rest_error(unassigned) == (404, 404)


def test_errors_of_a_strimzi_instance_have_the_http_status_for_a_code(api: RestApi) -> None:
    topic = api.topic(1)
    reading = api.instance({"enable.auto.commit": False, "format": "json"})
    nothing_read = reading.get("records?timeout=0")
    assert rest_error(nothing_read) == (500, 500)
    reading.subscribe(topic)
    nowhere = {"topic": "nowhere", "partition": 0, "offset": 0}
    for answer, status in (
        (reading.post("assignments", {"partitions": []}), 409),
        (reading.post("subscription", {"topics": [topic], "topic_pattern": "t"}), 409),
        (reading.post("subscription", {}), 422),
        (reading.post("offsets", {"offsets": [nowhere]}), 404),
        (reading.get("records", headers={"accept": _BINARY}), 406),
        (reading.get("records?timeout=x"), 422),
    ):
        assert rest_error(answer) == (status, status), answer.text


# -- 3.1: create ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"auto.offset.reset": "Earliest"},
        {"auto.offset.reset": "LATEST"},
        {"auto.offset.reset": "none"},
        {"auto.commit.enable": "True"},
        {"enable.auto.commit": True},
        {"isolation.level": "read_committed"},
        {"fetch.min.bytes": -1},
        {"fetch.min.bytes": "10000000"},
        {"responseMinBytes": "1", "requestWaitMs": "5"},
        {"consumer.request.timeout.ms": 0},
        {"format": None, "auto.offset.reset": None, "name": None, "fetch.min.bytes": None},
    ],
)
def test_each_way_to_write_a_setting_is_taken(api: RestApi, body: Mapping[str, Any]) -> None:
    assert api.instance(body).name


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"format": "xml"}, "Invalid format type."),
        ({"fetch.min.bytes": -2}, "Expected fetch.min.bytes to be "),
        ({"auto.offset.reset": "x"}, "auto.offset.reset must be "),
    ],
)
def test_refused_settings_are_named(api: RestApi, body: Mapping[str, Any], message: str) -> None:
    answer = api.client.post(f"/consumers/g{next_number()}", json=body)
    assert rest_error(answer) == (422, 42204)
    assert answer.json()["message"].startswith(message)


def test_instances_of_one_name_in_two_groups_are_two(api: RestApi) -> None:
    topic = api.topic(1)
    both = [api.instance({"name": "c", "format": "json", **_EARLIEST}) for _ in range(2)]
    for reading in both:
        reading.subscribe(topic)
        assert [record["value"] for record in reading.records()] == [1]


# -- 3.2: what is read ------------------------------------------------------------------------


def test_deleting_a_subscription_ends_an_assignment_too(api: RestApi) -> None:
    topic = api.topic(1)
    reading = api.instance()
    place = {"topic": topic, "partition": 0}
    assert reading.post("assignments", {"partitions": [place, place]}).status_code == 204
    assert reading.get("assignments").json() == {"partitions": [place]}
    ended = api.client.delete(f"{reading.path}/subscription")
    assert (ended.status_code, ended.content) == (204, b"")
    assert reading.get("assignments").json() == {"partitions": []}
    reading.subscribe(topic)
    assert [record["value"] for record in reading.records()] == [1]


@pytest.mark.parametrize("what", ["positions", "positions/beginning", "positions/end"])
@pytest.mark.parametrize("body", [{}, {"partitions": 1, "offsets": 1}, {"offsets": [1]}])
def test_places_to_read_on_must_be_there(api: RestApi, what: str, body: object) -> None:
    reading = api.instance()
    reading.subscribe(api.topic())
    assert rest_error(reading.post(what, body)) == (422, 422)


def test_positions_may_have_metadata_and_come_with_times(api: RestApi) -> None:
    topic = api.topic(partitions=2)
    for partition in range(2):
        records = [{"value": n, "timestamp": 1_000 * n} for n in range(5)]
        api.records(topic, *records, partition=partition)
    reading = api.instance()
    reading.subscribe(topic)
    offset = {"topic": topic, "partition": 0, "offset": 4, "metadata": "mine"}
    time = {"topic": topic, "partition": 1, "timestamp": "1970-01-01T01:00:02.500+01:00"}
    moved = reading.post("positions", {"offsets": [offset], "timestamps": [time]})
    assert moved.status_code == 204
    found: list[tuple[int, int]] = []
    while len(found) < 3:
        found += [(one["partition"], one["offset"]) for one in reading.records()]
    assert sorted(found) == [(0, 4), (1, 3), (1, 4)]


# -- 3.4: offsets -----------------------------------------------------------------------------


def _committed(reading: RestInstance, *places: Mapping[str, object]) -> Any:
    body = {"partitions": list(places)}
    return reading.client.request("GET", f"{reading.path}/offsets", json=body).json()["offsets"]


def test_offsets_of_a_group_are_told_whoever_reads_the_partition(api: RestApi) -> None:
    topic = api.topic(*range(3))
    reading = api.instance({"auto.commit.enable": False, "format": "json", **_EARLIEST})
    reading.subscribe(topic)
    place = {"topic": topic, "partition": 0}
    reading.post("offsets", {"offsets": [{**place, "offset": 0}]})
    other = api.instance(group=reading.group)
    assert other.offsets() == [], "it has no partitions"
    expected = [{**place, "offset": 1, "metadata": ""}]
    never = {"topic": topic, "partition": 5}
    assert _committed(other, place, never, {"topic": "nowhere", "partition": 0}) == expected
    query = f"topic={topic}&partition=5&topic={topic}&partition=0"
    assert other.get(f"offsets?{query}").json()["offsets"] == expected
    for wrong in (f"topic={topic}", "partition=0", f"topic={topic}&partition=x"):
        assert rest_error(other.get(f"offsets?{wrong}")) == (422, 422)


def test_numbers_may_be_strings_wherever_clients_send_them(api: RestApi) -> None:
    topic = api.topic(*range(3))
    reading = api.instance({"auto.commit.enable": "false", "format": "json", **_EARLIEST})
    place = {"topic": topic, "partition": "0"}
    assert reading.post("assignments", {"partitions": [place]}).status_code == 204
    assert reading.post("positions", {"offsets": [{**place, "offset": "2"}]}).status_code == 204
    assert [record["value"] for record in reading.records()] == [2]
    assert reading.post("positions/beginning", {"partitions": [place]}).status_code == 204
    assert reading.post("offsets", {"offsets": [{**place, "offset": "1"}]}).status_code == 200
    assert reading.offsets() == [(topic, 0, 2)]


def test_instance_reads_on_from_what_its_group_committed(api: RestApi) -> None:
    topic = api.topic(*range(6))
    first = api.instance({"auto.commit.enable": False, "format": "json", **_EARLIEST})
    first.subscribe(topic)
    delivered = first.records("max_bytes=3")
    last = delivered[-1]
    assert first.post("offsets", {"offsets": [last]}).status_code == 200, "a record as it came"
    api.client.delete(first.path)
    second = api.instance(group=first.group)
    second.subscribe(topic)
    assert second.records()[0]["offset"] == last["offset"] + 1
