"""ZooKeeper goes away and comes back, sessions expire: everything heals, nothing is lost."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.load import Load
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_SESSION_TIMEOUT_MS = 1_500
_PARTITIONS = 2
_RECORDS = 100

_tries = itertools.count()


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[EmbeddedZooKeeper]:
    """One that the test may stop."""
    with EmbeddedZooKeeper(tmp_path / "zookeeper") as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, zookeeper: EmbeddedZooKeeper) -> Iterator[BrokerProcess]:
    """A broker whose session does not last."""
    settings = {"zookeeper.session.timeout.ms": str(_SESSION_TIMEOUT_MS)}
    with BrokerProcess(tmp_path / "broker", zookeeper.hosts, settings=settings) as running:
        yield running
    assert "Traceback" not in running.output


@pytest.fixture
def client(own: BrokerProcess) -> Iterator[BrokerClient]:
    with BrokerClient(own.url) as connected:
        yield connected


@pytest.fixture
def topic(client: BrokerClient) -> Topic:
    return client.make_topic(partitions=_PARTITIONS)


def _leader_epoch(topic: Topic) -> int:
    epoch: int = topic.offsets()["leader_epoch"]
    return epoch


def _try_to_send(topic: Topic) -> httpx.Response:
    value = f"tried {next(_tries)}"  # two of them may well be stored, but none twice
    return topic.post(f'{{"records":[{{"value":"{value}"}}]}}', partition=0)


def test_produce_goes_on_when_zookeeper_is_back_within_the_session(
    own: BrokerProcess, zookeeper: EmbeddedZooKeeper, topic: Topic
) -> None:
    epoch = _leader_epoch(topic)
    with Load(own.port, topic.name, partitions=_PARTITIONS) as load:
        load.wait_until_acknowledged(_RECORDS)
        zookeeper.kill()
        zookeeper.start()
        load.wait_until_acknowledged(_RECORDS)
        wait_until(own.is_ready, "the broker is ready")
    load.ledger.check(topic, range(_PARTITIONS))
    assert _leader_epoch(topic) >= epoch


def test_broker_steps_down_when_zookeeper_stays_away_and_heals_when_it_is_back(
    own: BrokerProcess, zookeeper: EmbeddedZooKeeper, topic: Topic
) -> None:
    epoch = _leader_epoch(topic)
    with Load(own.port, topic.name, partitions=_PARTITIONS) as load:
        load.wait_until_acknowledged(_RECORDS)
        zookeeper.stop()
        wait_until(lambda: not own.is_ready(), "the broker says that it is not ready")
        # Its session may have ended by now, and another broker might lead: nothing is taken.
        wait_until(lambda: _try_to_send(topic).status_code != 200, "it leads no more")
        refused = _try_to_send(topic)
        assert refused.status_code == 503
        assert refused.json()["retriable"]
        assert refused.headers["retry-after"]
        assert httpx.get(f"{own.url}/healthz").status_code == 200
        zookeeper.start()
        load.wait_until_acknowledged(_RECORDS)
        wait_until(own.is_ready, "the broker is ready")
    load.ledger.check(topic, range(_PARTITIONS))
    # ZooKeeper restarts the time of the sessions it knows: ours may have survived it.
    assert _leader_epoch(topic) >= epoch


def test_topics_can_be_made_again_when_zookeeper_is_back(
    own: BrokerProcess, zookeeper: EmbeddedZooKeeper, client: BrokerClient
) -> None:
    zookeeper.stop()
    wait_until(lambda: not own.is_ready(), "the broker says that it is not ready")
    refused = client.http.post("/v1/topics", json={"name": "late", "timeout_ms": 500})
    assert refused.status_code in {503, 504}
    assert refused.json()["error"] != "UNKNOWN_SERVER_ERROR"
    zookeeper.start()
    wait_until(own.is_ready, "the broker is ready")
    topic = client.make_topic()
    topic.send({"value": 1})
    assert topic.values() == [1]


def test_paused_broker_registers_and_leads_anew_when_its_session_has_expired(
    own: BrokerProcess, zookeeper: EmbeddedZooKeeper, topic: Topic, tmp_path: Path
) -> None:
    epoch = _leader_epoch(topic)
    with (
        BrokerProcess(tmp_path / "witness", zookeeper.hosts, broker_id=1) as witness,
        Load(own.port, topic.name, partitions=_PARTITIONS) as load,
    ):
        load.wait_until_acknowledged(_RECORDS)
        own.pause()
        brokers = f"{witness.url}/v1/brokers"
        wait_until(
            lambda: [each["id"] for each in httpx.get(brokers).json()["brokers"]] == [1],
            "its session has expired",
        )
        own.resume()
        load.wait_until_acknowledged(_RECORDS)
        wait_until(own.is_ready, "the broker is ready")
        wait_until(
            lambda: [each["id"] for each in httpx.get(brokers).json()["brokers"]] == [0, 1],
            "it is registered",
        )
        load.ledger.check(topic, range(_PARTITIONS))
    assert _leader_epoch(topic) > epoch


def test_broker_killed_and_started_while_zookeeper_is_away_waits_for_it(
    own: BrokerProcess, zookeeper: EmbeddedZooKeeper, topic: Topic
) -> None:
    topic.send(*({"value": number} for number in range(10)))
    zookeeper.stop()
    own.kill()
    own.launch()
    zookeeper.start()
    wait_until(own.is_ready, "the broker is ready")
    assert topic.values() == list(range(10))
    topic.send({"value": 10})
