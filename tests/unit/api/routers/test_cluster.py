"""The cluster, its brokers, and the probes."""

from importlib.metadata import version

import httpx

from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import refusal, run


def test_cluster_and_its_brokers() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "t"})  # done by a controller
        described = (await client.get("/v1/cluster")).json()
        brokers = described.pop("brokers")
        assert described == {
            "cluster_id": "fake-cluster",
            "controller": 0,
            "broker_id": 0,
            "version": version("kafkalite"),
        }
        assert (await client.get("/v1/brokers")).json() == {"brokers": brokers}
        assert [broker["id"] for broker in brokers] == [0, 1]
        assert brokers[1] == {
            "id": 1,
            "host": "host1",
            "port": 9092,
            "url": "http://host1:9092",
            "rack": None,
            "epoch": brokers[1]["epoch"],
            "controller": False,
        }
        assert brokers[0]["controller"] is True
        assert (await client.get("/v1/brokers/1")).json() == brokers[1]

    run(scenario, FakeBroker(brokers=2))


def test_unknown_broker() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/brokers/7")
        assert refusal(answer) == (404, "PATH_NOT_FOUND", "No live broker has the id 7.")

    run(scenario)


def test_broker_that_takes_requests_is_ready() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})

    run(scenario)


def test_broker_that_stops_lives_but_is_not_ready() -> None:
    broker = FakeBroker()
    broker.state = "stopping"

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "reasons": ["the broker is stopping"]}

    run(scenario, broker)
