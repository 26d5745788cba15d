"""A member of a consumer group: joins, stays, lets go of partitions, leaves.

Heartbeats have a thread and a connection of their own, so that a member stays one while its
records are worked on, or while there are none. A heartbeat waits at the coordinator until there is
news.

- What the member may consume (`assignment`) comes from the coordinator. What it may be consuming
  (`owned`) grows with the assignment before anybody consumes it, and shrinks only when whoever
  consumes has said `release`; every heartbeat tells it. So nobody else gets a partition that
  somebody here still reads.
- A membership that ended without being left (fenced, or not heard of for the session timeout,
  counted from when the last answered heartbeat was sent) begins a new life: nothing is owned then,
  and what was owned must not be committed.
"""

import contextlib
import os
import select
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from kafkalite.cli.backoff import Backoff
from kafkalite.cli.broker_address import shown
from kafkalite.cli.data_connection import DataConnection
from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.model.errors import (
    FencedMemberEpochError,
    LogError,
    NetworkError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    JOINING,
    LEAVING,
    LEAVING_FOR_A_WHILE,
    HeartbeatRequest,
    HeartbeatResponse,
    TopicPartitions,
)

_LONGEST_ANSWER_S: Final = 10.0
"""How much longer than it was asked to wait a broker may stay silent, ..."""
_ANSWERS_A_SESSION: Final = 3
"""... but no longer than this part of a session, so that another broker can be asked in time."""
_LEAVE_TIMEOUT_S: Final = 3.0
_EARLY_PAUSE_S: Final = 0.5
"""After an answer without news that came before its time."""
_FIRST_INTERVAL_S: Final = 3.0
_LOST: Final = (UnknownMemberIdError, FencedMemberEpochError)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(HeartbeatResponse).decode

Partitions = frozenset[TopicPartition]


class MemberOptions(NamedTuple):
    """What a member says of itself; times are Kafka's consumer settings."""

    group: str
    topics: tuple[str, ...] = ()
    pattern: str | None = None
    """Or a regular expression that whole names of topics match."""
    client_id: str = "consumer"
    instance_id: str | None = None
    rack: str | None = None
    assignor: str | None = None
    session_timeout_ms: int = 45_000
    max_poll_interval_ms: int = 300_000
    """Who does not look at its membership for so long has hung up: the member leaves for it."""


class Membership(NamedTuple):
    """What a member is at one moment."""

    member_id: str
    epoch: int
    life: int
    """Grows whenever all that was owned is lost."""
    assignment: Partitions
    coordinator_url: str | None


