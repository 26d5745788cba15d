"""The id of an event of a tail: where it goes on in every partition that it reads.

    id = base64url of msgpack, without padding
       = [1, beginning of the topic's id, first partition, [offset, ...]]           ; side by side
       | [1, beginning of the topic's id, -1, [partition, offset, ...]]             ; any others

An offset is that of the next record: what is below was sent.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

MAX_MARK_CHARACTERS: Final = 32 << 10
"""Of an id; those of tails of MAX_PARTITIONS are shorter."""
MAX_PARTITIONS: Final = 1_000
"""Of one tail: its ids have to fit into a header of any server."""

_APART: Final = -1
_TOPIC_ID_CHARACTERS: Final = 8
_MAX_PARTITION: Final = 2**31 - 1

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Written(msgspec.Struct, frozen=True, array_like=True):
    version: Literal[1]
    topic_id: Annotated[str, Meta(max_length=_TOPIC_ID_CHARACTERS)]
    first: Annotated[int, Meta(ge=_APART, le=_MAX_PARTITION)]
    numbers: Annotated[list[_Number], Meta(max_length=2 * MAX_PARTITIONS)]


class TailMark(NamedTuple):
    """A place in a tail."""

    topic_id: str
    """Or its beginning: offsets of another topic of that name mean nothing."""
    offsets: Mapping[int, int]
    """Partition -> offset of its next record."""

    def is_of(self, topic_id: str) -> bool:
        """Whether it is a place in that topic."""
        return topic_id.startswith(self.topic_id)

    def encode(self) -> str:
        """The id of the event that ends here."""
        partitions = sorted(self.offsets)
        first = partitions[0] if partitions else 0
        if partitions == list(range(first, first + len(partitions))):
            numbers = [self.offsets[each] for each in partitions]
        else:
            first = _APART
            numbers = [number for each in partitions for number in (each, self.offsets[each])]
        written = _Written(1, self.topic_id[:_TOPIC_ID_CHARACTERS], first, numbers)
        return urlsafe_b64encode(msgspec.msgpack.encode(written)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> "TailMark | None":
        """What `encode` made; None for anything else."""
        if not text.isascii() or len(text) > MAX_MARK_CHARACTERS:
            return None
        try:
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            written = msgspec.msgpack.decode(data, type=_Written)
        except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
            return None
        numbers = written.numbers
        if written.first != _APART:
            return cls(written.topic_id, dict(enumerate(numbers, written.first)))
        if len(numbers) % 2 or any(number > _MAX_PARTITION for number in numbers[::2]):
            return None
        return cls(written.topic_id, dict(zip(numbers[::2], numbers[1::2], strict=True)))
