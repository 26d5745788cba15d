"""Version 3 of REST Proxy on real brokers: what curl examples ask for, and records as a stream."""

import base64
import gzip
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster
from tests.support.line_sender import LineSender
from tests.support.raw_http import RawConnection
from tests.support.resident import resident_bytes
from tests.support.rest_v3 import MEDIA, V3Api, as_json, v3_error
from tests.support.standalone_broker import standalone_broker
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_MAX_STREAMS: Final = 2


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    settings = {
        "auto.create.topics.enable": "false",
        "message.max.bytes": "5000",
        "produce.max.streams": str(_MAX_STREAMS),
    }
    with standalone_broker(tmp_path_factory.mktemp("v3"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def api(broker: BrokerProcess) -> Iterator[V3Api]:
    made = V3Api(broker.url)
    yield made
    made.client.close()


# -- clusters, brokers, topics ----------------------------------------------------------------


def test_cluster_links_to_all_there_is(api: V3Api) -> None:
    (cluster,) = api.client.get("/v3/clusters").json()["data"]
    assert cluster == api.get("")
    assert cluster["metadata"]["resource_name"] == f"crn:///kafka={api.cluster_id}"
    for name in ("brokers", "topics", "consumer_groups", "controller"):
        answer = api.client.get(cluster[name]["related"])
        assert answer.status_code == 200, name
    assert api.client.get(cluster["metadata"]["self"]).json() == cluster
    for name in ("acls", "broker_configs", "partition_reassignments"):
        assert v3_error(api.client.get(cluster[name]["related"])) == (404, 404)


def test_links_are_where_the_client_came_from(api: V3Api) -> None:
    answer = api.client.get(
        "/kafka/v3/clusters",
        headers={"x-forwarded-host": "kafka.example:8443", "x-forwarded-proto": "https"},
    )
    assert answer.json()["metadata"]["self"] == "https://kafka.example:8443/kafka/v3/clusters"


def test_broker_is_described_with_what_it_holds(api: V3Api, broker: BrokerProcess) -> None:
    topic = api.topic(partitions=2)
    (found,) = api.get("/brokers")["data"]
    assert found == api.get("/brokers/0")
    assert (found["host"], found["port"], found["rack"]) == (broker.host, broker.port, None)
    replicas = api.client.get(found["partition_replicas"]["related"]).json()["data"]
    assert [each["partition_id"] for each in replicas if each["topic_name"] == topic] == [0, 1]


def test_topic_is_created_described_grown_and_deleted(api: V3Api) -> None:
    body = {
        "topic_name": "whole-life",
        "partitions_count": 2,
        "replication_factor": 1,
        "configs": [{"name": "retention.ms", "value": "1234567"}],
    }
    dry = api.ask("POST", "/topics", {**body, "validate_only": True})
    assert dry.status_code == 200
    assert v3_error(api.ask("GET", "/topics/whole-life")) == (404, 40403)
    made = api.ask("POST", "/topics", body)
    assert made.status_code == 201
    assert made.headers["location"] == made.json()["metadata"]["self"]
    assert made.json() == api.get("/topics/whole-life")
    assert made.json() == {**dry.json(), "metadata": made.json()["metadata"]}
    assert made.json()["partitions_count"] == 2
    assert "whole-life" in [each["topic_name"] for each in api.get("/topics")["data"]]
    grown = api.ask("PATCH", "/topics/whole-life", {"partitions_count": 3})
    assert (grown.status_code, grown.json()["partitions_count"]) == (200, 3)
    assert v3_error(api.ask("PATCH", "/topics/whole-life", {"partitions_count": 3})) == (400, 40002)
    assert v3_error(api.ask("POST", "/topics", body)) == (400, 40002)
    gone = api.ask("DELETE", "/topics/whole-life")
    assert (gone.status_code, gone.content) == (204, b"")
    assert v3_error(api.ask("DELETE", "/topics/whole-life")) == (404, 40403)


def test_replicas_may_be_assigned(api: V3Api) -> None:
    body = {"topic_name": "assigned", "replicas_assignments": {"0": [0], "1": [0]}}
    assert api.ask("POST", "/topics", body).json()["partitions_count"] == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", (422, 42206)),
        (b"{}", (400, 400)),
        (b"{", (400, 400)),
        ({"topic_name": "a b"}, (422, 42206)),
        ({"topic_name": "fresh", "partitions_count": 0}, (400, 40002)),
        ({"topic_name": "fresh", "replication_factor": 5}, (400, 40002)),
        ({"topic_name": "fresh", "configs": [{"name": "no.such"}]}, (400, 40002)),
        ({"topic_name": "fresh", "configs": [{"name": "no.such", "value": "1"}]}, (400, 40002)),
        ({"topic_name": "fresh", "partitions": 1}, (422, 422)),
    ],
)
def test_topic_that_cannot_be_created_is_refused(
    api: V3Api, body: object, told: tuple[int, int]
) -> None:
    assert v3_error(api.ask("POST", "/topics", body)) == told


