"""INV-1 and INV-2 while members of the ZooKeeper ensemble die: brokers hardly notice."""

from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.ensemble import ZooKeeperEnsemble
from tests.support.load import Load
from tests.support.topic import BrokerClient, Topic

pytestmark = [pytest.mark.slow, pytest.mark.zookeeper]

_PARTITIONS = 3
_RECORDS = 100
_SETTINGS = {
    "zookeeper.session.timeout.ms": "6000",
    "replica.lag.time.max.ms": "3000",
    "min.insync.replicas": "2",
}


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_member_of_the_ensemble_dies_and_comes_back(
    tmp_path: Path, ensemble: ZooKeeperEnsemble, role: str
) -> None:
    with Cluster(tmp_path, ensemble.hosts, settings=_SETTINGS) as cluster:
        with BrokerClient(cluster[0].url) as client:
            name = client.make_topic(_PARTITIONS, replication_factor=3).name
        cluster.wait_until_in_sync(name)
        with Load([broker.address for broker in cluster], name, partitions=_PARTITIONS) as load:
            for _ in range(3):
                load.wait_until_acknowledged(_RECORDS)
                victim = ensemble.leader if role == "leader" else ensemble.follower
                victim.kill()
                load.wait_until_acknowledged(_RECORDS)
                # A broker dies while a member is missing: two of three still decide.
                cluster[1].kill()
                load.wait_until_acknowledged(_RECORDS)
                victim.start()
                cluster[1].start()
                cluster.wait_until_in_sync(name)
        for broker in cluster:
            with BrokerClient(broker.url) as client:
                load.ledger.check(Topic(client, name), range(_PARTITIONS))
    for broker in cluster:
        assert "Traceback" not in broker.output
