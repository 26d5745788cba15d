"""The paths of REST Proxy's version 3, also where Confluent's own server has them: `/kafka/v3`."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from kafkalite.api.remembered import remembered

_CACHED: Final = 4096
_MAX_DIGITS: Final = 10
_ROOTS: Final = ("/v3", "/kafka/v3")

NOTHING: Final = ""
CLUSTERS: Final = "/v3/clusters"
CLUSTER: Final = "/v3/clusters/{cluster_id}"
BROKERS: Final = f"{CLUSTER}/brokers"
BROKER: Final = f"{BROKERS}/{{broker_id}}"
BROKER_REPLICAS: Final = f"{BROKER}/partition-replicas"
TOPICS: Final = f"{CLUSTER}/topics"
TOPIC: Final = f"{TOPICS}/{{topic_name}}"
CONFIGS: Final = f"{TOPIC}/configs"
ALTER_CONFIGS: Final = f"{TOPIC}/configs:alter"
CONFIG: Final = f"{CONFIGS}/{{name}}"
PARTITIONS: Final = f"{TOPIC}/partitions"
PARTITION: Final = f"{PARTITIONS}/{{partition_id}}"
OFFSET: Final = f"{PARTITION}/offset"
REPLICAS: Final = f"{PARTITION}/replicas"
REPLICA: Final = f"{REPLICAS}/{{broker_id}}"
RECORDS: Final = f"{TOPIC}/records"
BATCH: Final = f"{TOPIC}/records:batch"
GROUPS: Final = f"{CLUSTER}/consumer-groups"
GROUP: Final = f"{GROUPS}/{{consumer_group_id}}"
CONSUMERS: Final = f"{GROUP}/consumers"
CONSUMER: Final = f"{CONSUMERS}/{{consumer_id}}"
ASSIGNMENTS: Final = f"{CONSUMER}/assignments"
ASSIGNMENT: Final = f"{ASSIGNMENTS}/{{topic_name}}/partitions/{{partition_id}}"
LAG_SUMMARY: Final = f"{GROUP}/lag-summary"
LAGS: Final = f"{GROUP}/lags"
LAG: Final = f"{LAGS}/{{topic_name}}/partitions/{{partition_id}}"

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    CLUSTERS: ("GET",),
    CLUSTER: ("GET",),
    BROKERS: ("GET",),
    BROKER: ("GET",),
    BROKER_REPLICAS: ("GET",),
    TOPICS: ("GET", "POST"),
    TOPIC: ("GET", "PATCH", "DELETE"),
    CONFIGS: ("GET",),
    ALTER_CONFIGS: ("POST",),
    CONFIG: ("GET", "PUT", "DELETE"),
    PARTITIONS: ("GET",),
    PARTITION: ("GET",),
    OFFSET: ("GET",),
    REPLICAS: ("GET",),
    REPLICA: ("GET",),
    RECORDS: ("POST",),
    BATCH: ("POST",),
    GROUPS: ("GET",),
    GROUP: ("GET",),
    CONSUMERS: ("GET",),
    CONSUMER: ("GET",),
    ASSIGNMENTS: ("GET",),
    ASSIGNMENT: ("GET",),
    LAG_SUMMARY: ("GET",),
    LAGS: ("GET",),
    LAG: ("GET",),
}
"""What there is, and its methods."""


class V3Path(NamedTuple):
    """A path, taken apart."""

    root: str
    """What it begins with."""
    operation: str
    """One of METHODS; NOTHING: it leads nowhere."""
    names: Mapping[str, str] = {}
    """What stands where the operation has a name in braces."""

    def number(self, name: str) -> int | None:
        """What stands there as a number, 0 or more; None where it is none."""
        digits = self.names[name]
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
            return None
        return int(digits)


def is_v3_path(path: str) -> bool:
    """Whether a path is of this API."""
    return path.startswith(("/v3/", "/kafka/v3/")) or path in _ROOTS


@remembered(_CACHED)
def parse_v3_path(raw_path: bytes) -> V3Path:
    """Take a path apart as it came, percent signs and all.

    Slashes at its ends, and doubled ones, do not matter.
    """
    segments = [_decoded(segment) for segment in raw_path.split(b"/") if segment]
    root = "/v3"
    if segments[:1] == ["kafka"]:
        root, segments = "/kafka/v3", segments[1:]
    for operation, template in _TEMPLATES.get(len(segments), ()):
        names = {}
        for expected, found in zip(template, segments, strict=True):
            if expected.startswith("{"):
                names[expected.strip("{}")] = found
            elif expected != found:
                break
        else:
            return V3Path(root, operation, names)
    return V3Path(root, NOTHING)


def _decoded(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode(errors="replace")


def _templates() -> dict[int, list[tuple[str, list[str]]]]:
    found: dict[int, list[tuple[str, list[str]]]] = {}
    for operation in METHODS:
        template = operation.strip("/").split("/")
        found.setdefault(len(template), []).append((operation, template))
    return found


_TEMPLATES: Final = _templates()
