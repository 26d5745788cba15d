"""The topics that there are, and those that somebody wants deleted."""

from collections.abc import Callable

from kafkalite.controller.events import DropDeletion, Effect, RemoveTopic
from kafkalite.controller.states import TopicPhase, check_topic_transition
from kafkalite.model.cluster import Topic


class Topics:
    """Topics with their phases. Owned by the ControllerMachine."""

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}
        self._phases: dict[str, TopicPhase] = {}
        self._deletions: frozenset[str] = frozenset()
        self._dropping: set[str] = set()
        self._failed: set[str] = set()

    def __getitem__(self, name: str) -> Topic:
        return self._topics[name]

    def get(self, name: str) -> Topic | None:
        return self._topics.get(name)

    def phase(self, name: str) -> TopicPhase:
        return self._phases.get(name, TopicPhase.GONE)

    def take(self, topic: Topic) -> None:
        """A topic was created or changed."""
        if topic.name not in self._topics:
            self._move(topic.name, TopicPhase.PRESENT)
        self._topics[topic.name] = topic

    def forget(self, name: str) -> Topic:
        """A topic is gone; gives it as it was."""
        self._move(name, TopicPhase.GONE)
        return self._topics.pop(name)

    # -- deletions ------------------------------------------------------------------------------

    def want_deleted(self, names: frozenset[str]) -> list[Topic]:
        """These are asked to be deleted now; gives those that are not any more."""
        self._deletions = names
        self._dropping &= names
        self._failed &= names
        kept = [
            self._topics[name]
            for name, phase in self._phases.items()
            if phase is TopicPhase.WAITING and name not in names
        ]
        for topic in kept:
            self._move(topic.name, TopicPhase.PRESENT)
        return kept

    def removed(self, name: str) -> None:
        """The request to delete a topic went with the topic.

        One that is known in a moment is of a later topic: until then nothing is made of it.
        """
        self._failed.add(name)

    def removal_failed(self, name: str) -> None:
        """It is not tried again before `retry`."""
        self._dropping.discard(name)
        if self.phase(name) is TopicPhase.DELETING:
            self._move(name, TopicPhase.WAITING)
        self._failed.add(name)

    def retry(self) -> None:
        """What failed may be tried again."""
        self._failed.clear()

    def plan(self, may_remove: Callable[[Topic], bool], *, deletes_topics: bool) -> list[Effect]:
        """What can be done about the deletions now.

        Args:
            may_remove: whether nothing of a topic is in use, and all who hold a part are there.
            deletes_topics: delete.topic.enable.
        """
        effects: list[Effect] = []
        for name in sorted(self._deletions - self._failed - self._dropping):
            topic = self._topics.get(name)
            if topic is None:
                effects.append(self._drop(name, f"Topic '{name}' does not exist"))
            elif not deletes_topics:
                reason = f"Topic '{name}' is kept: delete.topic.enable is false"
                effects.append(self._drop(name, reason))
            elif self.phase(name) is not TopicPhase.DELETING:
                if self.phase(name) is TopicPhase.PRESENT:
                    self._move(name, TopicPhase.WAITING)
                if may_remove(topic):
                    self._move(name, TopicPhase.DELETING)
                    effects.append(RemoveTopic(name))
        return effects

    def _drop(self, name: str, reason: str) -> DropDeletion:
        self._dropping.add(name)
        return DropDeletion(name, reason)

    def _move(self, name: str, phase: TopicPhase) -> None:
        check_topic_transition(name, self.phase(name), phase)
        if phase is TopicPhase.GONE:
            del self._phases[name]
        else:
            self._phases[name] = phase