def test_partitions_are_described_with_replicas_and_offsets(api: V3Api) -> None:
    topic = api.topic(partitions=2)
    api.produce(topic, {"partition_id": 1}, {"partition_id": 1})
    listed = api.get(f"/topics/{topic}/partitions")["data"]
    assert [each["partition_id"] for each in listed] == [0, 1]
    assert listed[1] == api.get(f"/topics/{topic}/partitions/1")
    leader = api.client.get(listed[1]["leader"]["related"]).json()
    assert (leader["broker_id"], leader["is_leader"], leader["is_in_sync"]) == (0, True, True)
    assert api.client.get(listed[1]["replicas"]["related"]).json()["data"] == [leader]
    offsets = api.get(f"/topics/{topic}/partitions/1/offset")
    assert offsets["kind"] == "KafkaPartitionWithOffsets"
    assert (offsets["earliest_offset"], offsets["latest_offset"]) == (0, 2)
    for query, told in (("earliest", (400, 400)), ("latest", (400, 400))):
        path = f"/topics/{topic}/partitions/1/offset?offset_type={query}"
        assert v3_error(api.ask("GET", path)) == told


def test_settings_are_described_set_and_taken_back(api: V3Api) -> None:
    topic = api.topic(configs={"retention.ms": "1234567"})
    path = f"/topics/{topic}/configs"
    found = {each["name"]: each for each in api.get(path)["data"]}
    assert found["retention.ms"]["value"] == "1234567"
    assert (found["retention.ms"]["is_default"], found["retention.ms"]["source"]) == (
        False,
        "DYNAMIC_TOPIC_CONFIG",
    )
    assert found["cleanup.policy"]["is_default"]
    assert api.get(f"{path}/retention.ms") == found["retention.ms"]
    assert api.ask("PUT", f"{path}/retention.ms", {"value": "7654321"}).status_code == 204
    assert api.get(f"{path}/retention.ms")["value"] == "7654321"
    assert api.ask("DELETE", f"{path}/retention.ms").status_code == 204
    assert api.get(f"{path}/retention.ms")["is_default"]
    changes: list[dict[str, str]] = [
        {"name": "compression.type", "value": "gzip"},
        {"name": "retention.ms", "value": "5", "operation": "SET"},
    ]
    dry = api.ask("POST", f"{path}:alter", {"data": changes, "validate_only": True})
    assert dry.status_code == 204
    assert api.get(f"{path}/compression.type")["value"] == "producer"
    assert api.ask("POST", f"{path}:alter", {"data": changes}).status_code == 204
    changes = [{"name": "compression.type", "operation": "DELETE"}]
    assert api.ask("POST", f"{path}:alter", {"data": changes}).status_code == 204
    assert api.get(f"{path}/compression.type")["value"] == "producer"
    assert api.get(f"{path}/retention.ms")["value"] == "5"


def test_settings_may_come_as_numbers(api: V3Api) -> None:
    body = {
        "topic_name": "numbers",
        "partitions_count": "2",
        "configs": [{"name": "retention.ms", "value": 86_400_000}],
    }
    made = api.ask("POST", "/topics", body)
    assert (made.status_code, made.json()["partitions_count"]) == (201, 2)
    path = "/topics/numbers/configs"
    assert api.get(f"{path}/retention.ms")["value"] == "86400000"
    assert api.ask("PUT", f"{path}/retention.ms", {"value": 7}).status_code == 204
    assert api.get(f"{path}/retention.ms")["value"] == "7"
    changes = [{"name": "unclean.leader.election.enable", "value": True}]
    assert api.ask("POST", f"{path}:alter", {"data": changes}).status_code == 204
    assert api.get(f"{path}/unclean.leader.election.enable")["value"] == "true"


