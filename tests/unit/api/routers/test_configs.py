"""Settings of topics and brokers, where they come from, and changing them."""

import httpx

from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import refusal, run


def test_topic_shows_its_own_settings_and_all_when_asked() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "t", "config": {"retention.ms": "1000"}})
        own = (await client.get("/v1/topics/t/config")).json()["config"]
        assert [entry["name"] for entry in own] == ["retention.ms"]
        assert own[0]["value"] == "1000"
        assert own[0]["source"] == "DYNAMIC_TOPIC_CONFIG"
        assert own[0]["sensitive"] is False
        assert own[0]["synonyms"][0] == {
            "source": "DYNAMIC_TOPIC_CONFIG",
            "name": "retention.ms",
            "value": "1000",
        }
        assert own[0]["doc"]
        everything = (await client.get("/v1/topics/t/config?all=true")).json()["config"]
        names = [entry["name"] for entry in everything]
        assert names == sorted(names)
        assert {"retention.ms", "max.message.bytes", "segment.bytes"} <= set(names)

    run(scenario)


def test_settings_of_a_topic_that_does_not_exist() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/topics/t/config")
        assert refusal(answer)[:2] == (404, "UNKNOWN_TOPIC_OR_PARTITION")

    run(scenario)


def test_broker_setting_is_changed_and_taken_back() -> None:
    broker = FakeBroker()

    async def scenario(client: httpx.AsyncClient) -> None:
        path = "/v1/brokers/0/config"
        assert (await client.get(path)).json() == {"config": []}
        changed = await client.patch(path, json={"config": {"min.insync.replicas": 2}})
        assert [(e["name"], e["value"], e["source"]) for e in changed.json()["config"]] == [
            ("min.insync.replicas", "2", "DYNAMIC_BROKER_CONFIG")
        ]
        assert broker.settings.min_insync_replicas == 2
        everything = (await client.get(f"{path}?all=true")).json()["config"]
        assert {"broker.id", "min.insync.replicas"} <= {entry["name"] for entry in everything}
        back = await client.patch(path, json={"config": {"min.insync.replicas": None}})
        assert back.json() == {"config": []}
        assert broker.settings.min_insync_replicas == 1

    run(scenario, broker)


def test_setting_holds_for_all_brokers_when_changed_as_default() -> None:
    broker = FakeBroker(brokers=2)

    async def scenario(client: httpx.AsyncClient) -> None:
        path = "/v1/brokers/default/config"
        changed = await client.patch(path, json={"config": {"min.insync.replicas": "2"}})
        assert [(e["name"], e["source"]) for e in changed.json()["config"]] == [
            ("min.insync.replicas", "DYNAMIC_DEFAULT_BROKER_CONFIG")
        ]
        assert (await client.get(path)).json() == changed.json()
        assert broker.settings.min_insync_replicas == 2

    run(scenario, broker)


def test_settings_of_another_broker() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        path = "/v1/brokers/1/config"
        await client.patch(path, json={"config": {"min.insync.replicas": "2"}})
        own = (await client.get(path)).json()["config"]
        assert [(e["name"], e["source"]) for e in own] == [
            ("min.insync.replicas", "DYNAMIC_BROKER_CONFIG")
        ]
        answer = await client.get(f"{path}?all=true")
        assert refusal(answer)[:2] == (400, "INVALID_REQUEST")
        assert answer.json()["broker_url"] == "http://host1:9092"

    run(scenario, FakeBroker(brokers=2))


def test_setting_that_cannot_change_is_refused() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.patch("/v1/brokers/0/config", json={"config": {"broker.id": "1"}})
        assert refusal(answer) == (
            400,
            "INVALID_CONFIG",
            "Cannot update these configs dynamically: Set(broker.id)",
        )

    run(scenario)


def test_broker_that_does_not_live_has_no_settings() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for answer in (
            await client.get("/v1/brokers/7/config"),
            await client.patch("/v1/brokers/7/config", json={"config": {"num.x": None}}),
        ):
            assert refusal(answer)[:2] == (404, "PATH_NOT_FOUND")

    run(scenario)
