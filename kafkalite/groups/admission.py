"""Who may be in a group, and what a member may say of itself: all that is kept is bounded."""

from collections.abc import Collection, Container, Mapping
from dataclasses import replace

from kafkalite.groups.heartbeat import Heartbeat
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.pattern import TopicPattern
from kafkalite.groups.state import AWAY_EPOCH, JOIN_EPOCH, Member
from kafkalite.model.errors import (
    GroupMaxSizeReachedError,
    InvalidRequestError,
    InvalidSessionTimeoutError,
    UnsupportedAssignorError,
)
from kafkalite.model.topic_name import check_topic_name

_BYTES_A_MEMBER = 256
"""Of a stored member: names of its fields, numbers, punctuation."""
_BYTES_A_PARTITION = 7
_BYTES_A_TOPIC = 6


def check_shape(request: Heartbeat) -> None:
    """Raise InvalidRequestError where a request contradicts itself."""
    if not request.member_id:
        raise InvalidRequestError("A heartbeat names its member")
    if request.member_epoch < AWAY_EPOCH:
        raise InvalidRequestError(f"There is no member epoch {request.member_epoch}")
    if request.member_epoch == AWAY_EPOCH and request.instance_id is None:
        raise InvalidRequestError("Only a member with an instance id leaves for a while")
    if request.member_epoch == JOIN_EPOCH and request.owned:
        raise InvalidRequestError("A member that joins owns nothing")


def new_member(request: Heartbeat, limits: GroupLimits, assignors: Container[str]) -> Member:
    """The member that a request to join describes, holding nothing; see `described`."""
    if request.topics is None and request.pattern is None:
        raise InvalidRequestError("A member that joins says what it subscribes to")
    blank = Member(
        request.member_id,
        JOIN_EPOCH,
        assignor=limits.default_assignor,
        session_timeout_ms=limits.default_session_timeout_ms,
        rebalance_timeout_ms=limits.default_rebalance_timeout_ms,
    )
    return described(blank, request, limits, assignors)


def described(
    member: Member, request: Heartbeat, limits: GroupLimits, assignors: Container[str]
) -> Member:
    """The member with what a request says of it; the same object where that is nothing new.

    Raises:
        InvalidRequestError, InvalidTopicError: it says too much, or what makes no sense.
        InvalidSessionTimeoutError: the timeout is out of bounds.
        UnsupportedAssignorError: there is no such assignor.
    """
    names = _SAID if request.member_epoch != JOIN_EPOCH else _SAID_WHEN_JOINING
    news = {
        name: said
        for name in names
        if (said := getattr(request, name)) is not None and said != getattr(member, name)
    }
    if news.get("pattern") == "":
        news["pattern"] = None
        if member.pattern is None:
            del news["pattern"]
    if not news:
        return member
    changed = replace(member, **news)
    _check(changed, news, limits, assignors)
    return changed


_SAID = ("topics", "pattern", "rack", "assignor", "session_timeout_ms", "rebalance_timeout_ms")
_SAID_WHEN_JOINING = (*_SAID, "instance_id", "client_id", "host")
"""A client behind changing addresses must not have its group stored at every heartbeat."""


def _check(
    member: Member, news: Collection[str], limits: GroupLimits, assignors: Container[str]
) -> None:
    _check_texts(member, limits)
    if "topics" in news:
        if len(member.topics) > limits.max_topics:
            raise InvalidRequestError(f"A member subscribes to {limits.max_topics} topics at most")
        for topic in member.topics:
            check_topic_name(topic)
    if "pattern" in news and member.pattern is not None:
        if len(member.pattern) > limits.max_pattern_length:
            raise InvalidRequestError(
                f"A pattern has {limits.max_pattern_length} characters at most"
            )
        TopicPattern(member.pattern)
    if member.assignor not in assignors:
        raise UnsupportedAssignorError(f"There is no assignor {member.assignor!r}")
    if not (
        limits.min_session_timeout_ms <= member.session_timeout_ms <= limits.max_session_timeout_ms
    ):
        raise InvalidSessionTimeoutError(
            f"A session timeout is from {limits.min_session_timeout_ms} to "
            f"{limits.max_session_timeout_ms} ms, not {member.session_timeout_ms}"
        )
    if not 0 < member.rebalance_timeout_ms <= limits.max_rebalance_timeout_ms:
        raise InvalidRequestError(
            f"A rebalance timeout is from 1 to {limits.max_rebalance_timeout_ms} ms"
        )


def _check_texts(member: Member, limits: GroupLimits) -> None:
    texts = (member.id, member.instance_id, member.client_id, member.host, member.rack)
    for text in texts:
        if text is not None and not (text.isprintable() and len(text) <= limits.max_text_length):
            raise InvalidRequestError(
                f"Ids, hosts and racks have {limits.max_text_length} printable characters at most"
            )
    if member.instance_id == "":
        raise InvalidRequestError("An instance id is not empty")


def check_room(
    members: Mapping[str, Member], counts: Mapping[str, int], limits: GroupLimits
) -> None:
    """Raise GroupMaxSizeReachedError if these members, of these topics, are too many to be kept."""
    if len(members) > limits.max_members:
        raise GroupMaxSizeReachedError(f"The group has {limits.max_members} members already")
    size = sum(map(_stored_size, members.values()))
    for topic, count in counts.items():
        # Twice: as targets and as held.
        size += 2 * count * _BYTES_A_PARTITION
        size += 2 * min(count, len(members)) * (len(topic) + _BYTES_A_TOPIC)
    if size > limits.max_state_bytes:
        raise GroupMaxSizeReachedError(
            f"The group's members and subscriptions would take more than {limits.max_state_bytes} "
            "bytes"
        )


def _stored_size(member: Member) -> int:
    texts = (
        member.id, member.instance_id, member.client_id, member.host, member.rack, member.pattern,
        member.assignor, *member.topics,
    )  # fmt: skip
    return _BYTES_A_MEMBER + sum(len(text.encode()) + 3 for text in texts if text)