@pytest.mark.parametrize(
    ("name", "why"), [("retention.mss", "did you mean retention.ms?"), ("preallocate", "yet")]
)
def test_setting_that_topics_do_not_have_is_told_with_what_helps(
    api: V3Api, name: str, why: str
) -> None:
    path = f"/topics/{api.topic()}/configs"
    for answer in (
        api.ask("POST", f"{path}:alter", {"data": [{"name": name, "value": "1"}]}),
        api.ask("PUT", f"{path}/{name}", {"value": "1"}),
    ):
        assert v3_error(answer) == (404, 404)
        message = answer.json()["message"]
        assert message.startswith(f"Config {name} cannot be found for topic ")
        assert why in message


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("PUT", "/retention.ms", {"value": "x"}, (400, 40002)),
        ("PUT", "/retention.ms", {"value": None}, (400, 400)),
        ("PUT", "/no.such", {"value": "1"}, (404, 404)),
        ("GET", "/no.such", None, (404, 404)),
        ("DELETE", "/no.such", None, (404, 404)),
        ("POST", ":alter", {"data": [{"name": "no.such", "value": "1"}]}, (404, 404)),
        ("POST", ":alter", {"data": [{"name": "no.such", "operation": "DELETE"}]}, (404, 404)),
        (
            "POST",
            ":alter",
            {
                "data": [{"name": "retention.ms", "value": "1"}, {"name": "no.such", "value": "1"}],
                "validate_only": True,
            },
            (404, 404),
        ),
        ("POST", ":alter", {"data": [{"name": "retention.ms"}]}, (400, 40002)),
        (
            "POST",
            ":alter",
            {"data": [{"name": "retention.ms", "value": "x"}], "validate_only": True},
            (400, 40002),
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(
    api: V3Api, method: str, path: str, body: object, told: tuple[int, int]
) -> None:
    topic = api.topic()
    assert v3_error(api.ask(method, f"/topics/{topic}/configs{path}", body)) == told


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v3", (404, 404)),
        ("/v3/clusters/none", (404, 404)),
        ("/v3/clusters/none/topics", (404, 404)),
        ("{base}/nothing", (404, 404)),
        ("{base}/brokers/9", (404, 404)),
        ("{base}/brokers/x", (404, 404)),
        ("{base}/brokers/9/partition-replicas", (404, 404)),
        ("{base}/topics/none", (404, 40403)),
        ("{base}/topics/none/configs", (404, 40403)),
        ("{base}/topics/none/partitions", (404, 40403)),
        ("{base}/topics/{t}/partitions/1", (404, 40402)),
        ("{base}/topics/{t}/partitions/x", (404, 404)),
        ("{base}/topics/{t}/partitions/0/replicas/1", (404, 404)),
        ("{base}/consumer-groups/none", (404, 40405)),
        ("{base}/consumer-groups/none/lags", (404, 40405)),
    ],
)
def test_what_is_not_there_is_told_by_its_code(
    api: V3Api, path: str, told: tuple[int, int]
) -> None:
    assert v3_error(api.client.get(path.format(base=api.base, t=api.topic()))) == told


def test_methods_and_types_that_are_not_taken_aretold(api: V3Api) -> None:
    topic = api.topic()
    refused = api.ask("DELETE", "/topics")
    assert v3_error(refused) == (405, 405)
    assert refused.headers["allow"] == "GET, POST, HEAD, OPTIONS"
    options = api.ask("OPTIONS", f"/topics/{topic}")
    assert (options.status_code, options.headers["allow"]) == (
        204,
        "GET, PATCH, DELETE, HEAD, OPTIONS",
    )
    assert api.ask("HEAD", f"/topics/{topic}").status_code == 200
    accept = api.client.get(f"{api.base}/topics", headers={"accept": "text/html"})
    assert v3_error(accept) == (406, 406)
    for path in ("/topics", f"/topics/{topic}/records", f"/topics/{topic}/records:batch"):
        for media in ("", "text/plain", "application/x-www-form-urlencoded", "text/x+json"):
            headers = {"content-type": media} if media else {}
            answer = api.client.post(api.base + path, content=b"{}", headers=headers)
            assert v3_error(answer) == (415, 415)
            assert "application/json" in answer.json()["message"]
    for media in ("application/json; charset=utf-8", "Application/vnd.x+JSON"):
        answer = api.client.post(
            f"{api.base}/topics/{topic}/records", content=b"{}", headers={"content-type": media}
        )
        assert answer.status_code == 200
    assert api.values(topic) == [None, None]


