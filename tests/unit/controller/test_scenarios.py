"""The controller in the cases that are easily got wrong, as texts: tests/scenarios/controller/.

    brokers 1 2 3                start these brokers
    topic t 1,2 2,3 [key=value]  create a topic: the replicas of each partition; its configuration
    controller                   another controller is elected; what is not done yet is lost
    die 1 | start 1              its session ends | it registers anew
    unreachable 1 | reachable 1  it refuses connections | accepts them again
    leave 1                      it asks to be relieved, because it is about to stop
    damaged t-0                  its leader finds damage in its log
    isr t-0 1,2 [unheard]        its leader changes the ISR; the controller hears of it, or not yet
    move t-0 4,5 | cancel t-0    a reassignment is asked for | is to be undone
    delete t | keep t            deletion is asked for | is not any more
    elect preferred|unclean t-0  an election is asked for
    wait 1000                    milliseconds pass
    do [n]                       carry out what the controller wants: n effects, or all, with what
                                 follows from them
    fail                         the next effect fails
    lose                         the next effect is carried out, but its answer is lost with the
                                 controller, and another one is elected
    show t-0                     the partition as it is stored

What each of them makes the controller want is told below the line.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from kafkalite.controller.events import (
    CompleteReassignment,
    DeletionsChanged,
    DropDeletion,
    Effect,
    PreferredLeadersWanted,
    RemoveTopic,
    ReplicaDamaged,
    StateChange,
    Tick,
    UncleanLeadersWanted,
    WriteStates,
)
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.reassignment import cancel, move
from tests.support.controlled_cluster import ControlledCluster
from tests.support.scenario_file import check_scenario

_SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios" / "controller").glob("*.txt"))


@pytest.mark.parametrize("path", _SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    check_scenario(path, Player().run)


class Player:
    """Carries out the commands of one scenario."""

    def __init__(self) -> None:
        self.cluster = ControlledCluster()

    def run(self, line: str) -> list[str]:
        """Carry out one command; gives what the controller wants because of it."""
        command, *words = line.split()
        cluster = self.cluster
        before = len(cluster.pending)
        if command == "show":
            return [self._show(_partition(words[0]))]
        if command == "do":
            return self._do(int(words[0]) if words else 1_000)
        if command in {"lose", "controller"}:
            before = 0  # what was not carried out is forgotten
        _COMMANDS[command](cluster, *words)
        if command == "fail":
            before -= 1
        return [_text(effect) for effect in cluster.pending[before:]]

    def _do(self, count: int) -> list[str]:
        said = []
        for _ in range(count):
            if not self.cluster.pending:
                break
            before = len(self.cluster.pending) - 1
            self.cluster.carry_out_one()
            said += [_text(effect) for effect in self.cluster.pending[before:]]
        return said

    def _show(self, name: TopicPartition) -> str:
        topic = self.cluster.topics.get(name.topic)
        state = self.cluster.states.get(name)
        replicas = "none" if topic is None else _ids(topic.assignment[name.partition])
        return f"{name} replicas={replicas} {'no state' if state is None else _values(state)}"


def _topic(cluster: ControlledCluster, name: str, *words: str) -> None:
    config = dict(word.split("=", 1) for word in words if "=" in word)
    replicas = [_brokers(word) for word in words if "=" not in word]
    topic_id = TopicId(str(cluster.next_revision()))
    cluster.write_topic(Topic(name, topic_id, dict(enumerate(replicas)), config))


def _start_all(cluster: ControlledCluster, *words: str) -> None:
    for word in words:
        cluster.start(BrokerId(int(word)))


def _damaged(cluster: ControlledCluster, word: str) -> None:
    state = cluster.states[_partition(word)]
    cluster.tell(ReplicaDamaged(_partition(word), state.leader, state.leader_epoch))


def _isr(cluster: ControlledCluster, word: str, isr: str, heard: str = "") -> None:
    cluster.write_isr(_partition(word), _brokers(isr), is_heard=heard != "unheard")


def _move(cluster: ControlledCluster, word: str, target: str) -> None:
    name = _partition(word)
    cluster.write_topic(move(cluster.topics[name.topic], name.partition, _brokers(target)))


def _cancel(cluster: ControlledCluster, word: str) -> None:
    name = _partition(word)
    cluster.write_topic(cancel(cluster.topics[name.topic], name.partition))


def _keep(cluster: ControlledCluster, name: str) -> None:
    cluster.deletions.discard(name)
    cluster.tell(DeletionsChanged(frozenset(cluster.deletions)))


def _elect(cluster: ControlledCluster, kind: str, word: str) -> None:
    name = _partition(word)
    if kind == "unclean":
        cluster.unclean_wished.add(name)
        cluster.tell(UncleanLeadersWanted(frozenset({name})))
    else:
        cluster.tell(PreferredLeadersWanted(frozenset({name})))


def _wait(cluster: ControlledCluster, milliseconds: str) -> None:
    cluster.now_ms += int(milliseconds)
    cluster.tell(Tick())


def _of_broker(
    happens: Callable[[ControlledCluster, BrokerId], None],
) -> Callable[..., None]:
    return lambda cluster, word: happens(cluster, BrokerId(int(word)))


_COMMANDS: dict[str, Callable[..., None]] = {
    "brokers": _start_all,
    "topic": _topic,
    "controller": ControlledCluster.elect,
    "die": _of_broker(ControlledCluster.end_session),
    "start": _of_broker(ControlledCluster.start),
    "unreachable": _of_broker(ControlledCluster.lose),
    "reachable": _of_broker(ControlledCluster.find),
    "leave": _of_broker(ControlledCluster.leave),
    "damaged": _damaged,
    "isr": _isr,
    "move": _move,
    "cancel": _cancel,
    "delete": ControlledCluster.want_deleted,
    "keep": _keep,
    "elect": _elect,
    "wait": _wait,
    "fail": lambda cluster: cluster.carry_out_one(fails=True),
    "lose": ControlledCluster.lose_answer,
}


def _partition(word: str) -> TopicPartition:
    topic, number = word.rsplit("-", 1)
    return TopicPartition(topic, int(number))


def _brokers(word: str) -> tuple[BrokerId, ...]:
    return tuple(BrokerId(int(number)) for number in word.split(","))


def _ids(brokers: tuple[BrokerId, ...]) -> str:
    return ",".join(map(str, brokers))


def _values(state: PartitionState) -> str:
    leader = "none" if state.is_offline else state.leader
    return f"leader={leader} epoch={state.leader_epoch} isr={_ids(state.isr)}"


def _text(effect: Effect) -> str:
    match effect:
        case WriteStates(changes):
            return "write " + "; ".join(map(_change, changes))
        case RemoveTopic(name):
            return f"remove {name}"
        case DropDeletion(name, reason):
            return f"drop deletion of {name}: {reason}"
        case CompleteReassignment(name, numbers):
            return "complete " + " ".join(f"{name}-{number}" for number in sorted(numbers))


def _change(change: StateChange) -> str:
    return f"{change.partition} {_values(change.state)} over {change.expected_version}"
