"""One partition on a few brokers, replicated by hand: each step is a command of a scenario.

The partitions, their replication and their logs are the real ones, each on a disk in memory. The
brokers have no tasks and no network, and the store is one variable: nothing happens but at command.
Offsets are shown as `value/epoch`, one record a batch, so that a log reads `a/0 b/0 c/2`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.replication.leading import ReplicaRead
from kafkalite.config.topic_config import topic_settings
from kafkalite.config.views import FlushPolicy
from kafkalite.controller.events import StateChange
from kafkalite.model.cluster import Broker, PartitionState
from kafkalite.model.errors import LogError
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.replication.position import Position
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.wire.messages import FetchResult
from kafkalite.wire.records import decode_batches
from kafkalite.wire.validate import check_replicated
from tests.support.fake_clock import FakeClock
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOGS, PARTITION, TOPIC_ID, log_file
from tests.support.partitions import NOW_MS, batch_of, broker_settings

LAG_MS = 10_000
_MAX_BYTES = 1 << 20


class Replica:
    """One broker's replica."""

    def __init__(self, number: int, replica_set: "ReplicaSet") -> None:
        self.number = number
        self.set = replica_set
        self.disk = FaultyDisk()
        self.broker = Broker(BrokerId(number), f"host{number}", 9092, epoch=100 + number)
        self.last_fetch_ms: int | None = None
        """Of its session, named or not."""
        self.waiting: list[tuple[str, asyncio.Future[None]]] = []
        self.asked: tuple[Position, FetchResult] | None = None
        """Where it asked from, and the answer while that is under way."""
        self.is_registered = True
        self.open(is_new=True)

    def open(self, *, is_new: bool) -> None:
        self.directories = LogDirectories([LOGS], self.disk)
        self.directories.open()
        settings = topic_settings(
            broker_settings(LOGS), {"min.insync.replicas": str(self.set.min_insync)}
        )
        if is_new:
            self.directories.assign(self.number, "cluster")
            log = self.directories.create_log(
                PARTITION, TOPIC_ID, settings.log_options, is_new=True
            )
        else:
            ((directory, topic_partition, _),) = self.directories.unopened()
            log = directory.open_log(topic_partition, settings.log_options)
        self.partition = Partition(
            log,
            settings,
            PartitionOptions(self.set.policy, LAG_MS),
            BrokerId(self.number),
            self.set.clock,
            initial_high_watermark=self.directories.high_watermark(log),
            on_append=lambda _partition, _is_awaited: None,
            on_isr_due=lambda _: self.set.said.append(f"{self.number}: in-sync replicas are due"),
        )

    def flush(self) -> None:
        log = self.partition.log
        job = log.flush_job()
        if job is not None:
            job.run()
            log.flushed(job, None)
            self.partition.on_flushed()

    def describe(self) -> str:
        partition, log = self.partition, self.partition.log
        start, high_watermark, end = partition.offsets
        place = f"[{start} {high_watermark} {end}]"
        if log.durable_end_offset < end:
            place += f" durable {log.durable_end_offset}"
        if log.damaged:
            place += f" damaged {' '.join(map(str, log.damaged))}"
        role = "has no leader"
        if partition.leading is not None:
            role = f"leads {partition.leader_epoch} isr {_ids(partition.isr)}"
            if partition.leading.pending is not None:
                role += f" -> {_ids(partition.leading.pending.state.isr)}"
        elif partition.leader_to_follow is not None:
            role = f"follows {partition.leader_to_follow} in {partition.leader_epoch}"
        return f"{self.number} {role}: {self._records() or 'nothing'} {place}"

    def _records(self) -> str:
        log = self.partition.log
        shown = []
        offset = log.start_offset
        while offset < log.end_offset:
            for damage in log.damaged:
                if offset in damage:
                    shown.append("?")
                    offset = damage.end
                    break
            else:
                read = log.read(offset, 0, log.end_offset)
                data = read.read()
                (record,) = decode_batches(data, max_bytes=_MAX_BYTES)
                epoch = int.from_bytes(data[12:16], "big")
                assert record.value is not None
                shown.append(f"{record.value.decode()}/{epoch}")
                offset = read.next_offset
        return " ".join(shown)