# -- records ----------------------------------------------------------------------------------


def test_record_is_stored_as_its_types_say(api: V3Api) -> None:
    topic = api.topic(partitions=3)
    record = {
        "partition_id": 2,
        "headers": [{"name": "h", "value": "AQ=="}, {"name": "n", "value": None}],
        "key": {"type": "BINARY", "data": base64.b64encode(b"\x00\xff").decode()},
        "value": {"type": "JSON", "data": {"ä": [1, 2.5, None]}},
        "timestamp": "2023-03-09T14:07:23.592Z",
    }
    (report,) = api.produce(topic, record)
    assert report == {
        "error_code": 200,
        "cluster_id": api.cluster_id,
        "topic_name": topic,
        "partition_id": 2,
        "offset": 0,
        "timestamp": "2023-03-09T14:07:23.592Z",
        "key": {"type": "BINARY", "size": 2},
        "value": {"type": "JSON", "size": len('{"\\u00e4":[1,2.5,null]}')},
    }
    (stored,) = api.stored(topic, 2)
    assert (stored["key"], stored["value"]) == (b"\x00\xff", b'{"\\u00e4":[1,2.5,null]}')
    assert stored["timestamp"] == 1_678_370_843_592
    assert [tuple(each) for each in stored["headers"]] == [("h", b"\x01"), ("n", None)]


def test_time_that_is_reported_is_the_one_that_is_stored(api: V3Api) -> None:
    for config, is_known in (("CreateTime", True), ("LogAppendTime", False)):
        topic = api.topic(configs={"message.timestamp.type": config})
        (report,) = api.produce(topic, {"value": {"type": "STRING", "data": "x"}})
        stored = api.stored(topic)[0]["timestamp"]
        if is_known:
            assert report["timestamp"].endswith(f".{stored % 1000:03}Z")
        else:
            assert report["timestamp"] is None


def test_keys_choose_partitions_as_with_other_paths(api: V3Api) -> None:
    topic = api.topic(partitions=5)
    keys = [f"k{number}" for number in range(20)]
    reports = api.produce(topic, *[{"key": {"type": "STRING", "data": key}} for key in keys])
    body = {"records": [{"key": key} for key in keys]}
    answer = api.client.post(
        f"/topics/{topic}",
        content=as_json(body),
        headers={"content-type": "application/vnd.kafka.text.v2+json"},
    )
    assert [each["partition_id"] for each in reports] == [
        each["partition"] for each in answer.json()["offsets"]
    ]


def test_record_that_is_refused_does_not_take_the_others_with_it(api: V3Api) -> None:
    topic = api.topic()
    reports = api.produce(
        topic,
        {"value": {"type": "STRING", "data": "first"}},
        {"value": {"type": "AVRO", "data": "x"}},
        {"value": {"schema_id": 1, "data": "x"}},
        {"value": {"data": 1}},
        {"partition_id": 5},
        {"values": 1},
        {"value": {"type": "STRING", "data": "x" * 7_000}},
        {"value": {"type": "STRING", "data": "x" * 20_000}},
        {"value": {"type": "STRING", "data": "last"}},
    )
    codes = [report["error_code"] for report in reports]
    assert codes == [200, 42205, 42205, 400, 40402, 422, 413, 413, 200]
    assert api.values(topic) == [b"first", b"last"]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/topics/{t}/records", b"", (422, 42206)),
        ("/topics/none/records", b"{}", (404, 40403)),
        ("/topics/none/records", b"nonsense", (404, 40403)),
        ("/topics/{t}/records:batch", b"", (422, 42208)),
        ("/topics/{t}/records:batch", b'{"entries":[]}', (422, 42208)),
        ("/topics/{t}/records:batch", b'{"entries":[{"id":""}]}', (422, 42208)),
        ("/topics/{t}/records:batch", b'{"entries":[{"id":"a"},{"id":"a"}]}', (422, 42208)),
        ("/topics/{t}/records:batch", b'{"entries":[{"id":"a","x":1}]}', (422, 422)),
        ("/topics/{t}/records:batch", b"[", (400, 400)),
        ("/topics/none/records:batch", b'{"entries":[{"id":"a"}]}', (404, 40403)),
    ],
)
def test_produce_that_cannot_begin_is_refused(
    api: V3Api, path: str, body: bytes, told: tuple[int, int]
) -> None:
    topic = api.topic()
    answer = api.client.post(
        api.base + path.format(t=topic), content=body, headers={"content-type": MEDIA}
    )
    assert v3_error(answer) == told
    assert api.values(topic) == []


