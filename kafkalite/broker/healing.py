"""What follows when a replica here has lost something: others lead, and it is counted no more."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.model.cluster import PartitionState
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest, ReplicaDamaged

_LOOK_AFTER_S: Final = 1.0
"""How often it is looked for what could not be opened, takes nothing, or has healed."""
_LOOKS_BETWEEN_TRIES: Final = 10
"""So many looks after the controller was told, and nothing came of it, it is told again."""
_ASKED_AT_ONCE: Final = 8

_log = logging.getLogger(__name__)


class Holdings(Protocol):
    """What it needs of the partition table."""

    def __iter__(self) -> Iterator[Partition]:
        """All that are held."""

    @property
    def failures(self) -> Mapping[TopicPartition, KafkaStorageError]:
        """Partitions that belong here but cannot be served."""


class _Told(NamedTuple):
    """What was done about a partition, in which state of it."""

    state: PartitionState
    again_at: float
    """In which look at everything it is done again, if the state is still the same."""


class Healing:
    """Tells the controller of replicas here that must not lead, or be waited for, any longer.

    A leader whose log is damaged or failed hands over to another member of the ISR; then it
    follows, and what is damaged is fetched anew (`following.py`). A follower whose log failed, or
    could not be opened, or whose disk is full, leaves the ISR at once. Alone in the ISR, a replica
    goes on with what it has. A follower that is only damaged needs no controller: what it fetches
    tells its leader.

    Owns one task between `start()` and `stop()`. On the event loop.
    """

    def __init__(
        self,
        partitions: Holdings,
        view: MetadataView,
        ask: Callable[[ControllerRequest], Awaitable[ControllerReply]],
        own_id: Callable[[], BrokerId],
    ) -> None:
        """Assign only.

        Args:
            partitions: those held here, and those that cannot be served.
            view: the cluster, for the states of those.
            ask: has the controller do something; bounded in time.
            own_id: of this broker.
        """
        self._partitions = partitions
        self._view = view
        self._ask = ask
        self._own_id = own_id
        self._ailing: dict[TopicPartition, Partition] = {}
        """Held ones whose logs are damaged, have failed, or take nothing."""
        self._told: dict[TopicPartition, _Told] = {}
        self._looks = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def look(self, partition: Partition) -> None:
        """Something happened to a partition, or to its place in the cluster. Cheap."""
        topic_partition = partition.topic_partition
        if _ails(partition):
            self._ailing[topic_partition] = partition
            self._news.set()
        elif topic_partition in self._ailing:
            self._news.set()

    def start(self) -> None:
        """Begin; there is a session."""
        self._task = asyncio.create_task(self._run(), name="healing")

    async def stop(self) -> None:
        """Tell nobody anything any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                await self.look_at_all()
            except Exception:  # noqa: BLE001 - whatever it is, the others have to heal
                _log.exception("Looking after damaged replicas failed, will be tried again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AFTER_S):
                    await self._news.wait()

    async def look_at_all(self) -> None:
        """Do what there is to be done for all replicas that ail."""
        self._looks += 1
        # A disk that is full refuses again and again: nobody is told each time.
        self._ailing |= {each.topic_partition: each for each in self._partitions if each.refusal}
        self._forget_healed()
        due = [(name, state) for name, state in self._unfit() if self._is_due(name, state)]
        at_once = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def tell(name: TopicPartition, state: PartitionState) -> None:
            async with at_once:
                await self._tell(name, state)

        if due:
            await asyncio.gather(*(tell(name, state) for name, state in due))

    def _forget_healed(self) -> None:
        for name, partition in list(self._ailing.items()):
            if partition.state is None or not _ails(partition):
                del self._ailing[name]
                if partition.state is not None:
                    _log.info("%s is sound again", name)
        ailing = self._ailing.keys() | self._partitions.failures.keys()
        self._told = {name: told for name, told in self._told.items() if name in ailing}

    def _unfit(self) -> Iterator[tuple[TopicPartition, PartitionState]]:
        """Replicas that the stored state counts on, and cannot, with that state."""
        own_id = self._own_id()
        for name, partition in list(self._ailing.items()):
            state = partition.state
            if state is None or own_id not in state.isr:
                continue
            if partition.is_leader or partition.log.failure or partition.refusal:
                yield name, state
        for name in list(self._partitions.failures):
            stored = self._view.states.get(name)
            if stored is not None and own_id in stored.isr:
                yield name, stored

    def _is_due(self, name: TopicPartition, state: PartitionState) -> bool:
        told = self._told.get(name)
        if told is None or told.state != state:
            return True
        return self._looks >= told.again_at

    async def _tell(self, name: TopicPartition, state: PartitionState) -> None:
        own_id = self._own_id()
        if len(state.isr) == 1:
            self._told[name] = _Told(state, math.inf)
            _log.error(
                "%s: %s; no other replica is in sync, so it goes on with what it has",
                name, self._reason(name),
            )  # fmt: skip
            return
        _log.warning(
            "%s: %s; telling the controller, so that it counts on %s only",
            name, self._reason(name), [member for member in state.isr if member != own_id],
        )  # fmt: skip
        reply = await self._ask(ReplicaDamaged(*name, own_id, state.leader_epoch))
        # Whatever it answered: it may not have known yet that this replica is in sync.
        self._told[name] = _Told(state, self._looks + _LOOKS_BETWEEN_TRIES)
        if reply.error_code:
            _log.warning("%s: the controller answered %s", name, reply.message)

    def _reason(self, name: TopicPartition) -> str:
        partition = self._ailing.get(name)
        if partition is None:
            return self._partitions.failures[name].detail
        error = partition.log.failure or partition.refusal
        if error is not None:
            return error.detail
        return f"offsets {', '.join(map(str, partition.log.damaged))} are damaged here"


def _ails(partition: Partition) -> bool:
    log = partition.log
    return bool(log.damaged) or log.failure is not None or partition.refusal is not None
