"""Does to members of groups, and to their topics, what happens to them."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import HeartbeatRequest
from tests.simulation.administrator import Administrator
from tests.simulation.checkers import StateChecker
from tests.simulation.cluster import Cluster
from tests.simulation.group_checkers import GroupChecker
from tests.simulation.group_member import SimulatedMember
from tests.simulation.group_plan import GroupPlan
from tests.simulation.process import Process

_MAX_PARTITIONS: Final = 6
_TIMEOUT_MS: Final = 5_000
_ASSIGNORS: Final = ("sticky", "sticky", "range", "roundrobin")


class Running(NamedTuple):
    """A member and what it runs in."""

    member: SimulatedMember
    process: Process

    @property
    def is_alive(self) -> bool:
        return not (self.process.is_dead or self.member.is_over or self.member.is_told_to_leave)


class GroupNemesis:
    """Owns the members. Belongs to the world."""

    def __init__(
        self,
        cluster: Cluster,
        states: StateChecker,
        checker: GroupChecker,
        administrator: Administrator,
        plan: GroupPlan,
    ) -> None:
        self._cluster = cluster
        self._states = states
        self._checker = checker
        self._administrator = administrator
        self._plan = plan
        self._random: Random = cluster.random_for("group-nemesis")
        self._made = 0
        self.running: list[Running] = []
        """Every member that was ever started."""
        self._troubles: list[Callable[[], Coroutine[Any, Any, None]]] = [
            getattr(self, f"_{kind}") for kind in plan.troubles
        ]

    # -- members ----------------------------------------------------------------------------------

    def start_all(self) -> None:
        """Start the members that the plan has."""
        for group in range(self._plan.groups):
            for _ in range(self._plan.members):
                self._start(f"g{group}")

    def living(self, group: str | None = None) -> list[Running]:
        return [
            each for each in self.running if each.is_alive and group in {None, each.member.group}
        ]

    def _start(self, group: str, instance: str | None = None) -> Running:
        self._made += 1
        name = f"m{self._made}"
        random = self._cluster.random_for(name)
        if instance is None and random.random() < 0.3:
            instance = f"place-{name}"
        said = HeartbeatRequest(
            instance_id=instance,
            client_id=name,
            assignor=random.choice(_ASSIGNORS),
            session_timeout_ms=self._plan.session_timeout_ms,
            **self._subscription(random),
        )
        member = SimulatedMember(
            name,
            said,
            group,
            self._cluster.network,
            self._checker,
            self._cluster.trace,
            [machine.address for machine in self._cluster.machines.values()],
            random,
            is_idle=self._plan.is_idle,
        )
        process = Process(self._cluster.loop, name)
        process.when_dead.append(member.forget)
        process.spawn(member.run(), name)
        self._note(f"starts {name} of {group} as {instance}: {said.topics} {said.pattern}")
        found = Running(member, process)
        self.running.append(found)
        return found

    def _subscription(self, random: Random) -> dict[str, Any]:
        if random.random() < 0.3:
            return {"topics": [], "pattern": random.choice(("t.*", "t[12]"))}
        names = self._administrator.topics()
        return {
            "topics": sorted(random.sample(names, random.randint(1, len(names)))),
            "pattern": "",
        }

    def _pick(self) -> Running | None:
        free = [each for each in self.living() if not each.process.is_stopped]
        return self._random.choice(free) if free else None

    def _note(self, text: str) -> None:
        self._cluster.trace.note("nemesis", text)

    # -- trouble ----------------------------------------------------------------------------------

    async def run(self, until_s: float) -> None:
        """Make trouble until a time."""
        loop = self._cluster.loop
        tasks: list[asyncio.Task[None]] = []
        while loop.time() < until_s:
            await asyncio.sleep(self._random.expovariate(1 / self._plan.member_pause_s))
            trouble = self._random.choice(self._troubles)
            tasks.append(loop.world.spawn(trouble(), "trouble"))
        await asyncio.gather(*tasks)

    async def _while(self) -> None:
        """Last for a part of a session, or for a few of them."""
        session_s = self._plan.session_timeout_ms / 1000
        await asyncio.sleep(session_s * self._random.choice((0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 3.0)))

    async def _kill(self) -> None:
        found = self._pick()
        if found is not None:
            self._note(f"kills {found.member.member_id}")
            found.process.kill()
            await self._while()
            self._start(found.member.group, found.member.instance)

    async def _pause(self) -> None:
        found = self._pick()
        if found is not None:
            self._note(f"stops {found.member.member_id}")
            found.process.stop()
            await self._while()
            self._note(f"continues {found.member.member_id}")
            found.process.resume()

    async def _replace(self) -> None:
        """Somebody takes the place of a static member, which may hang meanwhile."""
        found = self._pick()
        if found is not None and found.member.instance is not None:
            found.process.stop()
            self._start(found.member.group, found.member.instance)
            await self._while()
            found.process.resume()

    async def _leave(self) -> None:
        found = self._pick()
        if found is not None and len(self.living(found.member.group)) > 1:
            self._note(f"has {found.member.member_id} leave")
            found.member.is_told_to_leave = True
            await self._while()
            self._start(found.member.group, found.member.instance)

    async def _join(self) -> None:
        group = f"g{self._random.randrange(self._plan.groups)}"
        if len(self.living(group)) < self._plan.members + 2:
            self._start(group)

    async def _change_mind(self) -> None:
        found = self._pick()
        if found is not None:
            member = found.member
            member.said = msgspec.structs.replace(member.said, **self._subscription(self._random))
            self._note(f"{member.member_id} wants {member.said.topics} {member.said.pattern}")

    async def _cut(self) -> None:
        found = self._pick()
        if found is None:
            return
        machines = list(self._cluster.machines.values())
        some = self._random.sample(machines, self._random.randint(1, len(machines)))
        ways = {(found.member.name, each.name) for each in some}
        ways |= {(each.name, found.member.name) for each in some if self._random.random() < 0.5}
        self._note(f"cuts {sorted(ways)}")
        self._cluster.network.cut |= ways
        await self._while()
        self._cluster.network.cut -= ways

    async def _refuse(self) -> None:
        """One broker takes another one for gone, while it is well: both may coordinate a group."""
        some = self._random.sample(sorted(self._cluster.machines), 2)
        one, other = (self._cluster.machines[each].name for each in some)
        way = one, other
        self._note(f"refuses connections on {way}")
        self._cluster.network.refused.add(way)
        await self._while()
        self._cluster.network.refused.discard(way)

    async def _grow(self) -> None:
        name = self._random.choice(self._administrator.topics())
        count = sum(1 for each in self._states.placements if each.topic == name) + 1
        if count <= _MAX_PARTITIONS:
            await self._administrator.ask(
                f"give {name} {count} partitions",
                lambda broker: broker.topics.create_partitions(name, count, timeout_ms=_TIMEOUT_MS),
            )

    async def _create(self) -> None:
        await self._administrator.create_topic()

    async def _delete(self) -> None:
        await self._administrator.delete_topic()

    # -- afterwards -------------------------------------------------------------------------------

    def heal(self) -> None:
        """Have all go on."""
        for each in self.running:
            each.process.resume()

    def unsettled(self) -> str:
        """What is not as it should be once all is quiet; empty when all is."""
        for number in range(self._plan.groups):
            wrong = self._unsettled(f"g{number}")
            if wrong:
                return wrong
        return ""

    def _unsettled(self, group: str) -> str:
        members = {each.member.member_id: each.member for each in self.living(group)}
        state = self._checker.states.get(group)
        if state is None:
            return f"{group} has no state, but {list(members)}" if members else ""
        if state.members.keys() != members.keys():
            return f"{group} has {list(state.members)}, where {list(members)} live"
        wanted: set[TopicPartition] = set()
        owned: list[TopicPartition] = []
        for name, member in members.items():
            stored = state.members[name]
            if not stored.held == stored.target == member.owned:
                return f"{group}: {name} owns {sorted(member.owned)}, and {stored} is stored"
            wanted |= self._subscribed(member)
            owned += stored.held
        if sorted(wanted) != sorted(owned):
            return f"{group} consumes {sorted(owned)} of {sorted(wanted)}"
        return ""

    def _subscribed(self, member: SimulatedMember) -> set[TopicPartition]:
        """Of `t.*` and `t[12]` it is known what they match."""
        existing = {each.topic for each in self._states.placements}
        names = set(member.said.topics or ())
        if member.said.pattern:
            names |= {"t1", "t2"} if member.said.pattern == "t[12]" else existing
        return {each for each in self._states.placements if each.topic in names}
