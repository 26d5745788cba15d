"""`kafkalite cluster status`: what it shows, and what it advises."""

import pytest

from kafkalite.cli.answers import (
    BrokerHealth,
    ClusterHealth,
    LogDirDescription,
    LogDirList,
    PartitionsInTrouble,
    ReplicaDescription,
)
from kafkalite.cli.cluster_status import Disk, advise, measure, render

_FINE = PartitionsInTrouble(0, [])
_DISK = Disk(5 << 20, 3 << 30, False, ())


def _health(
    *,
    controller: int = 0,
    dead: tuple[int, ...] = (),
    offline: PartitionsInTrouble = _FINE,
    under_replicated: PartitionsInTrouble = _FINE,
    under_min_isr: PartitionsInTrouble = _FINE,
) -> ClusterHealth:
    brokers = [
        BrokerHealth(n, None if n in dead else f"http://127.0.0.1:909{n}", 1, 2, 2) for n in (0, 1)
    ]
    return ClusterHealth(
        "the-id", controller, brokers, 1, 2, offline, under_replicated, under_min_isr, 1
    )


def _disks(health: ClusterHealth, disk: Disk | None = _DISK) -> dict[int, Disk | None]:
    return {broker.id: disk if broker.url else None for broker in health.brokers}


def test_the_screen_of_a_cluster_that_is_well() -> None:
    health = _health()
    assert render(health, _disks(health)) == (
        "Cluster:        the-id\n"
        "Controller:     broker 0\n"
        "Brokers:        2 of 2 alive\n"
        "Topics:         1\n"
        "Partitions:     2 (0 offline, 0 under-replicated, 0 below min.insync.replicas)\n"
        "Reassignments:  1 in progress\n"
        "\n"
        "BROKER  ADDRESS         STATE  LEADERS  REPLICAS  IN SYNC  DISK\n"
        "0       127.0.0.1:9090  alive  1        2         2        5.0 MiB used, 3.0 GiB free\n"
        "1       127.0.0.1:9091  alive  1        2         2        5.0 MiB used, 3.0 GiB free"
    )
    assert advise(health, _disks(health)) == []


def test_a_dead_broker_and_what_it_means() -> None:
    trouble = PartitionsInTrouble(12, ["t-0", "t-1"])
    health = _health(
        dead=(1,),
        offline=PartitionsInTrouble(1, ["t-0"]),
        under_replicated=trouble,
        under_min_isr=PartitionsInTrouble(2, ["t-0", "t-1"]),
    )
    assert (
        render(health, _disks(health))
        .splitlines()[-1]
        .startswith("1       -               DEAD   1        2         2        -")
    )
    assert advise(health, _disks(health)) == [
        "1 partition is offline: neither read nor written (t-0). Start broker 1 again.",
        "2 partitions are below min.insync.replicas: acks=all is refused there (t-0, t-1). More of "
        "their replicas have to be in sync.",
        "12 partitions are under-replicated (t-0, t-1, ..). Start broker 1 again, or move what it "
        "holds to others (kafka-reassign-partitions.sh).",
    ]


@pytest.mark.parametrize(
    ("health", "disk", "advice"),
    [
        (_health(controller=-1), _DISK, "There is no controller"),
        (_health(dead=(1,)), _DISK, "No answer from broker 1. Start broker 1 again"),
        (_health(under_replicated=PartitionsInTrouble(1, ["t-0"])), _DISK, "are catching up"),
        (_health(offline=PartitionsInTrouble(1, ["t-0"])), _DISK, "Look at the logs"),
        (_health(), None, "No answer from brokers 0, 1. Start brokers 0, 1 again"),
        (_health(), Disk(0, 0, False, ("/data/a",)), "Broker 0 cannot use /data/a."),
        (_health(), Disk(0, 999, True, ()), "Broker 0 has 999 B of disk left."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(health: ClusterHealth, disk: Disk | None, advice: str) -> None:
    assert any(advice in line for line in advise(health, _disks(health, disk)))


def test_directories_are_added_up() -> None:
    def directory(
        total: int, usable: int, *sizes: int, error: str | None = None
    ) -> LogDirDescription:
        replicas = [ReplicaDescription("t", n, size, 0, False) for n, size in enumerate(sizes)]
        return LogDirDescription(f"/{total}", error, total, usable, replicas)

    found = [
        directory(1000, 400, 10, 20),
        directory(900, 300, 5),
        directory(-1, -1, error="KAFKA_STORAGE_ERROR"),
    ]
    assert measure(LogDirList(0, found)) == Disk(35, 300, False, ("/-1",))
    assert measure(LogDirList(0, [directory(1000, 49)])).is_nearly_full
    assert measure(LogDirList(0, [])) == Disk(0, 0, False, ())
