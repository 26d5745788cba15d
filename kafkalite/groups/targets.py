"""Who is to consume what: the members' choice of an assignor, and its answer, looked through."""

from collections import Counter
from collections.abc import Iterable, Mapping

from kafkalite.groups.assignors.assignor import AssignmentTask, Assignor, Subscriber, Targets
from kafkalite.groups.assignors.sticky import StickyAssignor
from kafkalite.groups.state import Member, Partitions
from kafkalite.groups.subscriptions import Subscriptions
from kafkalite.groups.topics_view import TopicsView


def chosen_assignor(members: Iterable[Member]) -> str:
    """The name that most of the members ask for, the first in the alphabet of several."""
    votes = Counter(member.assignor for member in members)
    return min(votes, key=lambda name: (-votes[name], name), default="")


def decide_targets(
    members: Mapping[str, Member],
    subscriptions: Subscriptions,
    counts: Mapping[str, int],
    view: TopicsView,
    assignors: Mapping[str, Assignor],
) -> dict[str, Partitions]:
    """What every member is to consume; counts are of the subscribed topics."""
    if not members:
        return {}
    task = _task(members.values(), subscriptions, counts, view)
    # One's own assignor may be known to another broker only, and may answer nonsense.
    assignor = assignors.get(chosen_assignor(members.values()))
    targets = {} if assignor is None else assignor.assign(task)
    if not _is_answer(targets, task):
        targets = StickyAssignor().assign(task)
    return {member: frozenset(target) for member, target in targets.items()}


def _task(
    members: Iterable[Member],
    subscriptions: Subscriptions,
    counts: Mapping[str, int],
    view: TopicsView,
) -> AssignmentTask:
    subscribers = [
        Subscriber(
            member.id,
            subscriptions.topics_of(member) & counts.keys(),
            member.instance_id,
            member.rack,
            member.target,
        )
        for member in members
    ]
    subscribers.sort(key=lambda subscriber: subscriber.rank)
    return AssignmentTask(tuple(subscribers), dict(sorted(counts.items())), view.racks)


def _is_answer(targets: Targets, task: AssignmentTask) -> bool:
    """Whether every partition goes to one member, which subscribes to its topic."""
    topics = {subscriber.id: subscriber.topics for subscriber in task.subscribers}
    if targets.keys() != topics.keys():
        return False
    given = [partition for target in targets.values() for partition in target]
    return sorted(given) == list(task.partitions()) and all(
        partition.topic in topics[member]
        for member, target in targets.items()
        for partition in target
    )
