"""`POST /v1/produce`: record batches from native clients, for many partitions at a time."""

from typing import Final

import msgspec

from kafkalite.api.exchange import Exchange
from kafkalite.api.produce_slots import ProduceSlots
from kafkalite.broker.append import AppendPath
from kafkalite.model.errors import InvalidRequestError
from kafkalite.wire.media import Media, media_of_body
from kafkalite.wire.messages import ProduceRequest, ProduceResponse

_MSGPACK: Final = Media.MSGPACK.encode()
_decoder = msgspec.msgpack.Decoder(ProduceRequest)
_encoder = msgspec.msgpack.Encoder()


class ProduceEndpoint:
    """Decodes the request, has it appended, encodes the results."""

    def __init__(self, path: AppendPath, max_body_bytes: int, slots: ProduceSlots) -> None:
        self._path = path
        self._max_body_bytes = max_body_bytes
        self._slots = slots

    async def post(self, exchange: Exchange) -> None:
        check_msgpack(exchange)
        body = await exchange.read_body(self._max_body_bytes)
        try:
            request = _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequestError(f"The body is no ProduceRequest: {error}") from error
        with self._slots:
            results = await self._path.append(request)
        await exchange.respond(200, _MSGPACK, _encoder.encode(ProduceResponse(results)))


def check_msgpack(exchange: Exchange) -> None:
    """Raise UnsupportedMediaTypeError unless the body is msgpack; no media type at all will do."""
    content_type = exchange.header(b"content-type")
    if content_type:
        media_of_body(content_type, (Media.MSGPACK,))
