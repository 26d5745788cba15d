"""A page of records as it is sent: JSON, NDJSON or msgpack, never lossy.

A page has the form in which records come in (see record_bodies.py) and can be sent in again:
a key or value that is JSON goes out as it is; other bytes go out in base64 and say so in
`key_encoding` or `value_encoding`, or as text, and say so, where the caller asks for text.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import pybase64

from kafkalite.model.record import Header, Record
from kafkalite.wire.media import Media

OFFERED: Final = (Media.JSON, Media.NDJSON, Media.MSGPACK)
"""Media types in which a page is sent."""

_json_syntax = msgspec.json.Decoder(msgspec.Raw)


class RecordsPage(NamedTuple):
    """What a read of one partition answers."""

    topic: str
    partition: int
    records: Sequence[Record]
    next_offset: int
    """Where to read on."""
    high_watermark: int
    log_start_offset: int


def encode_page(media: Media, page: RecordsPage, *, text: bool) -> bytes:
    """A page in `media`; with `text`, UTF-8 that is not JSON goes out as a string."""
    if media is Media.MSGPACK:
        return _page_to_msgpack(page)
    rows = [_row(record, text=text) for record in page.records]
    if media is Media.NDJSON:
        return b"".join(_one_line(row) + b"\n" for row in rows)
    head = b'{"topic":"%b","partition":%d,"records":[' % (page.topic.encode(), page.partition)
    tail = b'],"next_offset":%d,"high_watermark":%d,"log_start_offset":%d}' % (
        page.next_offset,
        page.high_watermark,
        page.log_start_offset,
    )
    return head + b",".join(rows) + tail


def encode_line(partition: int, record: Record, *, text: bool) -> bytes:
    """A record of a topic as one line of JSON, without its end."""
    row = _row(record, text=text).removeprefix(b"{")
    return _one_line(b'{"partition":%d,%b' % (partition, row))


def encode_packed(partition: int, record: Record) -> bytes:
    """A record of a topic in msgpack."""
    return msgspec.msgpack.encode({"partition": partition, **_packed(record)})


def _row(record: Record, *, text: bool) -> bytes:
    key, key_note = _outgoing(record.key, b"key", text=text)
    value, value_note = _outgoing(record.value, b"value", text=text)
    headers = _outgoing_headers(record.headers) if record.headers else b"[]"
    return b'{"offset":%d,"timestamp":%d,"key":%b,"value":%b,"headers":%b%b%b}' % (
        record.offset,
        record.timestamp,
        key,
        value,
        headers,
        key_note,
        value_note,
    )


def _outgoing(data: bytes | None, name: bytes, *, text: bool) -> tuple[bytes, bytes]:
    """Bytes as JSON, and the member that says how where it is not as they are.

    JSON `null` counts as not JSON: as it is, it would read as no value at all.
    """
    if data is None:
        return b"null", b""
    if data != b"null" and _is_json(data):
        return data, b""
    if text:
        try:
            return msgspec.json.encode(data.decode()), b',"%b_encoding":"text"' % name
        except UnicodeDecodeError:
            pass
    return b'"%b"' % pybase64.b64encode(data), b',"%b_encoding":"base64"' % name


def _is_json(data: bytes) -> bool:
    try:
        if not data.isascii():
            data.decode()
        _json_syntax.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _outgoing_headers(headers: Iterable[Header]) -> bytes:
    rows: list[dict[str, str | None]] = []
    for name, data in headers:
        row: dict[str, str | None] = {"key": name, "value": None}
        if data is not None:
            try:
                row["value"] = data.decode()
            except UnicodeDecodeError:
                row["value"] = pybase64.b64encode(data).decode()
                row["value_encoding"] = "base64"
        rows.append(row)
    return msgspec.json.encode(rows)


def _one_line(row: bytes) -> bytes:
    # JSON that was stored with line breaks between its tokens.
    return msgspec.json.format(row, indent=-1) if b"\n" in row or b"\r" in row else row


def _page_to_msgpack(page: RecordsPage) -> bytes:
    return msgspec.msgpack.encode(
        {
            "topic": page.topic,
            "partition": page.partition,
            "records": [_packed(record) for record in page.records],
            "next_offset": page.next_offset,
            "high_watermark": page.high_watermark,
            "log_start_offset": page.log_start_offset,
        }
    )


def _packed(record: Record) -> dict[str, object]:
    return {
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": record.key,
        "value": record.value,
        "headers": record.headers,
    }
