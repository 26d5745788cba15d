"""Elections that somebody asked for: what is done about each partition, and what came of it."""

from collections.abc import Iterable
from typing import Final

from kafkalite.controller.events import Event, PreferredLeadersWanted, UncleanLeadersWanted
from kafkalite.controller.machine import ControllerMachine
from kafkalite.model.errors import (
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    LogError,
    PreferredLeaderNotAvailableError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.controller_messages import ElectionResult, ElectLeaders

_TEXTS: Final[dict[type[LogError], str]] = {
    UnknownTopicOrPartitionError: "Partition {} does not exist.",
    ElectionNotNeededError: "Partition {} needs no election.",
    PreferredLeaderNotAvailableError: (
        "The preferred leader of partition {} is not alive, not in sync or about to stop."
    ),
    EligibleLeadersNotAvailableError: "No replica of partition {} is alive.",
    RequestTimedOutError: "The election for partition {} could not be confirmed.",
}


class WishedElections:
    """One request. The machine is told of `event`; when it has done its work, `results` says."""

    def __init__(self, machine: ControllerMachine, request: ElectLeaders) -> None:
        """Look at the partitions as they are before."""
        self._verdict = (
            machine.preferred_verdict if request.kind == "preferred" else machine.unclean_verdict
        )
        self._tells_unneeded = request.partitions is not None
        named: Iterable[TopicPartition] = (
            sorted(machine.partitions)
            if request.partitions is None
            else (TopicPartition(*name) for name in request.partitions)
        )
        self._before = {name: self._verdict(name) for name in named}
        possible = frozenset(name for name, verdict in self._before.items() if verdict is None)
        self.event: Event = (
            PreferredLeadersWanted(possible)
            if request.kind == "preferred"
            else UncleanLeadersWanted(possible)
        )

    def results(self) -> list[ElectionResult]:
        """What came of it, as the partitions are now."""
        results = []
        for name, before in self._before.items():
            if before is None:
                results.append(_result(name, self._outcome(name)))
            elif before is not ElectionNotNeededError or self._tells_unneeded:
                results.append(_result(name, before))
        return results

    def _outcome(self, name: TopicPartition) -> type[LogError] | None:
        now = self._verdict(name)
        if now is ElectionNotNeededError:
            return None  # it was needed, and has taken place
        return RequestTimedOutError if now is None else now


def _result(name: TopicPartition, error: type[LogError] | None) -> ElectionResult:
    if error is None:
        return ElectionResult(name.topic, name.partition)
    return ElectionResult(
        name.topic, name.partition, error.code, error.name, _TEXTS[error].format(name)
    )
