"""`kafkalite cluster status`: what it shows, and what it advises."""

import pytest

from kafkalite.cli.cluster_status import Disk, add_arguments, advise, measure, render, run
from kafkalite.cli.command_line import CommandParser
from kafkalite.wire.admin_messages import (
    BrokerHealth,
    ClusterHealth,
    LogDirDescription,
    LogDirList,
    PartitionsInTrouble,
    ReplicaDescription,
)

_FINE = PartitionsInTrouble(0, [])
_DISK = Disk(5 << 20, 3 << 30, False, ())


def _health(
    *,
    controller: int = 0,
    dead: tuple[int, ...] = (),
    seen: bool = True,
    offline: PartitionsInTrouble = _FINE,
    under_replicated: PartitionsInTrouble = _FINE,
    under_min_isr: PartitionsInTrouble = _FINE,
) -> ClusterHealth:
    urls = [f"http://127.0.0.1:909{number}" for number in (0, 1)]
    brokers = [
        BrokerHealth(n, None if n in dead else url, 1, 2, 2, last_url=url if seen else None)
        for n, url in enumerate(urls)
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
        .startswith("1       127.0.0.1:9091  DEAD   1        2         2        -")
    )
    assert advise(health, _disks(health)) == [
        "1 partition is offline: neither read nor written (t-0). Start broker 1 again: on "
        "127.0.0.1, kafka-server-start.sh with its server.properties.",
        "2 partitions are below min.insync.replicas: acks=all is refused there (t-0, t-1). More of "
        "their replicas have to be in sync.",
        "12 partitions are under-replicated (t-0, t-1, ..). Start broker 1 again: on 127.0.0.1, "
        "kafka-server-start.sh with its server.properties; or move what it holds to others "
        "(kafka-reassign-partitions.sh).",
    ]


def test_a_dead_broker_that_nobody_has_seen_has_no_address() -> None:
    health = _health(dead=(1,), seen=False)
    last = render(health, _disks(health)).splitlines()[-1]
    assert last.split() == ["1", "-", "DEAD", "1", "2", "2", "-"]


@pytest.mark.parametrize("words", [[], ["stats"]])
def test_another_action_is_refused_in_words(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parser = CommandParser(prog="kafkalite cluster")
    add_arguments(parser)
    with pytest.raises(SystemExit) as ended:
        run(parser.parse(words))
    said = "'stats' is no action" if words else "Name an action"
    assert capsys.readouterr().err == (
        f"{said} of kafkalite cluster; there is one: kafkalite cluster status\n"
        "'kafkalite cluster --help' describes the options.\n"
    )
    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("health", "disk", "advice"),
    [
        (_health(controller=-1), _DISK, "There is no controller"),
        (_health(dead=(1,)), _DISK, "No answer from broker 1. Start broker 1 again"),
        (_health(under_replicated=PartitionsInTrouble(1, ["t-0"])), _DISK, "are catching up"),
        (_health(offline=PartitionsInTrouble(1, ["t-0"])), _DISK, "Look at the logs"),
        (
            _health(),
            None,
            "No answer from brokers 0, 1. Start brokers 0, 1 again: on their machines, ",
        ),
        (
            _health(dead=(1,), seen=False),
            _DISK,
            "Start broker 1 again: on its machine, kafka-server",
        ),
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
        return LogDirDescription(f"/{total}", error, "", total, usable, replicas)

    found = [
        directory(1000, 400, 10, 20),
        directory(900, 300, 5),
        directory(-1, -1, error="KAFKA_STORAGE_ERROR"),
    ]
    assert measure(LogDirList(0, found)) == Disk(35, 300, False, ("/-1",))
    assert measure(LogDirList(0, [directory(1000, 49)])).is_nearly_full
    assert measure(LogDirList(0, [])) == Disk(0, 0, False, ())