class ReplicaSet:
    """Runs the commands; see `run` for what there is. Has to be used on a running loop."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW_MS)
        self.policy = FlushPolicy.COMMIT
        self.min_insync = 1
        self.replicas: dict[int, Replica] = {}
        self.stored: PartitionState | None = None
        self.unwritten: dict[int, StateChange] = {}
        """Changes that a leader has proposed and that have not come to the store."""
        self.said: list[str] = []
        self._described: dict[int, str] = {}

    def close(self) -> None:
        for replica in self.replicas.values():
            replica.directories.close()

    def run(self, line: str) -> list[str]:
        """Carry out one command; gives what it led to, and every replica that is changed by it."""
        name, *words = line.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        operands = [word for word in words if "=" not in word]
        commands: dict[str, Callable[..., None]] = {
            "brokers": self._brokers, "elect": self._elect, "tell": self._tell,
            "append": self._append, "produce": self._produce, "flush": self._flush,
            "fetch": self._fetch, "ask": self._ask, "deliver": self._deliver,
            "session": self._session, "propose": self._propose, "store": self._store,
            "lose": self._lose, "restart": self._restart, "crash": self._crash,
            "unregister": self._unregister, "wait": self._wait, "damage": self._damage,
            "delete": self._delete, "latest": self._latest, "read": self._read,
        }  # fmt: skip
        self.said = [f"> {line}"]
        try:
            commands[name](*operands, **options)
        except LogError as error:
            self.said.append(f"refused: {error.name}")
        for replica in self.replicas.values():
            for what, future in [each for each in replica.waiting if each[1].done()]:
                replica.waiting.remove((what, future))
                failure = future.exception()
                outcome = failure.name if isinstance(failure, LogError) else "acknowledged"
                self.said.append(f"{replica.number}: {what} {outcome}")
            description = replica.describe()
            if self._described.get(replica.number) != description:
                self._described[replica.number] = description
                self.said.append(description)
        return self.said

    # -- the cluster ----------------------------------------------------------------------------

    def _brokers(self, count: str, policy: str = "commit", min_insync: str = "1") -> None:
        """brokers COUNT [policy=] [min_insync=]: all are replicas, the log of each is empty."""
        self.policy = FlushPolicy(policy)
        self.min_insync = int(min_insync)
        self.replicas = {number: Replica(number, self) for number in range(int(count))}

    def _elect(self, leader: str, epoch: str, isr: str, tell: str = "") -> None:
        """elect LEADER epoch= isr=1,2 [tell=]: the controller writes a state; all hear of it."""
        version = -1 if self.stored is None else self.stored.version
        self.stored = PartitionState(
            NO_LEADER if leader == "nobody" else BrokerId(int(leader)),
            LeaderEpoch(int(epoch)),
            tuple(BrokerId(int(each)) for each in isr.split(",")),
            ControllerEpoch(1),
            version + 1,
        )
        self._tell(*(tell.split(",") if tell else map(str, self.replicas)))

    def _tell(self, *brokers: str) -> None:
        """tell BROKER...: they hear of the stored state."""
        assert self.stored is not None
        for each in brokers:
            if each != "nobody":
                replica = self.replicas[int(each)]
                replica.partition.apply(self.stored, self._assignment)

    @property
    def _assignment(self) -> tuple[BrokerId, ...]:
        return tuple(BrokerId(number) for number in self.replicas)

    def _restart(self, broker: str) -> None:
        """restart BROKER: its process dies and comes back, as another incarnation."""
        self._come_back(self.replicas[int(broker)], lambda disk: disk.after_kill())

    def _crash(self, broker: str) -> None:
        """crash BROKER: its machine does; what was not flushed is gone."""
        self._come_back(
            self.replicas[int(broker)], lambda disk: disk.after_crash(seed=0, style="nothing")
        )

    def _come_back(self, replica: Replica, left: Callable[[FaultyDisk], FaultyDisk]) -> None:
        replica.disk = left(replica.disk)
        replica.broker = replace(replica.broker, epoch=replica.broker.epoch + 100)
        replica.waiting, replica.asked, replica.last_fetch_ms = [], None, None
        replica.open(is_new=False)

    def _unregister(self, broker: str) -> None:
        """unregister BROKER: its session is over."""
        self.replicas[int(broker)].is_registered = False

    def _wait(self, milliseconds: str) -> None:
        """wait MILLISECONDS."""
        self.clock.now_ms += int(milliseconds)

    # -- producing and reading ------------------------------------------------------------------

    def _append(self, broker: str, *values: str) -> None:
        """append BROKER VALUE...: with acks=1."""
        for value in values:
            batch, header = batch_of(value.encode())
            self.replicas[int(broker)].partition.append(batch, [header], acks_all=False)

    def _produce(self, broker: str, *values: str) -> None:
        """produce BROKER VALUE...: with acks=all, and say when each is acknowledged."""
        replica = self.replicas[int(broker)]
        for value in values:
            batch, header = batch_of(value.encode())
            appended = replica.partition.append(batch, [header], acks_all=True)
            future = replica.partition.committed(appended.end_offset, 3_600_000)
            if future is None:
                self.said.append(f"{broker}: {value} acknowledged")
            else:
                replica.waiting.append((value, future))

    def _flush(self, *brokers: str) -> None:
        """flush BROKER..."""
        for each in brokers:
            self.replicas[int(each)].flush()

    def _latest(self, broker: str) -> None:
        """latest BROKER: the latest offset, as a consumer asks for it."""
        partition = self.replicas[int(broker)].partition
        partition.check_leads()
        partition.check_offsets_available()
        self.said.append(f"{broker}: latest is {partition.offsets.high_watermark}")

    def _read(self, broker: str, offset: str) -> None:
        """read BROKER OFFSET: what a consumer sees from there on."""
        read = self.replicas[int(broker)].partition.read(int(offset), _MAX_BYTES)
        records = [] if read is None else decode_batches(read.read(), max_bytes=_MAX_BYTES)
        values = " ".join(record.value.decode() for record in records if record.value is not None)
        self.said.append(f"{broker}: a reader gets {values or 'nothing'}")

    def _delete(self, broker: str, before: str) -> None:
        """delete BROKER OFFSET: the records before it."""
        self.replicas[int(broker)].partition.delete_records(int(before))

    def _damage(self, broker: str, offset: str) -> None:
        """damage BROKER OFFSET: one bit of that record flips, and is noticed."""
        log = self.replicas[int(broker)].partition.log
        size = sum(log.read(at, 0, at + 1).size for at in range(log.start_offset, int(offset) + 1))
        self.replicas[int(broker)].disk.flip_bit(log_file(0), size - 1)
        log.inspect(int(offset))

    # -- replicating ----------------------------------------------------------------------------

    def _fetch(self, follower: str, leader: str, flush: str = "yes") -> None:
        """fetch FOLLOWER LEADER [flush=no]: ask, take the answer, and flush."""
        self._ask(follower, leader)
        self._deliver(follower, flush)

    def _ask(self, follower: str, leader: str) -> None:
        """ask FOLLOWER LEADER: the answer stays under way until it is delivered."""
        replica = self.replicas[int(follower)]
        position = replica.partition.position()
        replica.last_fetch_ms = self.clock.now_ms
        self.said.append(
            f"{follower} asks {leader} in {position.leader_epoch}: from {position.offset}, "
            f"epoch {position.last_fetched_epoch}"
        )
        answer = self._answer(replica, self.replicas[int(leader)].partition, position)
        replica.asked = position, answer

    def _answer(self, follower: Replica, leader: Partition, position: Position) -> FetchResult:
        """What the leader's fetch path makes of what the partition gives."""
        topic, number = PARTITION
        number_of_broker, epoch = follower.broker.id, follower.broker.epoch
        try:
            read = leader.read_replica(number_of_broker, epoch, position, _MAX_BYTES)
        except LogError as error:
            self.said.append(f"  {error.name}")
            start = error.extra.get("log_start_offset", NO_OFFSET)
            assert isinstance(start, int)
            return FetchResult(
                topic,
                number,
                error_code=error.code,
                leader_epoch=leader.leader_epoch,
                log_start_offset=start,
            )
        self.said.append(f"  {_describe(read)}")
        epoch, end = read.diverging if read.diverging is not None else (-1, NO_OFFSET)
        return FetchResult(
            topic,
            number,
            high_watermark=read.high_watermark,
            log_start_offset=read.log_start_offset,
            leader_epoch=read.leader_epoch,
            diverging_epoch=epoch,
            diverging_end_offset=end,
            batches=read.piece.read() if read.piece is not None else b"",
        )

    def _deliver(self, follower: str, flush: str = "yes") -> None:
        """deliver FOLLOWER [flush=no]: it takes the answer, and flushes."""
        replica = self.replicas[int(follower)]
        assert replica.asked is not None
        (position, result), replica.asked = replica.asked, None
        headers = check_replicated(result.batches, position.offset) if result.batches else []
        replica.partition.take(result, headers)
        if flush == "yes":
            replica.flush()

    def _session(self, *followers: str) -> None:
        """session FOLLOWER...: they fetch, naming nothing, as nothing has changed."""
        for each in followers:
            self.replicas[int(each)].last_fetch_ms = self.clock.now_ms

    # -- in-sync replicas -----------------------------------------------------------------------

    def _propose(self, leader: str) -> None:
        """propose LEADER: the change that it wants now, which is sent, and under way."""
        registered = {
            each.broker.id: each.broker for each in self.replicas.values() if each.is_registered
        }
        change = self.replicas[int(leader)].partition.isr_change(
            self.clock.now_ms, lambda broker: self.replicas[broker].last_fetch_ms, registered
        )
        if change is None:
            self.said.append(f"{leader} proposes nothing")
            return
        self.unwritten[int(leader)] = change
        self.said.append(
            f"{leader} proposes isr {_ids(change.state.isr)} for version {change.expected_version}"
        )

    def _store(self, leader: str, answer: str = "yes") -> None:
        """store LEADER [answer=no]: its change comes to the store, whose answer may get lost."""
        change = self.unwritten.pop(int(leader), None)
        if change is None:
            self.said.append("nothing is under way")
            return
        assert self.stored is not None
        is_written = self.stored.version == change.expected_version
        if is_written:
            self.stored = replace(change.state, version=change.expected_version + 1)
        outcome = "written" if is_written else "too late"
        self.said.append(f"{outcome}: isr {_ids(self.stored.isr)} version {self.stored.version}")
        if answer == "yes":
            self.replicas[int(leader)].partition.isr_written(self.stored)

    def _lose(self, leader: str) -> None:
        """lose LEADER: its change never comes to the store."""
        del self.unwritten[int(leader)]


def _describe(read: ReplicaRead) -> str:
    if read.diverging is not None:
        return f"diverges: epoch {read.diverging.epoch} ends at {read.diverging.end_offset}"
    if read.piece is None:
        return "nothing"
    return f"records up to {read.piece.next_offset}"


def _ids(brokers: Sequence[int]) -> str:
    return ",".join(map(str, brokers))
