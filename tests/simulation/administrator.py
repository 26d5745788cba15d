"""Somebody who creates, moves and deletes topics in the middle of everything."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

from kafkalite.broker.broker import Broker
from kafkalite.coordination import paths
from kafkalite.coordination.operations import Create
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from tests.simulation.checkers import StateChecker
from tests.simulation.cluster import Cluster
from tests.simulation.history import History
from tests.simulation.zookeeper import RefusedError

_MAX_TOPICS: Final = 5
_MAX_PARTITIONS: Final = 8
_TIMEOUT_MS: Final = 5_000
RETAINED_BYTES: Final = 3_000
"""What a `short` topic keeps of each partition, at least."""


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
        self.kinds: tuple[str, ...] = ("t",)
        """Of topics that there may be; see `create_topic`."""

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

    def lasting_topics(self) -> list[str]:
        """Those of them whose records are promised for ever."""
        return [name for name in self.topics() if name.startswith("t")]

    # -- what is done ---------------------------------------------------------------------------

    async def do_something(self) -> None:
        """One of the things below."""
        things: list[Callable[[], Awaitable[Any]]] = [
            self.create_topic, self.delete_topic, self._add_partitions, self._move, self._move,
            self._move, self._cancel, self._prefer, self._make_anew, self._make_anew,
            self._write_moves, self._write_election,
        ]  # fmt: skip
        await self._random.choice(things)()

    async def create_topic(self, kind: str | None = None) -> bool:
        """Create a topic; what is promised of it is in its name.

        Of `t` everything is; `again` is deleted and made anew under its name; `short` keeps its
        latest few records; of `risky` an unclean election may take records.
        """
        if len(self.topics()) >= _MAX_TOPICS:
            return False
        kind = kind or self._random.choice(self.kinds)
        self._made += 1
        return await self._create(f"{kind}{self._made}")

    async def _make_anew(self) -> None:
        """Delete an `again`, or create one that is gone, or that is still going."""
        names = sorted(
            {name for name in (*self.topics(), *self._history.deleted) if name.startswith("again")}
        )
        if not names:
            return
        name = self._random.choice(names)
        if name in self._history.deleted:
            await self._create(name)
        else:
            await self._delete(name)

    async def _create(self, name: str) -> bool:
        count = self._random.randint(1, 3)
        config = dict(self._topic_config)
        if name.startswith("short"):
            config |= {"retention.bytes": str(RETAINED_BYTES), "segment.bytes": "600"}
        elif name.startswith("risky"):
            config["unclean.leader.election.enable"] = "true"
            self._states.unclean.add(name)
        is_done, _ = await self.ask(
            f"create {name} with {count} partitions",
            lambda broker: broker.topics.create_topic(
                name,
                count,
                self._replication_factor,
                None,
                config,
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
        """Delete one, unless it is the last of those whose records are promised for ever."""
        names = self.topics()
        if len(self.lasting_topics()) < 2:
            names = [name for name in names if not name.startswith("t")]
        if names:
            await self._delete(self._random.choice(names))

    async def _delete(self, name: str) -> None:
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

    async def _write_moves(self) -> None:
        """List moves in ZooKeeper, as tools before KIP-455 do."""
        moves = []
        for partition in sorted({each for _ in range(3) if (each := self._some_partition())}):
            brokers = sorted(self._cluster.machines)
            self._random.shuffle(brokers)
            target = brokers[: self._replication_factor]
            moves.append({**partition._asdict(), "replicas": target})
        self._write(paths.REASSIGN_PARTITIONS, moves)

    async def _write_election(self) -> None:
        partition = self._some_partition()
        if partition is not None:
            self._write(paths.PREFERRED_REPLICA_ELECTION, [partition._asdict()])

    def _write(self, path: str, partitions: list[dict[str, Any]]) -> None:
        ensemble = self._cluster.ensemble
        if not ensemble.is_available:
            return
        data = json.dumps({"version": 1, "partitions": partitions})
        session = ensemble.model.begin_session(1.0)
        try:
            ensemble.model.commit([Create(path, data.encode())], session)
        except RefusedError as error:
            self._cluster.trace.note("admin", f"writes no {path}: {error}")
        else:
            self._cluster.trace.note("admin", f"writes {path}: {data}")
        finally:
            ensemble.model.end_session(session)

    def _some_partition(self) -> TopicPartition | None:
        names = self.topics()
        partitions = [each for each in self._states.placements if each.topic in names]
        return self._random.choice(partitions) if partitions else None
