"""The streams that this broker serves, bounded in number, and acknowledgements of any other's."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from kafkalite.broker.consumers.stream import GroupStream, StreamWish, StreamWorld, former_member
from kafkalite.broker.consumers.stream_mark import StreamMark
from kafkalite.model.errors import BrokerNotAvailableError, LogError, UnknownMemberIdError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.group_messages import MAX_COMMITS, OffsetCommitRequest, OffsetToCommit

_log = logging.getLogger(__name__)

_LEAVE_S: Final = 5.0
"""How long stopping waits for streams to end."""


class GroupStreams:
    """The table of streams. Owns the tasks in which they leave. On the loop; ends with `stop`."""

    def __init__(self, world: StreamWorld, max_streams: Callable[[], int]) -> None:
        self._world = world
        self._max_streams = max_streams
        self._streams: dict[tuple[str, str], GroupStream] = {}
        """By group and instance id."""
        self._opening = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def broker_id(self) -> BrokerId:
        """Of this broker, as the events of its streams name it."""
        return self._world.own_id()

    async def open(self, wish: StreamWish) -> GroupStream:
        """A stream that has joined its group; to be given back with `close`.

        Raises:
            BrokerNotAvailableError: there are as many as may be, or this broker is about to go.
            InvalidPatternError: the pattern is none.
            LogError: the group refuses.
        """
        if self._is_closed:
            raise BrokerNotAvailableError("This broker is stopping; another one serves the stream")
        place = wish.group, wish.instance_id
        former = self._streams.get(place)
        if former is None and len(self._streams) + self._opening >= self._max_streams():
            raise BrokerNotAvailableError(
                f"This broker serves {self._max_streams()} streams already, which is as many as "
                "it may (group.max.streams); ask another one, or later"
            )
        stream = GroupStream(wish, self._world)
        self._opening += 1
        try:
            await stream.join()
        except BaseException:
            self._end(stream)
            raise
        finally:
            self._opening -= 1
        former = self._streams.get(place)
        self._streams[place] = stream
        if former is not None:
            former.fenced()
        if self._is_closed:
            stream.stop_waiting()
        return stream

    def close(self, stream: GroupStream) -> None:
        """The client is gone, or the stream is over: others get its partitions."""
        place = stream.wish.group, stream.wish.instance_id
        if self._streams.get(place) is stream:
            del self._streams[place]
        self._end(stream)

    async def acknowledge(
        self, group: str, mark: StreamMark
    ) -> dict[TopicPartition, LogError | None]:
        """Commit all up to an event; gives of each partition why it was refused.

        Where the stream is not here, the event itself says as whom to commit: the group's
        coordinator knows whether that is still a member.

        Raises:
            LogError: nothing is known of any of them, or the event is a former member's.
        """
        stream = self._streams.get((group, mark.instance_id))
        if stream is not None:
            return await stream.acknowledge(mark)
        committed = await self._world.groups.committed(group)
        results: dict[TopicPartition, LogError | None] = dict.fromkeys(mark.progress)
        wanted = [
            OffsetToCommit(*partition, progress.delivered)
            for partition, progress in mark.progress.items()
            if partition not in committed or committed[partition].offset < progress.delivered
        ][:MAX_COMMITS]
        if not wanted:
            return results
        try:
            refusals = await self._world.groups.commit(
                group, OffsetCommitRequest(wanted, mark.member_id, mark.member_epoch)
            )
        except LogError as error:
            if error.retriable:
                raise
            raise former_member(mark) from error
        if all(isinstance(refusal, UnknownMemberIdError) for refusal in refusals):
            raise former_member(mark)
        for each, refusal in zip(wanted, refusals, strict=True):
            results[TopicPartition(each.topic, each.partition)] = refusal
        return results

    def stop_waiting(self) -> None:
        """End all streams: this broker is about to go."""
        self._is_closed = True
        for stream in self._streams.values():
            stream.stop_waiting()

    async def stop(self) -> None:
        """Wait until all have ended."""
        self.stop_waiting()
        for stream in tuple(self._streams.values()):
            self.close(stream)
        if self._ending:
            await asyncio.wait(set(self._ending), timeout=_LEAVE_S)

    def _end(self, stream: GroupStream) -> None:
        task = asyncio.create_task(self._ended(stream), name="stream-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _ended(self, stream: GroupStream) -> None:
        try:
            if self._is_closed:
                await stream.release()
            else:
                await stream.leave()
        except Exception:  # noqa: BLE001 - nobody awaits this; its session will run out
            _log.exception("A stream of group %s could not end", stream.wish.group)