def test_batch_tells_of_each_entry(api: V3Api) -> None:
    topic = api.topic()
    entries = [
        {"id": "a", "value": {"type": "JSON", "data": 1}},
        {"id": "b", "value": {"type": "PROTOBUF", "data": 1}},
        {"id": "c", "value": {"type": "JSON", "data": 2}},
    ]
    answer = api.ask("POST", f"/topics/{topic}/records:batch", {"entries": entries})
    assert answer.status_code == 207
    document = answer.json()
    assert [(each["id"], each["offset"]) for each in document["successes"]] == [("a", 0), ("c", 1)]
    assert [(each["id"], each["error_code"]) for each in document["failures"]] == [("b", 42205)]
    assert api.values(topic) == [b"1", b"2"]


# -- records as a stream ----------------------------------------------------------------------


def _stream(api: V3Api, broker: BrokerProcess, topic: str, **options: Any) -> LineSender:
    path = f"{api.base}/topics/{topic}/records"
    return LineSender(broker.url, path, media=MEDIA, **options)


def _has(sender: LineSender, count: int) -> bool:
    return sender.count >= count


def test_each_record_is_reported_while_the_body_goes_on(api: V3Api, broker: BrokerProcess) -> None:
    topic = api.topic()
    with _stream(api, broker, topic) as sender:
        wait_until(lambda: sender.status == 200, "the answer begins before the body")
        for number in range(3):
            sender.send(b'{"value":{"type":"JSON","data":%d}}' % number)
            wait_until(partial(_has, sender, number + 1), "it is reported at once")
        sender.send(b'\n{"value":{"type":"STR')
        sender.send(b'ING","data":"}{"}}\r\n  {"x":1}{}')
        sender.end()
    assert [report["error_code"] for report in sender.reports] == [200, 200, 200, 200, 422, 200]
    assert api.values(topic) == [b"0", b"1", b"2", b"}{", None]


def test_each_report_is_a_chunk_of_its_own(api: V3Api, broker: BrokerProcess) -> None:
    path = f"{api.base}/topics/{api.topic()}/records"
    headers = {"Transfer-Encoding": "chunked", "Content-Type": MEDIA, "Connection": "close"}
    records = b'{"value":{"type":"JSON","data":1}}{"value":{"data":2}}{}'
    with RawConnection(broker.port) as connection:
        connection.send(RawConnection.request("POST", path, headers=headers))
        connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(records), records))
        _, _, rest = connection.read_to_end().partition(b"\r\n\r\n")
    codes = []
    while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
        _, _, rest = rest.partition(b"\r\n")
        codes.append(json.loads(rest[:size])["error_code"])
        rest = rest[size + 2 :]
    assert codes == [200, 400, 200]


def test_what_is_no_json_ends_the_answer(api: V3Api, broker: BrokerProcess) -> None:
    topic = api.topic()
    with _stream(api, broker, topic) as sender:
        sender.send(b'{"value":{"type":"JSON","data":1}}{]')
        sender.send(b'}{"value":{"type":"JSON","data":2}}')
        sender.join(30)
        assert not sender.is_alive()
    assert [report["error_code"] for report in sender.reports] == [200, 400]
    assert api.values(topic) == [b"1"]


def test_reports_do_not_wait_to_be_compressed(api: V3Api, broker: BrokerProcess) -> None:
    with _stream(api, broker, api.topic(), headers="accept-encoding: gzip, zstd\r\n") as sender:
        sender.send(b"{}")
        wait_until(partial(_has, sender, 1), "it is reported at once")
        sender.end()
    assert [report["error_code"] for report in sender.reports] == [200]


def test_body_may_be_compressed(api: V3Api) -> None:
    topic = api.topic()
    record = b'{"value":{"type":"JSON","data":1}}'
    answer = api.client.post(
        f"{api.base}/topics/{topic}/records",
        content=gzip.compress(record * 20_000),
        headers={"content-type": MEDIA, "content-encoding": "gzip"},
    )
    assert answer.text.count('"error_code":200') == 20_000
    assert api.get(f"/topics/{topic}/partitions/0/offset")["latest_offset"] == 20_000


