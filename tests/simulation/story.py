"""One simulation: a cluster, its clients, a time of trouble, and the reckoning afterwards."""

import asyncio
import time
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from kafkalite.coordination import paths
from kafkalite.model.ids import NO_LEADER, TopicPartition
from tests.simulation.administrator import RETAINED_BYTES, Administrator
from tests.simulation.checkers import (
    StandingChecker,
    StateChecker,
    check_promises,
    check_replicas,
    check_retention,
)
from tests.simulation.client_producer import ClientProducer
from tests.simulation.clients import Client, Consumer, Producer
from tests.simulation.cluster import Cluster
from tests.simulation.history import History
from tests.simulation.idempotent_producer import IdempotentProducer, check_order
from tests.simulation.nemesis import Nemesis
from tests.simulation.plan import SCRUB_MS, Plan
from tests.simulation.process import Process
from tests.simulation.trace import Line

ClientKind = TypeVar("ClientKind", bound=Client)

_CHECK_EVERY_S: Final = 0.1
_START_S: Final = 30.0
_RECOVERY_S: Final = 120.0
"""After healing, everything must be as good as new within this, in virtual time."""
_POLL_S: Final = 0.25
_CUT_BYTES: Final = 1_000
"""What a `short` log may lack: it was cut where it left its leader's, after retention."""
_REQUESTS: Final = (paths.REASSIGN_PARTITIONS, paths.PREFERRED_REPLICA_ELECTION)


class Outcome(NamedTuple):
    """What became of one seed."""

    seed: int
    plan: object
    failures: list[str]
    digest: str
    lines: list[Line]
    """Of its trace."""
    virtual_s: float
    real_s: float
    turns: int
    acknowledged: int
    consumed: int

    def __str__(self) -> str:
        state = "ok" if not self.failures else f"FAILED: {self.failures[0].splitlines()[0]}"
        return (
            f"seed {self.seed}: {self.virtual_s:.0f} s in {self.real_s:.1f} s, {self.turns} turns, "
            f"{self.acknowledged} acknowledged, {self.consumed} read, {self.digest}: {state}"
        )


def simulate(seed: int, plan: Plan | None = None) -> Outcome:
    """Run what a seed says; the same seed does the same, always."""
    started = time.perf_counter()
    cluster = Cluster(seed)
    plan = plan or Plan.of(cluster.random_for("plan"))
    story = _Story(cluster, plan)
    try:
        cluster.run(lambda _: story.run())
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this seed
        cluster.fail(f"the simulation broke: {type(error).__name__}: {error}")
        if not isinstance(error, _EndedError):
            cluster.failures[-1] += f"\n{_traceback_of(error)}"
    return Outcome(
        seed,
        plan,
        cluster.failures,
        cluster.trace.digest,
        cluster.trace.lines,
        cluster.loop.time(),
        time.perf_counter() - started,
        cluster.loop.turns,
        story.history.acknowledged,
        story.history.consumed,
    )


class _EndedError(Exception):
    """There were failures: nothing that comes after them is worth waiting for."""


