"""One simulation of consumer groups: members, coordinators, trouble, and quiet afterwards."""

import asyncio
import time
import traceback

from tests.simulation.administrator import Administrator
from tests.simulation.checkers import StateChecker
from tests.simulation.cluster import Cluster
from tests.simulation.group_checkers import GroupChecker
from tests.simulation.group_nemesis import GroupNemesis
from tests.simulation.group_plan import GroupPlan
from tests.simulation.history import History
from tests.simulation.nemesis import Nemesis
from tests.simulation.story import Outcome

_POLL_S = 0.25
_START_S = 30.0
_QUIET_S = 45.0
"""After healing every partition must be owned, and every member settled, within this."""


def simulate_groups(seed: int, plan: GroupPlan | None = None) -> Outcome:
    """Run what a seed says; the same seed does the same, always."""
    started = time.perf_counter()
    cluster = Cluster(seed)
    plan = plan or GroupPlan.of(cluster.random_for("plan"))
    story = _GroupStory(cluster, plan)
    try:
        cluster.run(lambda _: story.run())
    except _EndedError as error:
        cluster.fail(str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this seed
        cluster.fail("the simulation broke: " + "".join(traceback.format_exception(error)))
    return Outcome(
        seed,
        plan,
        cluster.failures,
        cluster.trace.digest,
        cluster.trace.lines,
        cluster.loop.time(),
        time.perf_counter() - started,
        cluster.loop.turns,
        story.checker.committed,
        story.checker.granted,
    )


class _EndedError(Exception):
    """There were failures, or something took too long: the rest is not worth telling."""


class _GroupStory:
    """The parts of one simulation, in the order in which they happen."""

    def __init__(self, cluster: Cluster, plan: GroupPlan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._states = StateChecker(cluster)
        history = History(cluster.fail)
        self.checker = GroupChecker(cluster, history.deleted)
        self._administrator = Administrator(
            cluster,
            self._states,
            history,
            cluster.random_for("administrator"),
            replication_factor=1,
            topic_config={},
        )

    async def run(self) -> None:
        """Tell the story, or as much of it as comes before the first failure."""
        world = self._cluster.loop.world
        self._cluster.trace.note("plan", str(self._plan))
        telling = world.spawn(self._tell(), "story")
        watching = world.spawn(self._watch(), "watching")
        done, _ = await asyncio.wait((telling, watching), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            if self._cluster.failures:
                raise _EndedError("see above")

    async def _tell(self) -> None:
        loop, plan = self._cluster.loop, self._plan
        await self._begin()
        groups = GroupNemesis(self._cluster, self._states, self.checker, self._administrator, plan)
        groups.start_all()
        until_s = loop.time() + plan.duration_s
        troubles = [loop.world.spawn(groups.run(until_s), "troubles")]
        nemesis = Nemesis(
            self._cluster,
            self._states,
            self._administrator,
            self._cluster.random_for("nemesis"),
            plan.faults,
        )
        if plan.faults:
            faults = nemesis.run(until_s, plan.pause_s, plan.at_most)
            troubles.append(loop.world.spawn(faults, "faults"))
        await asyncio.gather(*troubles)
        await nemesis.heal()
        groups.heal()
        deadline_s = loop.time() + _QUIET_S
        while wrong := groups.unsettled():
            if loop.time() > deadline_s:
                raise _EndedError(f"GRP-8 it does not come to rest: {wrong}")
            await asyncio.sleep(_POLL_S)

    async def _begin(self) -> None:
        for broker_id in range(1, self._plan.brokers + 1):
            settings = {"log.dirs": f"/b{broker_id}/d0", **self._plan.settings}
            self._cluster.add_machine(broker_id, settings).start()
        deadline_s = self._cluster.loop.time() + _START_S
        while not all(each.is_serving for each in self._cluster.machines.values()):
            if self._cluster.loop.time() > deadline_s:
                raise _EndedError("not all brokers started")
            await asyncio.sleep(_POLL_S)
        while len(self._administrator.topics()) < 2:
            await self._administrator.create_topic()