def test_connection_ends_with_a_stream_that_was_broken_before_its_body_ended(
    api: V3Api, broker: BrokerProcess
) -> None:
    path = f"{api.base}/topics/{api.topic()}/records"
    headers = {"content-type": MEDIA, "transfer-encoding": "chunked"}
    with RawConnection(broker.port) as connection:
        connection.send(connection.request("POST", path, headers=headers) + b"1\r\n]\r\n")
        told = connection.read_to_end()
    assert b'{"error_code":400,' in told
    assert told.endswith(b"\r\n0\r\n\r\n")


def test_one_stream_more_than_may_be_is_told_when_to_come_back(
    api: V3Api, broker: BrokerProcess
) -> None:
    topic = api.topic()
    with _stream(api, broker, topic) as first, _stream(api, broker, topic) as second:
        wait_until(lambda: (first.status, second.status) == (200, 200), "both are served")
        answer = api.client.post(
            f"{api.base}/topics/{topic}/records",
            content=iter([b"{}"]),
            headers={"content-type": MEDIA},
        )
        assert v3_error(answer) == (503, 50302)
        assert answer.headers["retry-after"] == "1"
        assert [report["error_code"] for report in api.produce(topic, {})] == [200]


def test_100_megabytes_take_no_memory(api: V3Api, broker: BrokerProcess) -> None:
    topic = api.topic()
    record = b'{"value":{"type":"STRING","data":"%b"}}' % (b"x" * 960)
    chunk = record * 1_000
    with _stream(api, broker, topic, keeps=False) as sender:
        for _ in range(10):
            sender.send(chunk)
        before = resident_bytes(broker.pid)
        for _ in range(90):
            sender.send(chunk)
        after = resident_bytes(broker.pid)
        sender.end()
    assert (sender.count, sender.reports[0]["offset"]) == (100_000, 99_999)
    assert after - before < 32_000_000


# -- any broker -------------------------------------------------------------------------------


def _commit(api: V3Api, group: str, topic: str, offsets: dict[int, int]) -> None:
    """Read what is there as a member of a group, commit offsets, and stay."""
    created = api.client.post(
        f"/consumers/{group}", json={"name": "c1", "auto.offset.reset": "earliest"}
    )
    assert created.status_code == 200, created.text
    path = f"/consumers/{group}/instances/c1"
    subscribed = api.client.post(f"{path}/subscription", json={"topics": [topic]})
    assert subscribed.status_code == 204, subscribed.text
    rows = [{"topic": topic, "partition": each, "offset": at - 1} for each, at in offsets.items()]
    committed = api.client.post(f"{path}/offsets", json={"offsets": rows})
    assert committed.status_code == 200, committed.text


def test_any_broker_takes_records_and_tells_of_groups(tmp_path: Path) -> None:
    with EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper:
        cluster = Cluster(tmp_path, zookeeper.hosts, size=2)
        with cluster[0], cluster[1]:
            apis = [V3Api(broker.url) for broker in cluster]
            topic = apis[0].topic(partitions=2)
            for number, api in enumerate(apis):
                reports = api.produce(topic, {"partition_id": 0}, {"partition_id": 1})
                assert [each["offset"] for each in reports] == [number, number]
                for partition in (0, 1):
                    offsets = api.get(f"/topics/{topic}/partitions/{partition}/offset")
                    assert offsets["latest_offset"] == number + 1
                made = api.produce(f"made{number}", {}, {})
                assert [each["error_code"] for each in made] == [200, 200], "created"
            _commit(apis[0], "g", topic, {0: 1, 1: 2})
            for api in apis:
                (group,) = api.get("/consumer-groups")["data"]
                assert group == api.get("/consumer-groups/g")
                assert (group["consumer_group_id"], group["state"]) == ("g", "STABLE")
                (consumer,) = api.client.get(group["consumers"]["related"]).json()["data"]
                assigned = api.client.get(consumer["assignments"]["related"]).json()["data"]
                assert [each["partition_id"] for each in assigned] == [0, 1]
                lag = api.client.get(assigned[0]["lag"]["related"]).json()
                assert (lag["current_offset"], lag["log_end_offset"], lag["lag"]) == (1, 2, 1)
                assert lag["consumer_id"] == consumer["consumer_id"]
                assert [each["lag"] for each in api.get("/consumer-groups/g/lags")["data"]] == [
                    1,
                    0,
                ]
                summary = api.client.get(group["lag_summary"]["related"]).json()
                assert (summary["max_lag"], summary["total_lag"]) == (1, 1)
            for api in apis:
                api.client.close()
