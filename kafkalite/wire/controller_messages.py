"""Bodies of `POST /v1/controller`, by which brokers ask the one that rules; msgpack maps.

A request says in `type` which it is. All of them can be repeated: asking twice is asking once.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from kafkalite.model.ids import NO_LEADER

MAX_ELECTIONS: Final = 100_000
"""Partitions in one request for elections."""

ElectionKind = Literal["preferred", "unclean"]


class BrokerUnreachable(msgspec.Struct, frozen=True, tag="broker-unreachable"):
    """Somebody was refused a connection to this broker; the controller looks itself."""

    broker_id: int
    broker_epoch: int
    """Of the registration that was seen: a broker started since then is not meant."""


class LeaveRequest(msgspec.Struct, frozen=True, tag="leave"):
    """A broker is about to stop: its leaderships move away, and it leaves the ISRs.

    Sent by the broker itself, again until the answer's `remaining` is 0.
    """

    broker_id: int
    broker_epoch: int


class ReplicaDamaged(msgspec.Struct, frozen=True, tag="replica-damaged"):
    """A replica lost something, or its whole disk: others shall lead, and wait for it no more.

    As far as another in-sync replica lives: it leaves the ISR then, and leads no longer.
    """

    topic: str
    partition: int
    broker_id: int
    leader_epoch: int
    """In which it leads or follows: what it says of an earlier epoch is not looked at."""


class ElectLeaders(msgspec.Struct, frozen=True, tag="elect-leaders"):
    """Somebody wants leaders elected: the preferred ones, or whoever lives."""

    kind: ElectionKind
    partitions: Annotated[list[tuple[str, int]], Meta(max_length=MAX_ELECTIONS)] | None = None
    """Topic and partition of each; None: all there are."""


ControllerRequest = BrokerUnreachable | LeaveRequest | ReplicaDamaged | ElectLeaders


class ElectionResult(msgspec.Struct, frozen=True):
    """What became of one partition's election; ELECTION_NOT_NEEDED is an error as well."""

    topic: str
    partition: int
    error_code: int = 0
    error: str = ""
    message: str = ""


class ControllerReply(msgspec.Struct, frozen=True):
    """Answers any ControllerRequest; `error_code` is 0 where it was taken."""

    error_code: int = 0
    error: str = ""
    message: str = ""
    controller_id: int = NO_LEADER
    """Who rules, as far as the answering broker knows; NO_LEADER: nobody."""
    remaining: int = 0
    """To a LeaveRequest: partitions it still leads although another replica of theirs lives."""
    elections: list[ElectionResult] = []
    """To an ElectLeaders: one for each partition that was named; where all were meant, without
    those that needed none."""
