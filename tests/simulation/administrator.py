"""Somebody who creates, moves and deletes topics in the middle of everything."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

from kafkalite.broker.broker import Broker
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from tests.simulation.checkers import StateChecker
from tests.simulation.cluster import Cluster
from tests.simulation.history import History

_MAX_TOPICS: Final = 5
_MAX_PARTITIONS: Final = 8
_TIMEOUT_MS: Final = 5_000


class Administrator:
    """Asks brokers that run for what their administration offers. Belongs to the world."""

    def __init__(
        self,
        cluster: Cluster,
        states: StateChecker,
        history: History,
        random: Random,
        replication_factor: int,
        topic_config: dict[str, str],
    ) -> None:
        self._cluster = cluster
        self._states = states
        self._history = history
        self._random = random
        self._replication_factor = replication_factor
        self._topic_config = topic_config
        self._made = 0

    async def ask(self, what: str, work: Callable[[Broker], Awaitable[Any]]) -> tuple[bool, Any]:
        """Have some broker do something; tells whether it said that it did."""
        ready = [each for each in self._cluster.machines.values() if each.is_serving]
        if not ready:
            return False, None
        machine = self._random.choice(ready)
        process, broker = machine.process, machine.broker
        assert process is not None
        assert broker is not None
        note = self._cluster.trace.note
        note("admin", f"asks {process.name} to {what}")

        async def do() -> Any:
            return await work(broker)

        task = process.spawn(do(), "admin")
        done, _ = await asyncio.wait({task}, timeout=_TIMEOUT_MS / 1000 + 5)
        if not done:
            note("admin", f"{what}: no answer")
            task.cancel()
            return False, None
        if task.cancelled():
            return False, None
        error = task.exception()
        if isinstance(error, LogError):
            note("admin", f"{what}: {error.name} {error.detail}")
            return False, None
        if error is not None:
            raise error
        return True, task.result()

    def topics(self) -> list[str]:
        """Topics that nobody asked to delete."""
        names = {partition.topic for partition in self._states.placements}
        return sorted(names - self._history.deleted)

    # -- what is done ---------------------------------------------------------------------------

    async def do_something(self) -> None:
        """One of the things below."""
        things = [
            self.create_topic, self.delete_topic, self._add_partitions, self._move, self._move,
            self._move, self._cancel, self._prefer,
        ]  # fmt: skip
        await self._random.choice(things)()

    async def create_topic(self) -> bool:
        if len(self.topics()) >= _MAX_TOPICS:
            return False
        self._made += 1
        name, count = f"t{self._made}", self._random.randint(1, 3)
        is_done, _ = await self.ask(
            f"create {name} with {count} partitions",
            lambda broker: broker.topics.create_topic(
                name,
                count,
                self._replication_factor,
                None,
                self._topic_config,
                timeout_ms=_TIMEOUT_MS,
            ),
        )
        return is_done

    async def take_producer_id(self) -> int | None:
        """Have some broker give out a producer id."""
        producer_id: int | None
        _, producer_id = await self.ask(
            "give out a producer id", lambda broker: broker.producer_ids.take()
        )
        return producer_id

    async def delete_topic(self) -> None:
        """Delete one, unless it is the last."""
        names = self.topics()
        if len(names) < 2:
            return
        name = self._random.choice(names)
        self._history.deleted.add(name)
        await self.ask(
            f"delete {name}",
            lambda broker: broker.topics.delete_topic(name, timeout_ms=_TIMEOUT_MS),
        )

    async def _add_partitions(self) -> None:
        names = self.topics()
        if not names:
            return
        name = self._random.choice(names)
        count = sum(1 for each in self._states.placements if each.topic == name) + 1
        if count <= _MAX_PARTITIONS:
            await self.ask(
                f"give {name} {count} partitions",
                lambda broker: broker.topics.create_partitions(name, count, timeout_ms=_TIMEOUT_MS),
            )

    async def _move(self) -> None:
        partition = self._some_partition()
        if partition is None:
            return
        brokers = sorted(self._cluster.machines)
        self._random.shuffle(brokers)
        target = brokers[: self._replication_factor]
        await self.ask(
            f"move {partition} to {target}",
            lambda broker: broker.reassignments.execute({partition: target}),
        )

    async def _cancel(self) -> None:
        await self.ask(
            "cancel all moves",
            lambda broker: broker.reassignments.cancel(None, timeout_ms=_TIMEOUT_MS),
        )

    async def _prefer(self) -> None:
        from kafkalite.wire.controller_messages import ElectLeaders  # noqa: PLC0415

        await self.ask(
            "elect preferred leaders",
            lambda broker: broker.controller_client.ask(ElectLeaders("preferred")),
        )

    def _some_partition(self) -> TopicPartition | None:
        names = self.topics()
        partitions = [each for each in self._states.placements if each.topic in names]
        return self._random.choice(partitions) if partitions else None
