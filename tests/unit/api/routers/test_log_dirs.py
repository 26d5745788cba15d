"""Log directories over HTTP, one's own and those of others."""

import httpx

from kafkalite.broker.log_dirs import LogDirState, ReplicaSize
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.errors import PeerRefusedError, PeerTimeoutError
from kafkalite.transport.peer_reply import PeerReply
from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import refusal, run


def _broker() -> FakeBroker:
    broker = FakeBroker(brokers=2)
    broker.log_dirs.states = [
        LogDirState(
            "/data/a",
            None,
            1000,
            400,
            [
                ReplicaSize(TopicPartition("t", 0), 17, 0),
                ReplicaSize(TopicPartition("u", 3), 18, 2),
            ],
        ),
        LogDirState("/data/b", "Input/output error", -1, -1, []),
    ]
    return broker


def test_own_directories_with_sizes_and_failures() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = (await client.get("/v1/log-dirs?topic=u")).json()
        assert answer["broker"] == 0
        good, bad = answer["log_dirs"]
        assert good == {
            "path": "/data/a",
            "error": None,
            "message": "",
            "total_bytes": 1000,
            "usable_bytes": 400,
            "partitions": [
                {"topic": "u", "partition": 3, "size": 18, "offset_lag": 2, "is_future": False}
            ],
        }
        assert (bad["error"], bad["message"]) == ("KAFKA_STORAGE_ERROR", "Input/output error")
        everything = (await client.get("/v1/brokers/0/log-dirs")).json()
        assert len(everything["log_dirs"][0]["partitions"]) == 2

    run(scenario, _broker())


def test_another_brokers_directories_are_asked_of_it() -> None:
    broker = _broker()
    broker.peers.reply = PeerReply(200, {"content-type": "application/json"}, b'{"broker":1}')

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/brokers/1/log-dirs?topic=a%20b&topic=c%26")
        assert answer.json() == {"broker": 1}
        await client.get("/v1/brokers/1/log-dirs")
        assert broker.peers.asked == [
            (1, "GET", "/v1/log-dirs?topic=a%20b&topic=c%26"),
            (1, "GET", "/v1/log-dirs"),
        ]
        assert refusal(await client.get("/v1/brokers/7/log-dirs"))[:2] == (404, "PATH_NOT_FOUND")

    run(scenario, broker)


def test_a_broker_that_cannot_be_asked_is_an_error_that_names_it() -> None:
    broker = _broker()

    async def scenario(client: httpx.AsyncClient) -> None:
        broker.peers.reply = PeerRefusedError("nobody listens")
        assert refusal(await client.get("/v1/brokers/1/log-dirs")) == (
            503,
            "BROKER_NOT_AVAILABLE",
            "Broker 1 cannot be asked: nobody listens",
        )
        broker.peers.reply = PeerTimeoutError("too late")
        assert refusal(await client.get("/v1/brokers/1/log-dirs"))[:2] == (502, "NETWORK_EXCEPTION")

    run(scenario, broker)
