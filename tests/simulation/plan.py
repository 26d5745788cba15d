"""What a seed chooses before anything happens: the cluster, its settings, and its troubles."""

from dataclasses import dataclass
from random import Random
from typing import Final

PROCESSES: Final = ("kill", "kill", "stop", "terminate", "die_while_writing", "kill_all", "topple")
MACHINES: Final = ("power", "power", "lose_power_while_writing", "power_all")
NETWORK: Final = ("isolate", "isolate", "cut", "slow_network")
ZOOKEEPER: Final = (
    "leave_zookeeper", "drop_zookeeper", "expire", "lose_quorum", "slow_zookeeper",
)  # fmt: skip
DISKS: Final = ("slow_disk", "fail_disk", "fill_disk")
DAMAGE: Final = ("flip", "flip")
PEOPLE: Final = ("administer", "administer", "jump")
KINDS_OF_TOPICS: Final = ("again", "short", "risky")

SCRUB_MS: Final = 5_000


@dataclass(frozen=True)
class Plan:
    """The world of one seed."""

    brokers: int
    replication_factor: int
    topics: int
    other_topics: tuple[str, ...]
    """Kinds of topics of which less is promised, as `Administrator.create_topic` has them."""
    log_directories: int
    settings: dict[str, str]
    topic_config: dict[str, str]
    faults: tuple[str, ...]
    duration_s: float
    pause_s: float
    """Between two faults, on average."""
    at_most: int
    """So many brokers are in trouble at once."""
    producers: int
    consumers: int
    restarts_at_end: bool
    """Whether all brokers are killed once more before everything is read back."""
    idempotent_producers: int
    client_producers: int

    @property
    def has_damage(self) -> bool:
        """Whether bits flip on a disk."""
        return "flip" in self.faults

    @staticmethod
    def of(random: Random) -> "Plan":
        """Choose."""
        brokers = random.choice((3, 3, 3, 4, 5))
        factor = min(brokers, random.choice((1, 2, 3, 3, 3, 4)))
        policy = random.choice(("commit", "commit", "commit", "os"))
        kinds = [PROCESSES, NETWORK, ZOOKEEPER, PEOPLE]
        if policy == "commit":
            kinds += [MACHINES, DISKS]
        if factor > 1:
            kinds.append(DAMAGE)
        chosen = random.sample(kinds, random.randint(1, len(kinds)))
        return Plan(
            brokers=brokers,
            replication_factor=factor,
            topics=random.randint(1, 2),
            other_topics=tuple(random.sample(KINDS_OF_TOPICS, random.choice((0, 1, 1, 2)))),
            log_directories=random.choice((1, 1, 2)),
            settings={
                "log.flush.policy": policy,
                "log.segment.bytes": random.choice(("600", "4000", "100000")),
                "log.index.interval.bytes": "200",
                "log.scrub.interval.ms": str(SCRUB_MS),
                "replica.lag.time.max.ms": random.choice(("1000", "3000", "10000")),
                "zookeeper.session.timeout.ms": random.choice(("2000", "6000")),
                "replica.high.watermark.checkpoint.interval.ms": random.choice(("500", "5000")),
                "log.flush.offset.checkpoint.interval.ms": random.choice(("1000", "60000")),
                "log.retention.check.interval.ms": random.choice(("500", "3000")),
            },
            topic_config={
                "min.insync.replicas": str(random.choice([1, min(2, factor)])),
            },
            faults=tuple(kind for group in chosen for kind in group),
            duration_s=random.choice((10.0, 30.0, 30.0, 60.0)),
            pause_s=random.choice((0.3, 1.0, 3.0)),
            at_most=random.choice((1, 1, 2, brokers)),
            producers=random.randint(1, 3),
            consumers=random.randint(1, 2),
            restarts_at_end=random.random() < 0.3,
            idempotent_producers=random.randint(0, 2),
            client_producers=random.randint(0, 1),
        )
