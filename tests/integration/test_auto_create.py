"""Topics that come into being because someone produces to them."""

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from kafkalite.model.record import Record
from kafkalite.wire.records import encode_batch
from tests.support.broker import BrokerProcess
from tests.support.topic import BrokerClient, Topic
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow


def test_first_record_makes_the_topic(client: BrokerClient) -> None:
    topic = Topic(client, "auto-first")
    assert topic.send({"value": 1}, partition=None) == [{"partition": 0, "offset": 0}]
    assert topic.values() == [1]


def test_first_batch_makes_the_topic(client: BrokerClient) -> None:
    batch = encode_batch([Record(b"1")], now_ms=1)
    (result,) = client.produce([("auto-native", 0, batch)])
    assert (result.error, result.base_offset) == ("", 0)


def test_topic_is_made_once_when_many_produce_to_it_at_once(broker: BrokerProcess) -> None:
    answers: list[Any] = []

    def produce(number: int) -> None:
        body = {"records": [{"value": number}]}
        url = f"{broker.url}/v1/topics/auto-rush/records"
        answers.append(httpx.post(url, json=body, timeout=30))

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.status_code for each in answers] == [200] * 20
    with BrokerClient(broker.url) as client:
        assert sorted(Topic(client, "auto-rush").values()) == list(range(20))


def test_reading_makes_no_topic(client: BrokerClient) -> None:
    topic = Topic(client, "auto-never")
    assert topic.get().json()["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert topic.fetch().error == "UNKNOWN_TOPIC_OR_PARTITION"
    assert client.http.get(topic.path).status_code == 404


def test_record_for_a_partition_that_the_new_topic_lacks_is_refused(client: BrokerClient) -> None:
    answer = Topic(client, "auto-narrow").post(b'{"records":[{"value":1}]}', partition=5)
    assert answer.json()["error"] == "UNKNOWN_TOPIC_OR_PARTITION"


@pytest.mark.parametrize("name", ["a b", "é", ".", "x" * 250])
def test_topic_of_an_illegal_name_is_not_made(client: BrokerClient, name: str) -> None:
    answer = client.http.post(
        f"/v1/topics/{name.replace('.', '%2e')}/records", json={"records": [{"value": 1}]}
    )
    assert answer.status_code in {400, 404}
    assert answer.json()["error"] in {"INVALID_TOPIC_EXCEPTION", "PATH_NOT_FOUND"}


def test_settings_decide_whether_and_how_topics_are_made(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    connect = f"{embedded_zookeeper.hosts}/auto-create"
    settings = {"num.partitions": "3", "auto.create.topics.enable": "false"}
    with (
        BrokerProcess(tmp_path, connect, settings=settings) as strict,
        BrokerClient(strict.url) as client,
    ):
        topic = Topic(client, "wanted")
        refused = topic.post(b'{"records":[{"value":1}]}')
        assert refused.json()["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
        assert "auto.create.topics.enable" in refused.json()["detail"]
        strict.stop()
    settings = {"num.partitions": "3"}
    with (
        BrokerProcess(tmp_path, connect, settings=settings) as broker,
        BrokerClient(broker.url) as client,
    ):
        topic = Topic(client, "wanted")
        topic.send({"value": 1}, partition=2)
        assert client.http.get(topic.path).json()["partition_count"] == 3
