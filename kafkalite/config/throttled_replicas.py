"""Which replicas of a topic are replicated at a bounded rate: `0:1,1:2`, or `*` for all."""

import re
from dataclasses import dataclass
from typing import Final

_PAIR: Final = re.compile(r"(\d{1,10}):(\d{1,10})", re.ASCII)
_ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class ThrottledReplicas:
    """Pairs of a partition and a broker; prints as it is written in a configuration."""

    pairs: frozenset[tuple[int, int]] = frozenset()
    includes_all: bool = False

    def covers(self, partition: int, broker_id: int) -> bool:
        """Whether the replica of `partition` on a broker is one of them."""
        return self.includes_all or (partition, broker_id) in self.pairs

    def __str__(self) -> str:
        if self.includes_all:
            return _ALL
        return ",".join(f"{partition}:{broker}" for partition, broker in sorted(self.pairs))


NO_REPLICAS: Final = ThrottledReplicas()


def parse_throttled_replicas(value: object) -> object:
    """The replicas that a text names; raises ValueError. What is no text is given back."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text == _ALL:
        return ThrottledReplicas(includes_all=True)
    pairs = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PAIR.fullmatch(part)
        if match is None:
            raise ValueError(
                f"{part!r} is no replica: write partition:broker, separated by commas, or *"
            )
        pairs.add((int(match[1]), int(match[2])))
    return ThrottledReplicas(frozenset(pairs))
