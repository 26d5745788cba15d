"""`GET /v1/topics/T/stream`: a topic's records as they come, for whoever listens.

Any broker serves it, whoever leads the partitions. Nothing of it is kept: where a client goes on
is in the id of the last event that it got.
"""

from collections.abc import Mapping
from typing import Final

from kafkalite.api.data_plane.exchange import Exchange, bool_parameter, int_parameter
from kafkalite.api.errors import problem_response
from kafkalite.api.http.allowed_methods import method_not_allowed
from kafkalite.api.streams.event_stream import (
    KEEP_ALIVE_S,
    LAST_EVENT_ID,
    EventStream,
    SlowReaderError,
    slow_reason,
    while_read,
)
from kafkalite.api.streams.tail_forms import OFFERED_TAILS, TailForm, encode_shared, tail_form
from kafkalite.broker.tails.mark import MAX_PARTITIONS, TailMark
from kafkalite.broker.tails.page import TailRecords
from kafkalite.broker.tails.start import TailEdge, TailStart
from kafkalite.broker.tails.tail import TailNotice, TailWish, TopicTail
from kafkalite.broker.tails.tails import TopicTails
from kafkalite.model.errors import BrokerNotAvailableError, InvalidRequestError
from kafkalite.model.topic_name import check_topic_name
from kafkalite.wire.media import negotiate

_PARAMETERS: Final = frozenset(
    {"partitions", "from", "at", "max_bytes", "max_records", "text", "last.event.id"}
)
DEFAULT_BYTES: Final = 256 << 10
MAX_BYTES: Final = 4 << 20
DEFAULT_RECORDS: Final = 500
MAX_RECORDS: Final = 100_000
_EDGES: Final = {edge.value: edge for edge in TailEdge}
_MAX_PARTITION: Final = 2**31 - 1
_LATEST_TIMESTAMP: Final = 2**63 - 1
_RETRY_AFTER: Final = "1"


class TopicStreamEndpoint:
    """Serves tails. Holds nothing of a request."""

    def __init__(self, tails: TopicTails) -> None:
        self._tails = tails

    async def listen(self, exchange: Exchange, method: str, topic: str) -> None:
        """Push what the topic gets, until the client goes away or the topic does."""
        if method != "GET":
            raise method_not_allowed("/v1/topics/.../stream", method, ("GET",))
        check_topic_name(topic)
        media = negotiate(exchange.header(b"accept"), OFFERED_TAILS)
        query = exchange.query(_PARAMETERS)
        form = tail_form(media, text=bool_parameter(query, "text"))
        wish = _wish(query, topic, exchange.header(LAST_EVENT_ID))
        await while_read(exchange, self._serve(exchange, form, wish))

    async def _serve(self, exchange: Exchange, form: TailForm, wish: TailWish) -> None:
        try:
            with self._tails.tail(wish) as tail:
                await _push(EventStream(exchange, form.media, form.alive), form, tail)
        except BrokerNotAvailableError as error:
            await exchange.refuse(problem_response(error, {"retry-after": _RETRY_AFTER}))


async def _push(events: EventStream, form: TailForm, tail: TopicTail) -> None:
    first = await tail.open()
    await events.start()
    try:
        await events.send(form.notice(first))
        while not tail.is_over:
            found = await tail.next_event(max(KEEP_ALIVE_S - events.silent_s, 0.0))
            if isinstance(found, TailRecords):
                await events.send(encode_shared(form, found))
            elif found is not None:
                await events.send(form.notice(found))
            else:
                await events.keep_alive()
    except SlowReaderError:
        # Who reads on within as much time again hears of it; of the others nothing stays.
        await events.send(form.notice(TailNotice("closed", {"reason": slow_reason()})))
    await events.end()


# -- what is asked for ----------------------------------------------------------------------------


def _wish(query: Mapping[str, str], topic: str, last_id: str) -> TailWish:
    partitions = _partitions(query)
    last_id = last_id or query.get("last.event.id", "")
    last = TailMark.decode(last_id) if last_id else None
    if last_id and last is None:
        raise InvalidRequestError(f"{last_id[:40]!r} is not the id of an event of a stream")
    return TailWish(
        topic,
        partitions,
        _start(query, partitions),
        max_bytes=int_parameter(query, "max_bytes", DEFAULT_BYTES, least=1, most=MAX_BYTES),
        max_records=int_parameter(query, "max_records", DEFAULT_RECORDS, least=1, most=MAX_RECORDS),
        last=last,
    )


def _partitions(query: Mapping[str, str]) -> tuple[int, ...]:
    texts = [text.strip() for text in query.get("partitions", "").split(",")]
    wanted = {
        int_parameter({"partitions": text}, "partitions", 0, most=_MAX_PARTITION)
        for text in texts
        if text
    }
    if len(wanted) > MAX_PARTITIONS:
        raise InvalidRequestError(f"{MAX_PARTITIONS} partitions are possible, not {len(wanted)}")
    return tuple(sorted(wanted))


def _start(query: Mapping[str, str], partitions: tuple[int, ...]) -> TailStart:
    text = query.get("from", "")
    if "at" in query:
        if text:
            raise InvalidRequestError("Say where to begin by ?from= or by ?at=, not by both")
        return TailStart(time_ms=int_parameter(query, "at", 0, most=_LATEST_TIMESTAMP))
    if not text:
        return TailStart()
    if text in _EDGES:
        return TailStart(edge=_EDGES[text])
    return TailStart(_offsets(text, partitions))


def _offsets(text: str, partitions: tuple[int, ...]) -> dict[int, int]:
    """`17`, for one partition, or `0:17,1:4`."""
    if ":" not in text and len(partitions) == 1:
        return {partitions[0]: _number(text, _LATEST_TIMESTAMP)}
    offsets: dict[int, int] = {}
    for entry in text.split(","):
        partition, colon, offset = entry.strip().partition(":")
        if not colon:
            raise InvalidRequestError(
                "from must be earliest, latest or offsets as in 0:17,1:4 (without a partition "
                f"where ?partitions= names just one), not {text[:40]!r}"
            )
        offsets[_number(partition, _MAX_PARTITION)] = _number(offset, _LATEST_TIMESTAMP)
    if len(offsets) > MAX_PARTITIONS:
        raise InvalidRequestError(f"{MAX_PARTITIONS} partitions are possible, not {len(offsets)}")
    return offsets


def _number(text: str, most: int) -> int:
    return int_parameter({"from": text}, "from", 0, most=most)