class GroupMember:
    """Owned by whoever consumes: `start`, then `look` often, `release` what went, and `close`.

    Those are for one thread; the heartbeats' own is an affair of this class. Between the two is
    `_changed`, which guards every attribute below it.
    """

    def __init__(self, options: MemberOptions, urls: Sequence[str]) -> None:
        """Assign only; `urls` are brokers to ask, until one has named the coordinator."""
        self._options = options
        self._path = f"/v1/groups/{quote(options.group, safe='')}/heartbeat"
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
        self._wake, self._wakes = os.pipe()
        """Ends the thread's wait for an answer."""
        self.news, self._tells = os.pipe()
        """Readable when there is something new to `look` at."""
        os.set_blocking(self._tells, False)
        os.set_blocking(self.news, False)
        self._connection: DataConnection | None = None
        self._answer_s = min(
            _LONGEST_ANSWER_S, options.session_timeout_ms / 1000 / _ANSWERS_A_SESSION
        )
        self._interval_s = _FIRST_INTERVAL_S
        self._backoff = Backoff()

        self._changed = threading.Condition()
        self._urls = list(urls)
        self._member_id = self._new_id()
        self._epoch = JOINING
        self._life = 0
        self._assignment: Partitions = frozenset()
        self._owned: Partitions = frozenset()
        self._reported: Partitions | None = None
        self._coordinator_url: str | None = None
        self._session_due_s = 0.0
        self._looked_s = 0.0
        self._is_stopping = False
        self._trouble: Exception | None = None
        """What went wrong last, until an answer comes."""
        self._failure: LogError | None = None
        """What ended the membership for good."""

    # -- for whoever consumes --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join."""
        self._looked_s = time.monotonic()
        self._thread.start()

    def wait_until_joined(self, timeout_s: float) -> bool:
        """Wait until the group has taken the member in; False when it has not in that time.

        Raises:
            LogError: it never will.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self._epoch != JOINING, timeout_s)
            self._raise_failure()
            return self._epoch != JOINING

    def look(self) -> Membership:
        """What the member is now.

        Raises:
            LogError: it is none any more, and cannot be one again.
        """
        with contextlib.suppress(BlockingIOError):
            while os.read(self.news, 4096):
                pass
        with self._changed:
            self._raise_failure()
            now = time.monotonic()
            if self._epoch != JOINING and now > self._session_due_s:
                self._lose()
            if now > self._looked_s + self._options.max_poll_interval_ms / 1000:
                self._changed.notify_all()
            self._looked_s = now
            return Membership(
                self._member_id, self._epoch, self._life, self._assignment, self._coordinator_url
            )

    def release(self, partitions: Iterable[TopicPartition], life: int) -> None:
        """Say that nobody here consumes these any more, in the `life` in which they were owned."""
        with self._changed:
            if life == self._life:
                self._owned -= frozenset(partitions)
                self._changed.notify_all()

    def wait_for_epoch_after(self, epoch: int, timeout_s: float) -> bool:
        """Wait until the member's epoch is another one than `epoch`; False when it is not."""
        with self._changed:
            return self._changed.wait_for(lambda: self._epoch != epoch, timeout_s)

    def take_trouble(self) -> Exception | None:
        """Why heartbeats are not answered at the moment; None while they are."""
        with self._changed:
            return self._trouble

    def note_brokers(self, urls: Iterable[str]) -> None:
        """These brokers can be asked, too."""
        with self._changed:
            self._urls.extend(url for url in urls if url not in self._urls)

    def close(self) -> None:
        """Leave the group, unless nobody can be told so; what was committed before counts."""
        with self._changed:
            # Also where a first heartbeat may have been taken whose answer is under way.
            may_be_member = self._epoch != JOINING or (
                self._reported is not None and self._trouble is None
            )
            self._is_stopping = True
            self._changed.notify_all()
        os.write(self._wakes, b"x")
        if self._thread.is_alive():
            self._thread.join()
        if may_be_member and self._failure is None:
            self._leave()
        if self._connection is not None:
            self._connection.close()
        for descriptor in (self._wake, self._wakes, self.news, self._tells):
            os.close(descriptor)

    def _new_id(self) -> str:
        return f"{self._options.client_id}-{uuid.uuid4()}"

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait_for_turn():
            request = self._next_request()
            sent_s = time.monotonic()
            try:
                response = self._exchange(request, self._answer_s)
            except _LOST:
                with self._changed:
                    self._lose()
            except LogError as error:
                if not error.retriable:
                    self._fail(error)
                    return
                self._note_trouble(error)
            except CommandError as error:  # also when no broker is reached
                self._note_trouble(error)
            else:
                if response is not None:
                    self._take(request, response, sent_s)

    def _wait_for_turn(self) -> bool:
        """Wait until the next heartbeat is due; False once there shall be none."""
        with self._changed:
            if self._owned - self._assignment:
                # What is to go is told as soon as it has gone.
                self._changed.wait_for(
                    lambda: self._is_stopping or not self._owned - self._assignment,
                    self._interval_s,
                )
            if self._is_stopping:
                return False
            if not self._is_overdue():
                return True
        self._leave()
        with self._changed:
            self._lose()
            self._changed.wait_for(lambda: self._is_stopping or not self._is_overdue())
            return not self._is_stopping

    def _is_overdue(self) -> bool:
        return time.monotonic() > self._looked_s + self._options.max_poll_interval_ms / 1000

    def _next_request(self) -> HeartbeatRequest:
        options = self._options
        with self._changed:
            is_joining = self._epoch == JOINING
            owned = _by_topic(self._owned)
            has_news = self._reported != self._owned or bool(self._owned - self._assignment)
            self._reported = self._owned
            wait_ms = 0 if is_joining or has_news else int(self._interval_s * 1000)
            return HeartbeatRequest(
                self._member_id,
                self._epoch,
                instance_id=options.instance_id,
                client_id=options.client_id,
                rack=options.rack,
                topics=list(options.topics),
                pattern=options.pattern,
                assignor=options.assignor,
                session_timeout_ms=options.session_timeout_ms,
                rebalance_timeout_ms=options.max_poll_interval_ms,
                owned=owned,
                max_wait_ms=wait_ms,
            )

    def _exchange(self, request: HeartbeatRequest, timeout_s: float) -> HeartbeatResponse | None:
        """The answer to a heartbeat; None where it is not waited for any more.

        Raises:
            LogError: it was refused, or the connection broke.
            NoBrokerError: the broker cannot be reached.
            CommandError: it is no broker of ours.
        """
        connection = self._connected()
        try:
            connection.send(self._path, _encode(request))
            wait_s = request.max_wait_ms / 1000 + timeout_s
            if not self._wait_for_answer(connection, request, wait_s):
                connection.close()
                return None
            return _decode(connection.receive())
        except (NoBrokerError, NetworkError):
            self._ask_another()
            raise
        except msgspec.MsgspecError:
            self._ask_another()
            raise CommandError(f"{shown(connection.url)} is not a broker of kafkalite.") from None

    def _wait_for_answer(
        self, connection: DataConnection, request: HeartbeatRequest, wait_s: float
    ) -> bool:
        """Wait until an answer begins; False once nobody wants it any more."""
        awaited = [connection.fileno()]
        if request.member_epoch not in {LEAVING, LEAVING_FOR_A_WHILE}:
            awaited.append(self._wake)
        ready, _, _ = select.select(awaited, [], [], wait_s)
        if not ready:
            connection.close()
            raise NetworkError(f"{shown(connection.url)} did not answer in time")
        return self._wake not in ready

    def _connected(self) -> DataConnection:
        """The connection to whoever is to be asked."""
        with self._changed:
            url = self._coordinator_url or self._urls[0]
        if self._connection is None or self._connection.url != url:
            if self._connection is not None:
                self._connection.close()
            self._connection = DataConnection(url, _LONGEST_ANSWER_S)
        return self._connection

    def _ask_another(self) -> None:
        """Ask the next broker from now on, until it says who coordinates."""
        with self._changed:
            failed = self._coordinator_url or self._urls[0]
            self._coordinator_url = None
            if failed in self._urls:
                self._urls.remove(failed)
            self._urls.append(failed)

    def _take(self, request: HeartbeatRequest, response: HeartbeatResponse, sent_s: float) -> None:
        assignment = frozenset(
            TopicPartition(each.topic, number)
            for each in response.assignment
            for number in each.partitions
        )
        with self._changed:
            if response.member_epoch < self._epoch:
                return  # of an earlier request, which took a longer way
            is_news = assignment != self._assignment or response.member_epoch != self._epoch
            self._interval_s = max(response.heartbeat_interval_ms / 1000, 0.1)
            self._member_id = response.member_id
            self._epoch = response.member_epoch
            self._coordinator_url = response.coordinator_url or self._coordinator_url
            self._session_due_s = sent_s + self._options.session_timeout_ms / 1000
            self._assignment = assignment
            self._owned |= assignment
            self._trouble = None
            self._backoff.reset()
            if is_news:
                self._tell()
            is_early = time.monotonic() - sent_s < request.max_wait_ms / 2000
            if is_early and not is_news:
                self._changed.wait_for(lambda: self._is_stopping, _EARLY_PAUSE_S)

    def _lose(self) -> None:
        """Own nothing any more, and join anew, as somebody else."""
        self._life += 1
        self._member_id = self._new_id()
        self._epoch = JOINING
        self._assignment = self._owned = frozenset()
        self._reported = None
        self._tell()

    def _note_trouble(self, trouble: Exception) -> None:
        with self._changed:
            self._trouble = trouble
            if self._epoch != JOINING and time.monotonic() > self._session_due_s:
                self._lose()
            self._tell()
            self._changed.wait_for(lambda: self._is_stopping, self._backoff.next_pause())

    def _fail(self, failure: LogError) -> None:
        with self._changed:
            self._lose()
            self._failure = failure
            self._tell()

    def _tell(self) -> None:
        """Wake whoever consumes; with `_changed` held."""
        self._changed.notify_all()
        with contextlib.suppress(BlockingIOError):
            os.write(self._tells, b"x")

    def _leave(self) -> None:
        """Say good-bye, once; a session timeout does the same, later."""
        is_static = self._options.instance_id is not None
        request = HeartbeatRequest(
            self._member_id,
            LEAVING_FOR_A_WHILE if is_static else LEAVING,
            instance_id=self._options.instance_id,
        )
        with contextlib.suppress(LogError, CommandError):
            self._exchange(request, _LEAVE_TIMEOUT_S)


def _by_topic(partitions: Iterable[TopicPartition]) -> list[TopicPartitions]:
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return [TopicPartitions(topic, found) for topic, found in numbers.items()]
