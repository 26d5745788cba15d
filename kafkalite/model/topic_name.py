"""Kafka's rules for topic names."""

import re

from kafkalite.model.errors import InvalidTopicError

MAX_LENGTH = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")

COLLISION_WARNING = (
    "Due to limitations in metric names, topics with a period ('.') or underscore ('_') could "
    "collide. To avoid issues it is best to use either, but not both."
)


def check_topic_name(name: str) -> None:
    """Raise InvalidTopicError, in Kafka's words, unless `name` may name a topic."""
    if not name:
        raise InvalidTopicError("Topic name is invalid: the empty string is not allowed")
    if name in {".", ".."}:
        raise InvalidTopicError(f"Topic name is invalid: '{name}' is not allowed")
    if len(name) > MAX_LENGTH:
        raise InvalidTopicError(
            f"Topic name is invalid: the length of '{name}' is longer than the max allowed length "
            f"{MAX_LENGTH}"
        )
    if not _LEGAL.fullmatch(name):
        raise InvalidTopicError(
            f"Topic name is invalid: '{name}' contains one or more characters other than ASCII "
            "alphanumerics, '.', '_' and '-'"
        )


def has_collision_chars(name: str) -> bool:
    """Whether a metric name made of `name` could be that of another topic."""
    return "." in name or "_" in name


def colliding_topics(name: str, existing: list[str]) -> list[str]:
    """Topics in `existing` that differ from `name` only by '.' against '_'."""
    folded = name.replace(".", "_")
    return sorted(t for t in existing if t != name and t.replace(".", "_") == folded)
