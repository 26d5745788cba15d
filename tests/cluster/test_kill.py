"""INV-1, INV-2 and INV-4 on a real broker that is killed again and again under load."""

from pathlib import Path

import pytest

from tests.support.broker import BrokerProcess
from tests.support.load import Load
from tests.support.topic import BrokerClient
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_KILLS = 50
_PARTITIONS = 3
_RECORDS_BETWEEN_KILLS = 100


_SETTINGS = {
    # Longer than `start` waits: only a broker that takes its old session up again, and closes it,
    # is ready before it has expired.
    "zookeeper.session.timeout.ms": "60000",
    "log.segment.bytes": "65536",
    "replica.high.watermark.checkpoint.interval.ms": "200",
}


def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_fifty_times(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    broker = BrokerProcess(
        tmp_path, f"{embedded_zookeeper.hosts}/killed-broker", settings=_SETTINGS
    )
    with broker, BrokerClient(broker.url) as client:
        topic = client.make_topic(partitions=_PARTITIONS)
        with Load(broker.port, topic.name, partitions=_PARTITIONS) as load:
            for _ in range(_KILLS):
                load.wait_until_acknowledged(_RECORDS_BETWEEN_KILLS)
                broker.kill()
                broker.start()
                load.ledger.check(topic, range(_PARTITIONS))
                load.check_alive()
        load.ledger.check(topic, range(_PARTITIONS))
    assert "Traceback" not in broker.output


def test_nothing_acknowledged_is_lost_when_the_broker_is_stopped_under_load(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    broker = BrokerProcess(
        tmp_path, f"{embedded_zookeeper.hosts}/stopped-broker", settings=_SETTINGS
    )
    with broker, BrokerClient(broker.url) as client:
        topic = client.make_topic(partitions=_PARTITIONS)
        with Load(broker.port, topic.name, partitions=_PARTITIONS) as load:
            for _ in range(5):
                load.wait_until_acknowledged(_RECORDS_BETWEEN_KILLS)
                assert broker.stop() == 0
                assert (broker.log_dir / ".kafka_cleanshutdown").exists()
                broker.start()
                load.ledger.check(topic, range(_PARTITIONS))
        load.ledger.check(topic, range(_PARTITIONS))
    assert "Traceback" not in broker.output
