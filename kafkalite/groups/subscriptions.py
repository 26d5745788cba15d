"""Which topics that exist the members' subscriptions come to."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kafkalite.groups.pattern import TopicPattern
from kafkalite.groups.state import Member
from kafkalite.groups.topics_view import TopicsView


class Subscription(NamedTuple):
    """What a member asked for."""

    topics: tuple[str, ...]
    pattern: str | None


class Subscriptions:
    """The subscriptions of one group, resolved; those that are alike are resolved once.

    A pattern is matched with every topic once, and from then on with those that come and go.
    """

    def __init__(self, view: TopicsView) -> None:
        """Begin without any."""
        self._view = view
        self._patterns: dict[str, tuple[TopicPattern, set[str]]] = {}
        """Pattern -> compiled, and the topics that match it."""
        self._resolved: dict[Subscription, frozenset[str] | None] = {}
        """All that are asked for; None: to be resolved anew."""

    def topics_of(self, member: Member) -> frozenset[str]:
        """The topics that a member subscribes to and that exist."""
        wanted = Subscription(member.topics, member.pattern)
        found = self._resolved.get(wanted)
        if found is None:
            found = self._resolved[wanted] = frozenset(self._resolve(wanted))
        return found

    def partition_counts(self, members: Iterable[Member]) -> dict[str, int]:
        """The existing topics that any of these subscribes to, and their partitions.

        What nobody of these asked for is forgotten.
        """
        in_use = {Subscription(member.topics, member.pattern): member for member in members}
        topics = set().union(*map(self.topics_of, in_use.values()))
        for wanted in self._resolved.keys() - in_use.keys():
            del self._resolved[wanted]
        for pattern in self._patterns.keys() - {wanted.pattern for wanted in in_use}:
            del self._patterns[pattern]
        counts = ((topic, self._view.partition_count(topic)) for topic in sorted(topics))
        return {topic: count for topic, count in counts if count is not None}

    def topics_changed(self, names: Iterable[str], known: Mapping[str, int]) -> bool:
        """Look at topics that came, went or grew.

        Args:
            names: theirs.
            known: the subscribed topics as they were, and their partitions.

        Returns:
            Whether that is of any concern to the group.
        """
        is_of_concern = is_subscribed = False
        for name in names:
            count = self._view.partition_count(name)
            for pattern, matched in self._patterns.values():
                if count is None:
                    matched.discard(name)
                elif pattern.matches(name):
                    matched.add(name)
            if name in known or self._is_wanted(name):
                is_subscribed = True
                is_of_concern |= count != known.get(name)
        if is_subscribed:
            self._resolved = dict.fromkeys(self._resolved)
        return is_of_concern

    def _is_wanted(self, name: str) -> bool:
        return any(
            name in wanted.topics
            or (wanted.pattern is not None and name in self._matching(wanted.pattern))
            for wanted in self._resolved
        )

    def _resolve(self, wanted: Subscription) -> Iterable[str]:
        for topic in wanted.topics:
            if self._view.partition_count(topic) is not None:
                yield topic
        if wanted.pattern is not None:
            yield from self._matching(wanted.pattern)

    def _matching(self, pattern: str) -> set[str]:
        known = self._patterns.get(pattern)
        if known is None:
            compiled = TopicPattern(pattern)
            matched = {name for name in self._view.names() if compiled.matches(name)}
            known = self._patterns[pattern] = (compiled, matched)
        return known[1]
