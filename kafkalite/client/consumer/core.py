"""What AsyncConsumer and Consumer have in common: one consumer, on one loop.

Two sides. The *loop's*: heartbeats, fetching, finding positions; the coroutines here run there.
The *caller's*: what is marked so is called in the thread that polls, while no coroutine of that
caller is on its way. A poll is

    while True:
        while needs_turn: make the call that `turn` gives
        take; if there is nothing, wait for `notify` and begin again

so that a poll which finds records and no news does not cross threads at all.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Final

from kafkalite.client.backoff import Backoff
from kafkalite.client.consumer.commits import CommitLedger, OffsetAndMetadata, Offsets
from kafkalite.client.consumer.committing import Committing
from kafkalite.client.consumer.failures import NoOffsetError, UnreadableError, WakeupError
from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.fetcher import Fetcher
from kafkalite.client.consumer.group_requests import GroupRequests
from kafkalite.client.consumer.hand_out import Handed, HandOut
from kafkalite.client.consumer.listener import CallDue, Partitions, RebalanceListener
from kafkalite.client.consumer.log_requests import LogRequests
from kafkalite.client.consumer.membership import GroupMember, MemberOptions
from kafkalite.client.consumer.ports import ClusterView, Connections
from kafkalite.client.consumer.positions import GROUP, PartitionPosition, Positions, Start
from kafkalite.client.consumer.prefetch import Prefetch
from kafkalite.client.consumer.rebalancing import Rebalancing, Source
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.client.consumer.starts import Starts
from kafkalite.client.consumer.topics_alone import TopicsAlone
from kafkalite.model.errors import InvalidGroupIdError, LogError, RequestTimedOutError
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)

_LOOKUP_TIMEOUT_S: Final = 5.0
_LAST_COMMIT_S: Final = 5.0
"""How long partitions that go wait for what was read of them to be committed."""
_NEVER: Final = float("inf")


class ConsumerCore:
    """Made by a face, which starts it on a loop and closes it there."""

    def __init__(
        self,
        settings: ConsumerSettings,
        cluster: ClusterView,
        connections: Connections,
        *,
        notify: Callable[[], None],
        call_soon: Callable[[Callable[[], None]], None],
        on_notice: Callable[[str], None] = _log.warning,
    ) -> None:
        """Assign only.

        Args:
            settings: of the consumer.
            cluster: who leads what.
            connections: the way there.
            notify: called on the loop, wakes whoever waits in a poll.
            call_soon: called on the caller's side, has something called on the loop.
            on_notice: hears sentences that somebody should read.

        Raises:
            InvalidGroupIdError: a group id that cannot be one.
        """
        if settings.group_id is not None:
            check_group_id(settings.group_id)
        self._settings = settings
        self._cluster = cluster
        self._notify = notify
        self._call_soon = call_soon
        self._on_notice = on_notice
        self.positions = Positions()
        self._prefetch = Prefetch(settings.fetch_buffer_bytes)
        self._hand_out = HandOut(
            self._prefetch,
            settings.decoding,
            checks_crcs=settings.check_crcs,
            on_error=self._note_news,
        )
        self._fetcher = Fetcher(
            settings.fetch_options,
            self.positions,
            self._prefetch,
            cluster,
            connections,
            self._backoff,
            self,
        )
        self.logs = LogRequests(cluster, connections)
        self._ledger = CommitLedger(self.positions)
        self._group: GroupRequests | None = None
        self._committing: Committing | None = None
        if settings.group_id is not None:
            self._group = GroupRequests(cluster, connections, settings.group_id)
            self._committing = Committing(self._group, self._ledger, self._backoff())
        self._starts = Starts(
            settings.reset_policy,
            self.positions,
            self.logs,
            self._committing,
            timeout_s=min(_LOOKUP_TIMEOUT_S, settings.request_timeout_ms / 1000),
            on_notice=on_notice,
        )
        self._commits_by_itself = self._committing is not None and settings.enable_auto_commit
        self._commit_due_s = _NEVER
        self._rebalancing: Rebalancing | None = None
        self._is_source_started = False
        self._keeper: asyncio.Task[None] | None = None
        self._keep_on = asyncio.Event()
        self._located = asyncio.Event()
        self._commit_tasks: set[asyncio.Task[None]] = set()
        self._topic_ids: dict[str, str] = {}
        self._failure: BaseException | None = None
        self._has_news = False
        self._has_given = False
        """Whether something was handed out since the last commit by itself began."""
        self._is_woken = False
        self._trouble_told = False

    # -- the caller's side -----------------------------------------------------------------------

    @property
    def due_s(self) -> float:
        """When a turn is needed though nothing happens."""
        rebalancing = self._rebalancing
        session_due_s = _NEVER if rebalancing is None else rebalancing.source.session_due_s
        return min(self._commit_due_s, session_due_s) if self._has_given else session_due_s

    @property
    def has_news(self) -> bool:
        """Whether something has happened that a turn is needed for."""
        return self._has_news

    @property
    def needs_turn(self) -> bool:
        """Whether a poll has to take a turn before it takes records."""
        return self._has_news or time.monotonic() >= self.due_s

    def hold(self) -> None:
        """A poll has begun: whoever waits in one has not hung up."""
        if self._rebalancing is not None:
            self._rebalancing.source.hold()

    def note_poll(self) -> None:
        """A poll has ended."""
        if self._rebalancing is not None:
            self._rebalancing.source.note_poll(time.monotonic())

    def take(self, max_records: int) -> list[FetchedBatch]:
        """Up to `max_records` records, handed out by that."""
        taken = self._hand_out.take(max_records)
        self._has_given |= bool(taken)
        self._note_taken()
        return taken

    def take_one(self) -> Handed | None:
        """A whole batch, handed out by that."""
        taken = self._hand_out.take_one()
        self._has_given |= taken is not None
        self._note_taken()
        return taken

    def give_back(self, handed: Handed, records: list[ConsumerRecord]) -> None:
        """See HandOut."""
        self._hand_out.give_back(handed, records)

    def reject(self, handed: Handed, cause: LogError) -> UnreadableError:
        """See HandOut."""
        error = self._hand_out.reject(handed, cause)
        self._call_soon(self._fetcher.follow)
        return error

    def wakeup(self) -> None:
        """Have the poll that waits now, or the next one, raise WakeupError. Any thread."""
        self._is_woken = True

    def raise_wakeup(self) -> None:
        """Raise WakeupError, once, if somebody asked for it."""
        if self._is_woken:
            self._is_woken = False
            raise WakeupError

    def _note_taken(self) -> None:
        needed = self._fetcher.needed_room
        if needed and (self._prefetch.room >= needed or not self._prefetch.has_parts):
            self._call_soon(self._fetcher.make_room)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Hand out nothing of these."""
        for each in [self.positions.of(each) for each in partitions]:
            each.is_paused = True

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Hand them out again."""
        for each in [self.positions.of(each) for each in partitions]:
            each.is_paused = False
            self._prefetch.resume(each.topic_partition)
        self._call_soon(self._fetcher.follow)

    # -- turns -----------------------------------------------------------------------------------

    async def turn(self) -> CallDue | None:
        """Take over what has happened; gives a call to make, after which another turn is due.

        Raises:
            LogError: what the caller has to know: of a partition, of the group.
        """
        self._has_news = False
        if self._failure is not None:
            self._has_news = True  # for the next poll, which would wait for ever
            raise self._failure.with_traceback(None)
        self._begin_again_where_topics_are_new()
        if self._rebalancing is not None and self._is_source_started:
            has_come, call = await self._rebalancing.step()
            if has_come:
                self._keep_on.set()
            if call is not None:
                self._has_news = True
                return call
        self._raise_errors()
        if self._has_given and time.monotonic() >= self._commit_due_s:
            self._commit_soon()
        return None

    def _raise_errors(self) -> None:
        wrong = [each for each in self.positions if each.error is not None]
        if not wrong:
            return
        offsetless = [each for each in wrong if isinstance(each.error, NoOffsetError)]
        told = offsetless or wrong[:1]
        error = told[0].error
        for each in told:
            each.error = None
        self._has_news = len(told) < len(wrong)
        self._keep_on.set()
        if offsetless:
            raise NoOffsetError([each.topic_partition for each in offsetless])
        if error is not None:
            raise error

    def _begin_again_where_topics_are_new(self) -> None:
        """A topic that was deleted and made again is another one, whatever its offsets say."""
        for topic in {each.topic_partition.topic for each in self.positions}:
            topic_id = self._cluster.topic_id(topic)
            if topic_id is None or self._topic_ids.setdefault(topic, topic_id) == topic_id:
                continue
            self._topic_ids[topic] = topic_id
            if self._rebalancing is not None:
                self._rebalancing.known_counts[topic] = 0
            again = [each for each in self.positions if each.topic_partition.topic == topic]
            self._ledger.forget(each.topic_partition for each in again)
            for each in again:
                each.is_new = True
                each.begin_at(GROUP)
            self._prefetch.clean()
            self._keep_on.set()

    # -- what to consume -------------------------------------------------------------------------

    @property
    def is_subscribed(self) -> bool:
        """Whether somebody else decides what is consumed."""
        return self._rebalancing is not None

    def subscribe(
        self, topics: tuple[str, ...], pattern: str | None, listener: RebalanceListener | None
    ) -> None:
        """Consume these topics from now on, shared with the group if there is one. On the loop.

        Raises:
            InvalidGroupIdError: a pattern takes a group.
        """
        if self._rebalancing is None:
            source = self._new_source(topics, pattern)
            self._rebalancing = Rebalancing(
                source, self.positions, commit=self._commit_last, on_gone=self._note_gone
            )
            self._is_source_started = False
            if isinstance(source, GroupMember) and self._committing is not None:
                self._committing.member = source
            self._begin_committing()
        else:
            self._rebalancing.source.subscribe(topics, pattern)
        self._rebalancing.listener = listener
        self._keep()

    def _new_source(self, topics: tuple[str, ...], pattern: str | None) -> Source:
        settings = self._settings
        if self._group is None:
            if pattern is not None:
                raise InvalidGroupIdError("A pattern is the group's to look at: set group.id")
            return TopicsAlone(
                topics,
                self._cluster,
                self._backoff(),
                self._note_news,
                max_age_s=settings.metadata_max_age_ms / 1000,
            )
        options = MemberOptions(
            settings.group_id or "",
            topics,
            pattern,
            client_id=settings.client_id or "consumer",
            instance_id=settings.group_instance_id,
            rack=settings.client_rack,
            assignor=settings.assignor,
            session_timeout_ms=settings.session_timeout_ms,
            max_poll_interval_ms=settings.max_poll_interval_ms,
        )
        return GroupMember(
            options, self._group, self._backoff(), self._note_news, self.note_trouble
        )

    async def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Consume exactly these; where those go on that are consumed already."""
        wanted = frozenset(partitions)
        gone = self.positions.partitions - wanted
        if gone:
            await self._commit_last(gone)
            self.positions.remove(gone)
            self._note_gone(gone)
        for each in sorted(wanted - self.positions.partitions):
            self.positions.add(each, GROUP, is_new=False)
        self._begin_committing()
        self._keep()

    def farewell(self) -> CallDue | None:
        """The call to make before `leave` or `close`."""
        return None if self._rebalancing is None else self._rebalancing.farewell()

    async def leave(self, *, commits: bool = True) -> None:
        """Consume nothing any more, and be nobody's member."""
        rebalancing, self._rebalancing = self._rebalancing, None
        if commits:
            await self._commit_last(self.positions.partitions)
        gone = self.positions.partitions
        self.positions.remove(gone)
        self._note_gone(gone)
        self._commit_due_s = _NEVER
        if self._committing is not None:
            self._committing.member = None
        if rebalancing is not None and self._is_source_started:
            await rebalancing.source.close()

    async def close(self, *, commits: bool) -> None:
        """Leave, after committing what was handed out where that is wanted; end everything."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        await self._fetcher.close()
        if self._commit_tasks:
            await asyncio.wait(self._commit_tasks, timeout=_LAST_COMMIT_S)
        await self.leave(commits=commits)
        for task in self._commit_tasks:
            task.cancel()

    # -- positions -------------------------------------------------------------------------------

    async def seek(self, starts: Mapping[TopicPartition, Start]) -> None:
        """Go on at an offset or at an end; raises NotAssignedError."""
        found = {self.positions.of(each): start for each, start in starts.items()}
        for each, start in found.items():
            each.begin_at(start)
        self._prefetch.clean()
        self._fetcher.follow()
        self._keep_on.set()

    async def position(self, topic_partition: TopicPartition, timeout_s: float) -> int:
        """Offset of the next record to hand out.

        Raises:
            NotAssignedError, NoOffsetError: there is none.
            RequestTimedOutError: it cannot be found out in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := self.positions.of(topic_partition)).is_known:
                    if found.error is not None:
                        raise found.error
                    self._located.clear()
                    self._keep_on.set()
                    await self._located.wait()
        except TimeoutError:
            raise RequestTimedOutError(
                f"Where {topic_partition} begins was not found in {timeout_s} s"
            ) from None
        return found.position

    # -- commits ---------------------------------------------------------------------------------

    async def commit(self, offsets: Offsets | None, timeout_s: float) -> None:
        """Commit `offsets`, or all that was handed out.

        Raises:
            InvalidGroupIdError: there is no group.
            CommitFailedError: the group gave the partitions to somebody else.
            LogError: it did not go well in time.
        """
        committing = self._group_commits()
        wanted = self._ledger.due() if offsets is None else offsets
        if wanted:
            await committing.commit(wanted, timeout_s)

    def commit_soon(
        self,
        offsets: Offsets | None,
        on_done: Callable[[Offsets, LogError | None], None] | None,
    ) -> None:
        """Begin one attempt to commit; `on_done` is called on the loop. Raises as `commit`."""
        committing = self._group_commits()
        wanted = dict(self._ledger.due() if offsets is None else offsets)

        async def attempt() -> None:
            error: LogError | None = None
            try:
                await committing.commit(
                    wanted, self._settings.default_api_timeout_ms / 1000, tries_again=False
                )
            except LogError as raised:
                error = raised
                _log.debug("Offsets were not committed: %s", error)
            if on_done is not None:
                on_done(wanted, error)

        self._in_background(attempt())

    async def committed(
        self, partitions: Collection[TopicPartition], timeout_s: float
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """What the group has committed of `partitions`; raises LogError."""
        return await self._group_commits().committed(partitions, timeout_s)

    def _group_commits(self) -> Committing:
        if self._committing is None:
            raise InvalidGroupIdError("Offsets are committed for a group: set group.id")
        return self._committing

    def _begin_committing(self) -> None:
        if self._commits_by_itself:
            interval_s = self._settings.auto_commit_interval_ms / 1000
            self._commit_due_s = time.monotonic() + interval_s

    def _commit_soon(self) -> None:
        """Commit by itself what earlier polls gave."""
        self._begin_committing()
        if self._commit_tasks:
            return  # the one before takes its time
        self._has_given = False
        if offsets := self._ledger.due():
            self._in_background(self._commit_quietly(offsets))

    async def _commit_last(self, partitions: Partitions) -> None:
        """Commit by itself what was read of partitions that go."""
        if self._commits_by_itself and (offsets := self._ledger.due(partitions)):
            await self._commit_quietly(offsets)

    async def _commit_quietly(self, offsets: Offsets) -> None:
        if self._committing is None:
            return
        try:
            await self._committing.commit(offsets, _LAST_COMMIT_S)
        except LogError as error:
            self._has_given = True  # so that they are tried again
            self._on_notice(f"Offsets could not be committed: {error}")

    # -- the keeper: what goes on by itself ------------------------------------------------------

    def _keep(self) -> None:
        self._keep_on.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._run_keeper(), name="consumer")
            self._keeper.add_done_callback(self._note_keeper_end)

    async def _run_keeper(self) -> None:
        pauses = self._backoff()
        while True:
            self._keep_on.clear()
            try:
                is_complete = await self._tend()
            except LogError as error:
                if not error.retriable:
                    self._fail(error)
                    return
                self.note_trouble(error)
                is_complete = False
            if is_complete:
                pauses.reset()
                await self._keep_on.wait()
            else:
                await asyncio.sleep(pauses.next_pause())
                await self._refresh_unlocated()

    async def _tend(self) -> bool:
        """Begin what was asked for, find positions, fetch; True once nothing is left to do."""
        rebalancing = self._rebalancing
        if rebalancing is not None and not self._is_source_started:
            counts = await self.logs.partition_counts(_LOOKUP_TIMEOUT_S)
            if rebalancing is self._rebalancing:
                rebalancing.known_counts = counts
                self._is_source_started = True
                rebalancing.source.start()
        if any(self._cluster.leader(each.topic_partition) is None for each in self.positions):
            await self._refresh_unlocated()
        located = await self._starts.locate()
        self._located.set()
        self._fetcher.follow()
        if any(each.error is not None for each in self.positions):
            self._note_news()
        self._note_begun(located.begun)
        return located.is_complete

    def _note_begun(self, begun: list[PartitionPosition]) -> None:
        """Commit where we begin: who takes over must not begin later, whatever becomes of us."""
        offsets = {
            each.topic_partition: OffsetAndMetadata(each.position)
            for each in begun
            if each.is_known and not self._ledger.knows(each.topic_partition)
        }
        if self._commits_by_itself and self.is_subscribed and offsets:
            self._in_background(self._commit_quietly(offsets))

    async def _refresh_unlocated(self) -> None:
        topics = {
            each.topic_partition.topic
            for each in self.positions
            if not each.is_known or self._cluster.leader(each.topic_partition) is None
        }
        if topics:
            with contextlib.suppress(LogError):
                await self._cluster.refresh(topics)

    def _in_background(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._commit_tasks.add(task)
        task.add_done_callback(self._commit_tasks.discard)

    # -- what is told us, on the loop ------------------------------------------------------------

    def note_records(self) -> None:
        """See FetchOwner."""
        self._trouble_told = False
        self._notify()

    def note_error(self) -> None:
        """See FetchOwner."""
        self._note_news()

    def note_lost_position(self) -> None:
        """See FetchOwner."""
        self._keep_on.set()

    def note_refreshed(self) -> None:
        """See FetchOwner."""
        self._note_news()

    def note_trouble(self, error: LogError) -> None:
        """See FetchOwner."""
        if not self._trouble_told:
            self._trouble_told = True
            self._on_notice(f"{str(error).rstrip('.')}. Trying again until it works.")

    def note_bug(self, error: BaseException) -> None:
        """See FetchOwner."""
        self._fail(error)

    def _note_keeper_end(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _note_gone(self, partitions: Partitions) -> None:
        self._ledger.forget(partitions)
        self._prefetch.clean()
        self._fetcher.follow()

    def _note_news(self) -> None:
        self._has_news = True
        self._notify()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._note_news()

    def _backoff(self) -> Backoff:
        return Backoff(self._settings.retry_backoff_ms, self._settings.retry_backoff_max_ms)