class _Story:
    """The parts of one simulation, in the order in which they happen."""

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        self._cluster = cluster
        self._plan = plan
        self.history = History(cluster.fail)
        self._states = StateChecker(cluster)
        self._standing = StandingChecker(cluster, self._states, self.history)
        self._administrator = Administrator(
            cluster,
            self._states,
            self.history,
            cluster.random_for("administrator"),
            plan.replication_factor,
            plan.topic_config,
        )
        self._states.begin_anew = self.history.begin_anew
        self._administrator.kinds = ("t", "t", *plan.other_topics)
        self._clients: list[Client] = []
        self._idempotent: list[IdempotentProducer | ClientProducer] = []

    async def run(self) -> None:
        """Tell the story, or as much of it as comes before the first failure."""
        world = self._cluster.loop.world
        self._cluster.trace.note("plan", str(self._plan))
        telling = world.spawn(self._tell(), "story")
        checking = world.spawn(self._keep_checking(), "checking")
        done, _ = await asyncio.wait((telling, checking), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _tell(self) -> None:
        plan, loop = self._plan, self._cluster.loop
        await self._begin()
        working = [
            Process(loop, client.name).spawn(client.run(0.05), client.name)
            for client in self._make_clients()
        ]
        nemesis = Nemesis(
            self._cluster,
            self._states,
            self._administrator,
            self._cluster.random_for("nemesis"),
            plan.faults,
        )
        troubled = loop.world.spawn(
            nemesis.run(loop.time() + plan.duration_s, plan.pause_s, plan.at_most), "nemesis"
        )
        await troubled
        await nemesis.heal()
        await self._until_healthy()
        if plan.has_damage:
            await asyncio.sleep(3 * SCRUB_MS / 1000)
            await self._until_healthy()
        for client in (*self._clients, *self._idempotent):
            client.is_told_to_stop = True
        await asyncio.wait(working)
        if plan.restarts_at_end:
            for machine in self._cluster.machines.values():
                machine.kill()
                machine.start()
            await self._until_healthy()
        await self._reckon()

    # -- the beginning --------------------------------------------------------------------------

    async def _begin(self) -> None:
        plan = self._plan
        for broker_id in range(1, plan.brokers + 1):
            directories = ",".join(f"/b{broker_id}/d{n}" for n in range(plan.log_directories))
            self._cluster.add_machine(broker_id, {"log.dirs": directories, **plan.settings})
        for machine in self._cluster.machines.values():
            machine.start()
        await self._until(
            lambda: all(each.is_serving for each in self._cluster.machines.values()),
            _START_S,
            "not all brokers started",
        )
        while len(self._administrator.lasting_topics()) < plan.topics:
            await self._administrator.create_topic("t")
        for kind in plan.other_topics:
            await self._administrator.create_topic(kind)

    def _make_clients(self) -> list[Client]:
        names = [f"p{n}" for n in range(self._plan.producers)]
        names += [f"c{n}" for n in range(self._plan.consumers)]
        for name in names:
            kind = Producer if name.startswith("p") else Consumer
            self._clients.append(self._client(kind, name))
        for number in range(self._plan.idempotent_producers):
            producer = self._client(IdempotentProducer, f"i{number}")
            producer.take_id = self._administrator.take_producer_id
            producer.leadership_of = self._known_leadership
            producer.expects_damage = self._plan.has_damage
            producer.partitions = self._lasting_partitions
            self._idempotent.append(producer)
        for number in range(self._plan.client_producers):
            client = self._client(ClientProducer, f"k{number}")
            client.take_id = self._administrator.take_producer_id
            client.leader_of = self._leader_address
            client.partitions = self._lasting_partitions
            self._idempotent.append(client)
        return [*self._clients, *self._idempotent]

    def _client(self, kind: type[ClientKind], name: str) -> ClientKind:
        client = kind(
            name,
            self._cluster.network,
            self.history,
            self._cluster.trace,
            [machine.address for machine in self._cluster.machines.values()],
            self._partitions,
            self._cluster.random_for(name),
        )
        client.life_of = self._life_of
        if isinstance(client, Consumer):
            client.leadership_of = self._leadership
            client.start_of = self._start_of
            client.expects_damage = self._plan.has_damage
        return client

    def _leadership(self, partition: TopicPartition, address: str) -> int | None:
        state = self._states.states.get(partition)
        if (
            state is None
            or state.leader == NO_LEADER
            or address != self._cluster.machines[state.leader].address
        ):
            return None
        return state.leader_epoch

    def _leader_address(self, partition: TopicPartition) -> str | None:
        state = self._states.states.get(partition)
        if state is None or state.leader == NO_LEADER:
            return None
        return self._cluster.machines[state.leader].address

    def _known_leadership(self, partition: TopicPartition, address: str) -> int | None:
        """As `_leadership`, where the broker has heard of it."""
        epoch = self._leadership(partition, address)
        if epoch is None:
            return None
        broker = self._cluster.machines[self._states.states[partition].leader].broker
        held = broker.partitions.held(partition) if broker is not None else None
        is_known = held is not None and held.is_leader and held.leader_epoch == epoch
        return epoch if is_known else None

    def _partitions(self) -> list[TopicPartition]:
        return sorted(
            each for each in self._states.placements if each.topic not in self.history.deleted
        )

    def _lasting_partitions(self) -> list[TopicPartition]:
        """Those that keep every record: what is numbered is to be found again."""
        names = self._administrator.lasting_topics()
        return [each for each in self._partitions() if each.topic in names]

    def _life_of(self, partition: TopicPartition) -> str | None:
        """See Client: which topic of its name it is of, after which unclean election."""
        states = self._states
        topic_id = states.topic_ids.get(partition.topic)
        state = states.states.get(partition)
        for machine in self._cluster.machines.values():
            held = None if machine.broker is None else machine.broker.partitions.held(partition)
            if held is None:
                continue
            if held.log.topic_id != topic_id:
                return None
            if partition.topic in states.unclean and held.is_leader:
                now = (machine.id, held.leader_epoch)
                if state is None or now != (state.leader, state.leader_epoch):
                    return None
        return topic_id and f"{topic_id}/{states.unclean_elections[partition]}"

    def _start_of(self, partition: TopicPartition) -> int:
        """See Consumer."""
        starts = [self.history.of(partition).start]
        for machine in self._cluster.machines.values():
            held = None if machine.broker is None else machine.broker.partitions.held(partition)
            if held is not None:
                starts.append(held.offsets.start)
        return max(starts)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            self._standing.check()
            self._end_if_failed()

    def _end_if_failed(self) -> None:
        if self._cluster.failures:
            raise _EndedError("see above")

    # -- the end --------------------------------------------------------------------------------

    async def _until_healthy(self) -> None:
        await self._until(
            lambda: not self._ailing(),
            _RECOVERY_S,
            lambda: f"it does not recover: {self._ailing()}",
        )

    def _ailing(self) -> str:
        """What is not as it should be; empty when all is."""
        for machine in self._cluster.machines.values():
            if not machine.is_serving:
                return f"{machine} does not serve"
        stored = self._cluster.ensemble.model
        wished = [path for path in _REQUESTS if stored.get(path) is not None]
        wished += stored.children(paths.DELETE_TOPICS) or []
        if wished:
            return f"{wished} should be carried out and gone"
        for partition, placement in sorted(self._states.placements.items()):
            state = self._states.states.get(partition)
            if state is None or state.leader == NO_LEADER:
                return f"{partition} has no leader: {state}"
            if placement.is_moving:
                return f"{partition} is still moving: {placement} {state}"
            if set(state.isr) != set(placement.replicas):
                return f"{partition} is not in sync on {placement.replicas}: {state}"
        return ""

    async def _reckon(self) -> None:
        """Write once more to every partition, read everything back, compare all disks."""
        loop, trace = self._cluster.loop, self._cluster.trace
        trace.note("checker", "the reckoning")
        producer, consumer = self._client(Producer, "last"), self._client(Consumer, "reader")
        for partition in self._partitions():
            deadline = loop.time() + _RECOVERY_S
            while not await producer.write(partition, 1, acks_all=True):
                if loop.time() > deadline:
                    self._cluster.fail(f"{partition} takes no record any more")
                    return
                await asyncio.sleep(_POLL_S)
        for partition in self._partitions():
            await self._read_back(consumer, partition)
        await asyncio.sleep(2.0)
        await self._until_healthy()
        for partition in self._partitions():
            self._compare(partition)

    async def _read_back(self, consumer: Consumer, partition: TopicPartition) -> None:
        promised = self.history.promised(partition)
        end = max(promised, default=-1) + 1
        position, deadline = 0, self._cluster.loop.time() + _RECOVERY_S
        while position < end:
            position = max(position, self._start_of(partition))
            position = await consumer.read(partition, position, 300) or position
            if self._cluster.loop.time() > deadline:
                self._cluster.fail(f"INV-1 {partition} cannot be read from {position} to {end}")
                return
            await asyncio.sleep(0.01)
        seen = self.history.of(partition).seen
        values = list(seen.values())
        if len(set(values)) < len(values):
            self._cluster.fail(f"INV-6 {partition} holds a record twice")
        for producer in self._idempotent:
            check_order(producer, partition, seen, self._cluster.fail)
        for offset, value in self.history.promised(partition).items():
            if seen.get(offset) != value:
                self._cluster.fail(
                    f"INV-1 {partition}@{offset} is {seen.get(offset)!r}, not {value!r}"
                )

    def _compare(self, partition: TopicPartition) -> None:
        end = self.history.of(partition).safe_end
        for replica in self._states.placements[partition].replicas:
            machine = self._cluster.machines[replica]
            check_promises(self._cluster, self.history, machine, partition)
            if partition.topic.startswith("short"):
                wrong = check_retention(machine, partition, RETAINED_BYTES - _CUT_BYTES)
                if wrong is not None:
                    self._cluster.fail(wrong)
        check_replicas(self._cluster, self._states, partition, end)

    async def _until(
        self, is_so: Callable[[], bool], timeout_s: float, otherwise: str | Callable[[], str]
    ) -> None:
        loop = self._cluster.loop
        deadline = loop.time() + timeout_s
        while not is_so():
            self._end_if_failed()
            if loop.time() > deadline:
                self._cluster.fail(otherwise if isinstance(otherwise, str) else otherwise())
                raise _EndedError
            await asyncio.sleep(_POLL_S)


def _traceback_of(error: Exception) -> str:
    return "".join(traceback.format_exception(error))
