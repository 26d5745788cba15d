"""Topics over HTTP, with the real TopicAdmin and controller on a store in memory."""

import asyncio

import httpx

from kafkalite.model.ids import TopicPartition
from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import refusal, run


def test_life_of_a_topic() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        body = {"name": "flights", "partitions": 2, "config": {"retention.ms": "1000"}}
        created = await client.post("/v1/topics", json=body)
        assert created.status_code == 201
        assert created.headers["location"] == "/v1/topics/flights"
        topic_id = created.json()["topic_id"]
        assert created.json() == {
            "name": "flights",
            "topic_id": topic_id,
            "partition_count": 2,
            "replication_factor": 1,
            "config": {"retention.ms": "1000"},
            "partitions": [
                {"partition": n, "leader": 0, "leader_epoch": 0, "replicas": [0], "isr": [0]}
                for n in (0, 1)
            ],
        }
        assert (await client.get("/v1/topics/flights")).json() == created.json()
        listed = (await client.get("/v1/topics")).json()["topics"]
        assert listed == [{k: v for k, v in created.json().items() if k != "partitions"}]

        changes = {"partition_count": 3, "config": {"retention.ms": None, "segment.bytes": 4096}}
        altered = await client.patch("/v1/topics/flights", json=changes)
        assert altered.status_code == 200
        assert altered.json()["config"] == {"segment.bytes": "4096"}
        assert [each["leader"] for each in altered.json()["partitions"]] == [0, 0, 0]

        deleted = await client.delete("/v1/topics/flights")
        assert (deleted.status_code, deleted.content) == (204, b"")
        gone = await client.get("/v1/topics/flights")
        assert refusal(gone) == (
            404,
            "UNKNOWN_TOPIC_OR_PARTITION",
            "Topic 'flights' does not exist.",
        )

    run(scenario)


def test_topics_are_listed_by_name() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for name in ("b", "c", "a"):
            await client.post("/v1/topics", json={"name": name})
        listed = (await client.get("/v1/topics")).json()["topics"]
        assert [topic["name"] for topic in listed] == ["a", "b", "c"]

    run(scenario)


def test_replicas_can_be_assigned_by_hand() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        body = {"name": "t", "replica_assignment": [[0, 1], [1, 0]]}
        created = await client.post("/v1/topics", json=body)
        assert [each["replicas"] for each in created.json()["partitions"]] == [[0, 1], [1, 0]]
        more = {"partition_count": 3, "replica_assignment": [[1, 0]]}
        altered = await client.patch("/v1/topics/t", json=more)
        assert altered.json()["partitions"][2]["replicas"] == [1, 0]

    run(scenario, FakeBroker(brokers=2))


def test_nothing_is_created_when_only_asked_whether_it_could() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        body = {"name": "t", "partitions": 2, "validate_only": True}
        answer = await client.post("/v1/topics", json=body)
        assert answer.status_code == 200
        assert "location" not in answer.headers
        assert [each["leader"] for each in answer.json()["partitions"]] == [-1, -1]
        assert (await client.get("/v1/topics")).json() == {"topics": []}

    run(scenario)


def test_refusals_are_in_kafkas_words() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "t"})

        async def create(**body: object) -> tuple[int, str, str]:
            return refusal(await client.post("/v1/topics", json=body))

        assert await create(name="t") == (
            409,
            "TOPIC_ALREADY_EXISTS",
            "Topic 't' already exists.",
        )
        assert await create(name="u", partitions=0) == (
            400,
            "INVALID_PARTITIONS",
            "The partitions must be greater than 0",
        )
        assert await create(name="u", replication_factor=3) == (
            400,
            "INVALID_REPLICATION_FACTOR",
            "Replication factor: 3 larger than available brokers: 1.",
        )
        assert (await create(name="bad name"))[:2] == (400, "INVALID_TOPIC_EXCEPTION")
        not_text = await client.post(
            "/v1/topics",
            content=rb'{"name":"\ud800"}',
            headers={"content-type": "application/json"},
        )
        assert refusal(not_text)[:2] == (400, "INVALID_TOPIC_EXCEPTION")
        assert (await create(name="u", config={"bogus": "1"}))[:2] == (400, "INVALID_CONFIG")
        assert refusal(await client.patch("/v1/topics/t", json={"partition_count": 1}))[:2] == (
            400,
            "INVALID_PARTITIONS",
        )
        missing = await client.delete("/v1/topics/missing")
        assert refusal(missing)[:2] == (404, "UNKNOWN_TOPIC_OR_PARTITION")

    run(scenario)


def test_deletion_is_refused_when_it_is_disabled() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "t"})
        assert refusal(await client.delete("/v1/topics/t"))[:2] == (
            403,
            "TOPIC_DELETION_DISABLED",
        )

    run(scenario, FakeBroker(settings={"delete_topic_enable": False}))


def test_store_that_cannot_be_reached_is_told_as_a_timeout() -> None:
    broker = FakeBroker()

    async def scenario(client: httpx.AsyncClient) -> None:
        broker.metadata.is_available = False
        answer = await client.post("/v1/topics", json={"name": "t"})
        assert refusal(answer)[:2] == (504, "REQUEST_TIMED_OUT")

    run(scenario, broker)


def test_partition_without_state_has_no_leader() -> None:
    broker = FakeBroker()

    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "t"})
        del broker.metadata.states[TopicPartition("t", 0)]
        broker.metadata.publish()
        described = (await client.get("/v1/topics/t")).json()
        assert described["partitions"] == [
            {"partition": 0, "leader": -1, "leader_epoch": -1, "replicas": [0], "isr": []}
        ]

    run(scenario, broker)


def test_topic_is_answered_when_its_logs_are_made() -> None:
    broker = FakeBroker()
    broker.partitions.settled.clear()

    async def scenario(client: httpx.AsyncClient) -> None:
        creation = asyncio.create_task(client.post("/v1/topics", json={"name": "t"}))
        assert await broker.view.wait_until(lambda: bool(broker.view.states), 5)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not creation.done()
        broker.partitions.settled.set()
        assert (await creation).status_code == 201

    run(scenario, broker)


def test_topic_is_answered_all_the_same_when_its_logs_take_long() -> None:
    broker = FakeBroker()
    broker.partitions.settled.clear()

    async def scenario(client: httpx.AsyncClient) -> None:
        created = await client.post("/v1/topics", json={"name": "t", "timeout_ms": 20})
        assert created.status_code == 201
        altered = {"partition_count": 2, "timeout_ms": 20}
        assert (await client.patch("/v1/topics/t", json=altered)).status_code == 200

    run(scenario, broker)
