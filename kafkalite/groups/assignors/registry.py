"""The assignors by name: Kafka's, and room for one's own."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from kafkalite.groups.assignors.assignor import Assignor
from kafkalite.groups.assignors.range_assignor import RangeAssignor
from kafkalite.groups.assignors.round_robin import RoundRobinAssignor
from kafkalite.groups.assignors.sticky import StickyAssignor


def assignors(own: Iterable[Assignor] = ()) -> Mapping[str, Assignor]:
    """Those that members may ask for; `own` ones are added, or take the place of a namesake."""
    known: list[Assignor] = [StickyAssignor(), RangeAssignor(), RoundRobinAssignor(), *own]
    return MappingProxyType({assignor.name: assignor for assignor in known})
