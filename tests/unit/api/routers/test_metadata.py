"""POST /v1/metadata."""

import httpx
import msgspec

from kafkalite.wire.metadata_messages import MetadataResponse, PartitionLeader
from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import run


async def _ask(client: httpx.AsyncClient, body: object) -> MetadataResponse:
    answer = await client.post("/v1/metadata", json=body)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=MetadataResponse)


def test_brokers_and_leaders_come_in_one_answer() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for name in ("b", "a"):
            await client.post(
                "/v1/topics", json={"name": name, "replica_assignment": [[0, 1], [1, 0]]}
            )
        found = await _ask(client, {"topics": ["b"]})
        assert found.cluster_id == "fake-cluster"
        assert found.controller == 0
        assert [(each.id, each.url) for each in found.brokers] == [
            (0, "http://host0:9092"),
            (1, "http://host1:9092"),
        ]
        (topic,) = found.topics
        described = (await client.get("/v1/topics/b")).json()
        assert (topic.name, topic.topic_id) == ("b", described["topic_id"])
        assert topic.partitions == [
            PartitionLeader(each["leader"], each["leader_epoch"])
            for each in described["partitions"]
        ]
        assert [each.leader for each in topic.partitions] == [0, 1]

    run(scenario, FakeBroker(brokers=2))


def test_all_topics_come_when_none_is_named() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for name in ("b", "a"):
            await client.post("/v1/topics", json={"name": name})
        assert [each.name for each in (await _ask(client, {})).topics] == ["a", "b"]
        assert (await _ask(client, {"topics": []})).topics == []

    run(scenario)


def test_each_topic_says_what_is_wrong_with_it() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "known"})
        found = await _ask(client, {"topics": ["nope", "a/b", "known", "nope"]})
        assert [(each.name, each.error) for each in found.topics] == [
            ("nope", "UNKNOWN_TOPIC_OR_PARTITION"),
            ("a/b", "INVALID_TOPIC_EXCEPTION"),
            ("known", ""),
        ]
        assert found.topics[0].error_code == 3
        assert found.topics[0].message == "Topic 'nope' does not exist."

    run(scenario)
