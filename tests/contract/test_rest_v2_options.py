"""REST Proxy's API on brokers whose operator wants it otherwise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawConnection
from tests.support.rest_consumers import RestApi, next_number, rest_error
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_SETTINGS: Final = {
    "rest.dialect": "strimzi",
    "rest.default.format": "json",
    "rest.auto.offset.reset": "earliest",
    "rest.advertised.url": "https://kafka.example.com/rest/",
    "rest.consumer.name.takeover": "true",
    "consumer.request.timeout.ms": "0",
    "socket.request.max.bytes": "4096",
    "message.max.bytes": "2048",
}
_PLAIN: Final = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def configured(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    directory = tmp_path_factory.mktemp("rest-options")
    connect = f"{embedded_zookeeper.hosts}/rest-options"
    with BrokerProcess(directory, connect, settings=_SETTINGS) as running:
        yield running


@pytest.fixture
def api(configured: BrokerProcess) -> Iterator[RestApi]:
    made = RestApi(configured)
    yield made
    made.close()


def test_instance_is_of_the_dialect_and_begins_where_the_operator_says(api: RestApi) -> None:
    topic = api.topic(1, 2)
    reading = api.instance({"format": "json"})
    reading.subscribe(topic)
    assert [record["value"] for record in reading.records()] == [1, 2]
    assert reading.records("") == [], "at once: nobody says how long to wait"
    place = {"topic": topic, "partition": 0}
    assert reading.post("offsets", {"offsets": [{**place, "offset": 1}]}).status_code == 204
    assert reading.offsets() == [(topic, 0, 1)]


def test_base_uri_is_below_the_advertised_url(api: RestApi) -> None:
    headers = {"x-forwarded-host": "elsewhere", "forwarded": "host=elsewhere"}
    created = api.client.post("/consumers/g", json={"name": "c"}, headers=headers)
    expected = "https://kafka.example.com/rest/consumers/g/instances/c"
    assert created.json()["base_uri"] == expected
    api.client.delete("/consumers/g/instances/c")


def test_name_is_taken_over_by_who_creates_the_same_again(api: RestApi) -> None:
    path = f"/consumers/g{next_number()}"
    body = {"name": "c", "format": "json"}
    for wanted in (body, body, {"format": "json", "name": "c"}):
        assert api.client.post(path, json=wanted).status_code == 200
    assert rest_error(api.client.post(path, json={**body, "format": "text"})) == (409, 40902)


@pytest.mark.parametrize("media", ["application/json", "application/vnd.kafka.v2+json"])
def test_bodies_that_name_no_format_are_of_the_configured_one(api: RestApi, media: str) -> None:
    topic = api.topic()
    body = {"records": [{"value": {"a": 1}}]}
    sent = api.client.post(f"/topics/{topic}", json=body, headers={"content-type": media})
    assert sent.status_code == 200, sent.text
    page = api.client.get(f"/topics/{topic}/partitions/0/records")
    assert page.headers["content-type"] == "application/vnd.kafka.json.v2+json"
    assert [record["value"] for record in page.json()] == [{"a": 1}]


@pytest.mark.parametrize("path", ["/topics/t", "/topics/t/partitions/0", "/consumers/g"])
def test_bodies_above_the_limit_are_refused_in_json(api: RestApi, path: str) -> None:
    name = "t"
    assert api.client.post("/v1/topics", json={"name": name}).status_code in {201, 409}
    with RawConnection(api.broker.port) as connection:
        headers = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 4097\r\n"
        connection.send(f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode() + b"{")
        answer = connection.read_answer()
    assert answer.status == 413
    assert b'"error_code":413' in answer.body
    assert answer.headers["content-type"] == "application/vnd.kafka.v2+json"


@pytest.mark.parametrize(("switched", "on"), [("consumer", "producer"), ("producer", "consumer")])
def test_what_is_switched_off_says_so(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper, switched: str, on: str
) -> None:
    connect = f"{embedded_zookeeper.hosts}/rest-{switched}-off"
    settings = {f"rest.{switched}.enabled": "false"}
    with BrokerProcess(tmp_path, connect, settings=settings) as broker:
        topic = httpx.post(f"{broker.url}/v1/topics", json={"name": "t"})
        assert topic.status_code == 201
        answers = {
            "consumer": httpx.post(f"{broker.url}/consumers/g", json={}),
            "producer": httpx.post(
                f"{broker.url}/topics/t", json={"records": [{"value": "QQ=="}]}, headers=_PLAIN
            ),
        }
        assert answers[on].status_code == 200, answers[on].text
        assert rest_error(answers[switched]) == (503, 503)
        what = switched.capitalize()
        assert answers[switched].json()["message"] == (
            f"{what} is disabled in config. "
            f"To enable {switched} update rest.{switched}.enabled to true"
        )
        assert httpx.get(f"{broker.url}/topics").json() == ["t"]


def test_instance_that_nobody_asks_leaves_its_group_and_comes_back_with_the_next_request(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    connect = f"{embedded_zookeeper.hosts}/rest-idle"
    settings = {"consumer.instance.timeout.ms": "300"}
    with BrokerProcess(tmp_path, connect, settings=settings) as broker:
        api = RestApi(broker)
        topic = api.topic(1, 2, 3)
        reading = api.instance(
            {"format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": False}
        )
        reading.subscribe(topic)
        assert [record["value"] for record in reading.records("max_bytes=1")] == [1]
        place = {"topic": topic, "partition": 0, "offset": 0}
        assert reading.post("offsets", {"offsets": [place]}).status_code == 200

        def members() -> list[object]:
            found: list[object] = api.client.get(f"/v1/groups/{reading.group}").json()["members"]
            return found

        wait_until(lambda: members() == [], "it has left")
        assert [record["value"] for record in reading.records()] == [2, 3]
        assert reading.get("subscription").json()["topics"] == [topic]
        api.close()
