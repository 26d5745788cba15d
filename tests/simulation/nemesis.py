"""Does to a cluster what happens to clusters: all that a seed chooses."""

import asyncio
import errno
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Final

from kafkalite.model.ids import TopicPartition
from kafkalite.storage.checkpoint import HIGH_WATERMARKS, read_offsets
from tests.simulation.administrator import Administrator
from tests.simulation.checkers import LogOnDisk, Place, StateChecker
from tests.simulation.cluster import Cluster
from tests.simulation.machine import Machine

Fault = Callable[[], Coroutine[Any, Any, None]]

_ALL_AT_ONCE: Final = 0.04


class Nemesis:
    """Owns the faults that are in force; one task for each. Belongs to the world."""

    def __init__(
        self,
        cluster: Cluster,
        states: StateChecker,
        administrator: Administrator,
        random: Random,
        kinds: Sequence[str],
    ) -> None:
        """Build; `kinds` are names of methods of this class, one chosen for each fault."""
        self._cluster = cluster
        self._states = states
        self._administrator = administrator
        self._random = random
        self._faults: list[Fault] = [getattr(self, f"_{kind}") for kind in kinds]
        self._victim: Machine | None = None
        """The one whose disk is damaged: what is on others is not to be lost with it."""
        self._troubled: set[int] = set()
        """Brokers that have their share already."""

    async def run(self, until_s: float, pause_s: float, at_most: int) -> None:
        """Do harm until a time, to so many brokers at once at most."""
        loop = self._cluster.loop
        tasks: list[asyncio.Task[None]] = []
        while loop.time() < until_s:
            await asyncio.sleep(self._random.expovariate(1 / pause_s))
            if len(self._troubled) < at_most or self._random.random() < _ALL_AT_ONCE:
                fault = self._random.choice(self._faults)
                tasks.append(loop.world.spawn(fault(), "fault"))
        await asyncio.gather(*tasks)

    async def heal(self) -> None:
        """Mend all that is broken, and start all that is down."""
        cluster = self._cluster
        cluster.trace.note("nemesis", "heals everything")
        cluster.network.cut.clear()
        cluster.network.slowness.clear()
        cluster.ensemble.slowness = 1.0
        if not cluster.ensemble.is_available:
            cluster.ensemble.recover()
        for name in list(cluster.ensemble.unreachable):
            cluster.ensemble.reconnect(name)
        for machine in cluster.machines.values():
            machine.disk.heal()
            machine.disk_delay_s = 0.002
            machine.turn_on()
            machine.resume()
            if machine.has_failed_directory:
                machine.kill()
            machine.start()

    # -- choosing -------------------------------------------------------------------------------

    def _pick(self) -> Machine | None:
        """A broker that has no trouble yet."""
        free = [each for each in self._cluster.machines.values() if each.id not in self._troubled]
        return self._random.choice(free) if free else None

    async def _trouble(self, machine: Machine, shortest_s: float, longest_s: float) -> None:
        """Let a trouble last; mostly short, sometimes as long as may be."""
        self._troubled.add(machine.id)
        random = self._random
        length_s = random.uniform(shortest_s, random.uniform(shortest_s, longest_s))
        await asyncio.sleep(length_s)
        self._troubled.discard(machine.id)

    def _note(self, text: str) -> None:
        self._cluster.trace.note("nemesis", text)

    # -- processes and machines -----------------------------------------------------------------

    async def _kill(self) -> None:
        machine = self._pick()
        if machine is not None and machine.is_running:
            machine.kill()
            await self._trouble(machine, 0.0, 15.0)
            machine.start()

    async def _topple(self) -> None:
        """Kill a leader, and soon after it the next one, while another replica is slow to hear."""
        partitions = [name for name, each in self._states.placements.items() if each.replicas[1:]]
        if not partitions:
            return
        partition = self._random.choice(sorted(partitions))
        toppled: list[Machine] = []
        slow = self._slow_follower(partition)
        for _ in range(self._random.randint(1, 2)):
            leader = await self._leader_other_than(partition, toppled)
            if leader is None or leader.id in self._troubled:
                break
            await asyncio.sleep(self._random.uniform(0.0, self._random.choice((0.02, 0.3))))
            if leader.is_running:
                leader.kill()
                self._troubled.add(leader.id)
                toppled.append(leader)
        await asyncio.sleep(self._random.uniform(0.1, 5.0))
        for way in slow:
            self._cluster.network.slowness.pop(way, None)
        self._random.shuffle(toppled)
        for machine in toppled:
            self._troubled.discard(machine.id)
            machine.start()

    def _slow_follower(self, partition: TopicPartition) -> list[tuple[str, str]]:
        """Slow the network of one replica that does not lead; gives the ways."""
        state = self._states.states.get(partition)
        replicas = self._states.placements[partition].replicas
        followers = [each for each in replicas if state is None or each != state.leader]
        name = self._cluster.machines[self._random.choice(followers)].name
        ways = [(name, other) for other in self._names()] + [(o, name) for o in self._names()]
        factor = self._random.choice((30.0, 300.0, 1000.0))
        self._note(f"slows {name}'s network by {factor}, and topples the leaders of {partition}")
        self._cluster.network.slowness.update(dict.fromkeys(ways, factor))
        return ways

    async def _leader_other_than(
        self, partition: TopicPartition, toppled: Sequence[Machine]
    ) -> Machine | None:
        """Wait for a leader that is none of those; None: there is none for long."""
        for _ in range(600):
            state = self._states.states.get(partition)
            if state is not None and state.leader in self._cluster.machines:
                machine = self._cluster.machines[state.leader]
                if machine not in toppled:
                    return machine
            await asyncio.sleep(0.005)
        return None

    async def _power(self) -> None:
        machine = self._pick()
        if machine is not None:
            machine.crash()
            await self._trouble(machine, 0.2, 15.0)
            machine.turn_on()
            machine.start()

    async def _die_while_writing(self) -> None:
        await self._die_at_operation(power=False)

    async def _lose_power_while_writing(self) -> None:
        await self._die_at_operation(power=True)

    async def _die_at_operation(self, *, power: bool) -> None:
        machine = self._pick()
        if machine is not None and machine.is_running:
            count = self._random.randint(0, self._random.choice((3, 30)))
            self._note(f"{machine} will die in its operation {count} from now (power={power})")
            machine.die_at_operation(count, power=power)
            await self._trouble(machine, 1.0, 10.0)
            machine.disk.crash_at = None
            machine.turn_on()
            machine.start()

    async def _stop(self) -> None:
        machine = self._pick()
        if machine is not None and machine.is_running:
            machine.stop()
            await self._trouble(machine, 0.05, 15.0)
            machine.resume()

    async def _terminate(self) -> None:
        machine = self._pick()
        if machine is not None and machine.is_serving:
            machine.terminate()
            for _ in range(300):
                await asyncio.sleep(0.1)
                if not machine.is_running:
                    break
            await self._trouble(machine, 0.0, 3.0)
            machine.start()

    async def _kill_all(self) -> None:
        await self._restart_all(Machine.kill)

    async def _power_all(self) -> None:
        """A power failure while every disk is behind."""
        machines = list(self._cluster.machines.values())
        delay_s = self._random.choice((0.002, 0.02, 0.2, 1.0))
        for machine in machines:
            machine.disk_delay_s = max(delay_s, machine.disk_delay_s)
        self._note(f"slows all disks to {delay_s} s")
        await asyncio.sleep(self._random.uniform(0.02, 0.2 + 3 * delay_s))
        await self._restart_all(Machine.crash)

    async def _restart_all(self, end: Callable[[Machine], None]) -> None:
        machines = list(self._cluster.machines.values())
        for machine in machines:
            end(machine)
            machine.disk_delay_s = 0.002
        await asyncio.sleep(self._random.uniform(0.1, 5.0))
        self._random.shuffle(machines)
        for machine in machines:
            if machine.id not in self._troubled:
                machine.turn_on()
                machine.start()
                await asyncio.sleep(self._random.choice((0.0, 0.5, 3.0)))

    # -- the network ----------------------------------------------------------------------------

    async def _isolate(self) -> None:
        machine = self._pick()
        if machine is None:
            return
        with_zookeeper = self._random.random() < 0.5
        inwards, outwards = self._random.choice(((True, True), (True, False), (False, True)))
        others = [name for name in self._names() if name != machine.name]
        ways = {(other, machine.name) for other in others if inwards}
        ways |= {(machine.name, other) for other in others if outwards}
        self._note(f"isolates {machine}: in={inwards} out={outwards} zookeeper={with_zookeeper}")
        self._cluster.network.cut |= ways
        if with_zookeeper:
            self._cluster.ensemble.cut_off(machine.name)
        await self._trouble(machine, 0.2, 20.0)
        self._note(f"lets {machine} be reached again")
        self._cluster.network.cut -= ways
        self._cluster.ensemble.reconnect(machine.name)

    async def _cut(self) -> None:
        machine = self._pick()
        if machine is None or len(self._cluster.machines) < 2:
            return
        other = self._random.choice([n for n in self._names() if n != machine.name])
        both = [(machine.name, other), (other, machine.name)]
        ways = set(self._random.choice((both, both[:1], both[1:])))
        self._note(f"cuts {sorted(ways)}")
        self._cluster.network.cut |= ways
        await self._trouble(machine, 0.2, 20.0)
        self._note(f"mends {sorted(ways)}")
        self._cluster.network.cut -= ways

    async def _slow_network(self) -> None:
        machine = self._pick()
        if machine is None:
            return
        factor = self._random.choice((10, 100, 1000))
        slowness = self._cluster.network.slowness
        ways = [(machine.name, other) for other in self._names()]
        ways += [(other, machine.name) for other in self._names()]
        self._note(f"slows {machine}'s network by {factor}")
        slowness.update(dict.fromkeys(ways, float(factor)))
        await self._trouble(machine, 0.5, 10.0)
        for way in ways:
            slowness.pop(way, None)

    def _names(self) -> list[str]:
        return [machine.name for machine in self._cluster.machines.values()] + ["p0", "c0"]

    # -- ZooKeeper ------------------------------------------------------------------------------

    async def _leave_zookeeper(self) -> None:
        machine = self._pick()
        if machine is not None:
            self._note(f"cuts {machine} off from ZooKeeper")
            self._cluster.ensemble.cut_off(machine.name)
            await self._trouble(machine, 0.2, 20.0)
            self._cluster.ensemble.reconnect(machine.name)

    async def _drop_zookeeper(self) -> None:
        for client in self._cluster.ensemble.live_clients():
            if self._random.random() < 0.4:
                self._note(f"breaks {client.process.name}'s connection to ZooKeeper")
                self._cluster.ensemble.drop_connection(client)

    async def _expire(self) -> None:
        clients = self._cluster.ensemble.live_clients()
        if clients:
            client = self._random.choice(clients)
            self._note(f"has ZooKeeper forget {client.process.name}'s session")
            self._cluster.ensemble.expire(client)

    async def _lose_quorum(self) -> None:
        if self._cluster.ensemble.is_available:
            self._note("takes ZooKeeper's quorum away")
            self._cluster.ensemble.fail()
            await asyncio.sleep(self._random.uniform(0.1, 10.0))
            if not self._cluster.ensemble.is_available:
                self._cluster.ensemble.recover()

    async def _slow_zookeeper(self) -> None:
        self._cluster.ensemble.slowness = self._random.choice((10.0, 100.0, 500.0))
        await asyncio.sleep(self._random.uniform(0.5, 5.0))
        self._cluster.ensemble.slowness = 1.0

    # -- clocks and disks -----------------------------------------------------------------------

    async def _jump(self) -> None:
        machine = self._random.choice(list(self._cluster.machines.values()))
        machine.skew_ms += self._random.choice((-1, 1)) * self._random.randint(0, 7_200_000)
        self._note(f"sets {machine}'s clock to {machine.skew_ms} ms off")

    async def _slow_disk(self) -> None:
        machine = self._pick()
        if machine is not None:
            machine.disk_delay_s = self._random.choice((0.05, 0.5, 5.0))
            self._note(f"slows {machine}'s disk to {machine.disk_delay_s} s")
            await self._trouble(machine, 0.5, 10.0)
            machine.disk_delay_s = 0.002

    async def _fail_disk(self) -> None:
        machine = self._pick()
        if machine is not None:
            operation = self._random.choice(("sync", "writev", "sync", "open", "truncate"))
            self._note(f"lets {machine}'s next {operation} fail")
            machine.disk.fail_next(operation, errno.EIO)
            await self._trouble(machine, 1.0, 10.0)
            machine.kill()
            machine.start()

    async def _fill_disk(self) -> None:
        machine = self._pick()
        if machine is not None:
            machine.disk.room = self._random.randint(0, 5_000)
            self._note(f"leaves {machine.disk.room} bytes on {machine}'s disk")
            await self._trouble(machine, 0.5, 10.0)
            machine.disk.room = None

    async def _flip(self) -> None:
        """Flip a bit of what every other replica has; always on the same machine.

        And only below what it has noted as committed: above that, what is damaged cannot be told
        from what was torn off by a crash, and goes.
        """
        if self._victim is None:
            self._victim = self._random.choice(list(self._cluster.machines.values()))
        victim = self._victim
        places = [
            place
            for partition, placement in sorted(self._states.placements.items())
            if victim.id in placement.replicas and len(placement.replicas) > 1
            for place in self._places_held_by_all(victim, partition, placement.replicas)
        ]
        if places:
            path, position, header = self._random.choice(places)
            victim.is_damaged = True
            offset = position + self._random.randrange(header.size)
            self._note(f"flips a bit of {path} at {offset}, offset {header.base_offset}")
            victim.disk.flip_bit(path, offset, self._random.randrange(8))

    def _places_held_by_all(
        self, victim: Machine, partition: TopicPartition, replicas: Sequence[int]
    ) -> list[Place]:
        others = [
            LogOnDisk(self._cluster.machines[replica], partition)
            for replica in replicas
            if replica != victim.id
        ]
        # Of a copy: an error that waits for the broker's next call is not to be met here.
        disk = victim.disk.after_kill()
        noted = [
            read_offsets(disk, directory / HIGH_WATERMARKS).get(partition, 0)
            for directory in victim.settings.log_directories
        ]
        end = min(max(noted), *(other.end for other in others))
        log = LogOnDisk(victim, partition)
        return [place for place in log.places if place.header.next_offset <= end]

    # -- people ---------------------------------------------------------------------------------

    async def _administer(self) -> None:
        await self._administrator.do_something()
