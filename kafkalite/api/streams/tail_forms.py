"""What a tail has to tell, as bytes: server-sent events, lines of JSON, or msgpack.

    events  = event: records, data {"records": [record, ...]}; any other event with its members
    lines   = a record a line; anything else is a line with the member `event`
    msgpack = maps one after the other, as the lines

In lines and msgpack the members `offsets` of `start`, and `partition` and `offset` of each record,
say what an event's id says: where to go on.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import msgspec

from kafkalite.api.streams.event_stream import COMMENT, encode_event
from kafkalite.broker.tails.page import TailRecords
from kafkalite.broker.tails.tail import TailNotice
from kafkalite.model.record import Record
from kafkalite.wire.media import Media
from kafkalite.wire.record_pages import encode_line, encode_packed

_RETRY_MS: Final = 1_000
"""After which a browser that lost its stream asks for it again."""
_ALIVE: Final = {"event": "alive"}

_json: Final = msgspec.json.Encoder().encode
_msgpack: Final = msgspec.msgpack.Encoder().encode


class TailForm(Protocol):
    """How one client wants it."""

    media: Media
    alive: bytes
    """What is sent where there is nothing to tell."""

    def records(self, found: TailRecords) -> bytes: ...

    def notice(self, notice: TailNotice) -> bytes: ...


class EventForm:
    """Server-sent events."""

    media = Media.EVENTS
    alive = COMMENT

    def __init__(self, *, text: bool) -> None:
        self._text = text

    def records(self, found: TailRecords) -> bytes:
        rows = [encode_line(number, each, text=self._text) for number, each in _all(found)]
        data = b'{"records":[%b]}' % b",".join(rows)
        return encode_event(data, name="records", event_id=found.mark)

    def notice(self, notice: TailNotice) -> bytes:
        return encode_event(
            _json(notice.members),
            name=notice.name,
            event_id=notice.mark,
            retry_ms=_RETRY_MS if notice.name == "start" else None,
        )


class LineForm:
    """NDJSON."""

    media = Media.NDJSON
    alive = _json(_ALIVE) + b"\n"

    def __init__(self, *, text: bool) -> None:
        self._text = text

    def records(self, found: TailRecords) -> bytes:
        return b"".join(
            [encode_line(number, each, text=self._text) + b"\n" for number, each in _all(found)]
        )

    def notice(self, notice: TailNotice) -> bytes:
        return _json(_named(notice)) + b"\n"


class PackedForm:
    """msgpack."""

    media = Media.MSGPACK
    alive = _msgpack(_ALIVE)

    def records(self, found: TailRecords) -> bytes:
        return b"".join([encode_packed(number, each) for number, each in _all(found)])

    def notice(self, notice: TailNotice) -> bytes:
        return _msgpack(_named(notice))


_FORMS: Final[Mapping[tuple[Media, bool], TailForm]] = {
    (Media.EVENTS, False): EventForm(text=False),
    (Media.EVENTS, True): EventForm(text=True),
    (Media.NDJSON, False): LineForm(text=False),
    (Media.NDJSON, True): LineForm(text=True),
    (Media.MSGPACK, False): PackedForm(),
    (Media.MSGPACK, True): PackedForm(),
}


def tail_form(media: Media, *, text: bool) -> TailForm:
    """The form of a media type that `OFFERED_TAILS` has; always the same one."""
    return _FORMS[media, text]


def encode_shared(form: TailForm, found: TailRecords) -> bytes:
    """As `form.records`, once for all who get the same in the same form."""
    encoded = found.encoded.get(form)
    if encoded is None:
        encoded = found.encoded[form] = form.records(found)
    return encoded


OFFERED_TAILS: Final = (Media.EVENTS, Media.NDJSON, Media.MSGPACK)


def _all(found: TailRecords) -> Iterator[tuple[int, Record]]:
    for place, records in found.parts:
        for record in records:
            yield place.partition, record


def _named(notice: TailNotice) -> dict[str, object]:
    named: dict[str, object] = {"event": notice.name, **notice.members}
    if notice.mark:
        named["id"] = notice.mark
    return named
