"""What a seed chooses for a simulation of consumer groups."""

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulation.plan import NETWORK, PROCESSES, ZOOKEEPER

MEMBERS: Final = ("kill", "pause", "pause", "leave", "join", "replace", "change_mind", "cut")
TOPICS: Final = ("grow", "create", "delete")
COORDINATORS: Final = ("refuse", "refuse")
_QUIET: Final = (*COORDINATORS, "pause")
"""Little is written, so that a coordinator of the past hears nothing of the present one."""
_TROUBLES: Final = (MEMBERS + TOPICS + COORDINATORS, MEMBERS + TOPICS, _QUIET)

_BROKER_FAULTS: Final = (
    tuple(each for each in PROCESSES if "writing" not in each),
    NETWORK,
    ZOOKEEPER,
)


@dataclass(frozen=True)
class GroupPlan:
    """The world of one seed."""

    brokers: int
    groups: int
    members: int
    """Of each group."""
    session_timeout_ms: int
    settings: dict[str, str]
    faults: tuple[str, ...]
    """Of brokers."""
    troubles: tuple[str, ...]
    """Of members and their topics."""
    duration_s: float
    pause_s: float
    """Between two faults of brokers, on average."""
    member_pause_s: float
    """Between two troubles of members, on average."""
    at_most: int
    """So many brokers are in trouble at once."""
    is_idle: bool
    """Whether there is nothing to consume, hence nothing to commit."""

    @staticmethod
    def of(random: Random) -> "GroupPlan":
        """Choose."""
        troubles = random.choice(_TROUBLES)
        is_quiet = troubles is _QUIET
        most = 1 if is_quiet else len(_BROKER_FAULTS)
        chosen = random.sample(_BROKER_FAULTS, random.randint(0, most))
        return GroupPlan(
            brokers=random.choice((2, 3, 3)),
            groups=random.randint(1, 3),
            members=random.randint(2, 4),
            session_timeout_ms=random.choice((2_000, 4_000, 8_000)),
            settings={
                "group.min.session.timeout.ms": "1000",
                "log.flush.policy": "os",
                "zookeeper.session.timeout.ms": random.choice(("2000", "6000")),
            },
            faults=tuple(kind for group in chosen for kind in group),
            troubles=troubles,
            duration_s=random.choice((15.0, 30.0, 60.0)),
            pause_s=random.choice((0.5, 1.0, 3.0)),
            member_pause_s=random.choice((0.5, 2.0, 5.0)),
            at_most=random.choice((1, 1, 2)),
            is_idle=random.random() < (0.75 if is_quiet else 0.1),
        )
