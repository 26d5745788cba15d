"""The paths of REST Proxy beside `/consumers`: topics, produce, brokers, administration, probes."""

from typing import Final, NamedTuple

from kafkalite.api.remembered import remembered

_CACHED: Final = 4096
_MAX_DIGITS: Final = 10
_ROOTS: Final = frozenset({"topics", "brokers", "admin", "healthy", "ready"})

NOTHING: Final = ""
BAD_PARTITION: Final = "bad partition"
ROOT: Final = "/"
TOPICS: Final = "/topics"
TOPIC: Final = "/topics/{topic}"
PARTITIONS: Final = "/topics/{topic}/partitions"
PARTITION: Final = "/topics/{topic}/partitions/{partition}"
OFFSETS: Final = "/topics/{topic}/partitions/{partition}/offsets"
RECORDS: Final = "/topics/{topic}/partitions/{partition}/records"
BROKERS: Final = "/brokers"
ADMIN_TOPICS: Final = "/admin/topics"
HEALTHY: Final = "/healthy"
READY: Final = "/ready"

METHODS: Final = {
    ROOT: ("GET",),
    TOPICS: ("GET",),
    TOPIC: ("GET", "POST"),
    PARTITIONS: ("GET",),
    PARTITION: ("GET", "POST"),
    OFFSETS: ("GET",),
    RECORDS: ("GET",),
    BROKERS: ("GET",),
    ADMIN_TOPICS: ("POST",),
    HEALTHY: ("GET",),
    READY: ("GET",),
}
"""What there is, and its methods."""


class TopicsPath(NamedTuple):
    """A path, taken apart."""

    operation: str
    """One of METHODS; NOTHING: it is below ours, but leads nowhere; BAD_PARTITION: below 0."""
    topic: str = ""
    partition: int | None = None


@remembered(_CACHED)
def parse_topics_path(path: str) -> TopicsPath | None:
    """Take a decoded path apart; None where it is not of this API.

    Slashes at its ends, and doubled ones, do not matter.
    """
    segments = [segment for segment in path.split("/") if segment]
    match segments:
        case []:
            return TopicsPath(ROOT)
        case ["topics", topic]:
            return TopicsPath(TOPIC, topic)
        case ["topics", topic, "partitions"]:
            return TopicsPath(PARTITIONS, topic)
        case ["topics", topic, "partitions", number, *rest]:
            return _of_partition(topic, number, "/".join(rest))
        case ["topics" | "brokers" | "healthy" | "ready"] | ["admin", "topics"]:
            return TopicsPath("/" + "/".join(segments))
    return TopicsPath(NOTHING) if segments[0] in _ROOTS else None


def _of_partition(topic: str, number: str, rest: str) -> TopicsPath:
    operation = {"": PARTITION, "offsets": OFFSETS, "records": RECORDS}.get(rest)
    digits = number.removeprefix("-")
    if operation is None or not (digits.isascii() and digits.isdigit()):
        return TopicsPath(NOTHING)
    if number.startswith("-"):
        return TopicsPath(BAD_PARTITION, topic)
    # A number too long for any partition is one that the topic does not have, cut short or not.
    return TopicsPath(operation, topic, int(digits.lstrip("0")[:_MAX_DIGITS] or 0))
