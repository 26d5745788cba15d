"""The assignors by name."""

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets
from kafkalite.groups.assignors.registry import assignors


class _EverythingToTheFirst:
    name = "greedy"

    def assign(self, task: AssignmentTask) -> Targets:
        targets: Targets = {subscriber.id: set() for subscriber in task.subscribers}
        targets[task.subscribers[0].id].update(task.partitions())
        return targets


def test_kafkas_are_known_by_kafkas_names() -> None:
    assert set(assignors()) == {"range", "roundrobin", "sticky"}


def test_ones_own_is_known_besides() -> None:
    own = _EverythingToTheFirst()
    assert assignors([own])["greedy"] is own
