"""`POST /v1/produce`: record batches from native clients, for many partitions at a time."""

from functools import partial
from typing import Final

import msgspec

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.broker.append import AppendPath
from kafkalite.model.errors import InvalidRequestError
from kafkalite.wire.media import Media, media_of_body
from kafkalite.wire.messages import ProduceRequest, ProduceResponse, ProduceResult

_MSGPACK: Final = Media.MSGPACK.encode()
_EXPRESS_BYTES: Final = 16 << 10
"""The largest body that is tried without a task: all of it is looked through in one turn."""
_decoder = msgspec.msgpack.Decoder(ProduceRequest)
_encoder = msgspec.msgpack.Encoder()


class ProduceEndpoint:
    """Decodes the request, has it appended, encodes the results."""

    def __init__(self, path: AppendPath, max_body_bytes: int, slots: ProduceSlots) -> None:
        self._path = path
        self._max_body_bytes = max_body_bytes
        self._express_bytes = min(max_body_bytes, _EXPRESS_BYTES)
        self._slots = slots

    async def post(self, exchange: Exchange) -> None:
        check_msgpack(exchange)
        body = await exchange.read_buffer(self._max_body_bytes)
        try:
            request = _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequestError(f"The body is no ProduceRequest: {error}") from error
        with self._slots:
            results = await self._path.append(request)
        await exchange.respond(200, _MSGPACK, _encoder.encode(ProduceResponse(results)))

    def post_whole(self, request: WholeRequest) -> bool:
        """As `post`, without a task, for small batches that this broker leads the partitions of.

        False leaves the request to `post`, also where it must be refused; nothing was done then.
        """
        if request.body_size > self._express_bytes:
            return False
        if request.header(b"content-type") != Media.MSGPACK:
            return False
        try:
            produce = _decoder.decode(request.body())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return self._slots.begin(partial(self._path.begin, produce), _Answer(request))


class _Answer:
    """Answers a request once its results are there."""

    __slots__ = ("_request",)

    def __init__(self, request: WholeRequest) -> None:
        self._request = request

    def __call__(self, results: list[ProduceResult] | Exception) -> None:
        if isinstance(results, Exception):
            self._request.refuse(problem_response(unexpected(results, self._request.request_id)))
            return
        self._request.respond(200, _MSGPACK, _encoder.encode(ProduceResponse(results)))


def check_msgpack(exchange: Exchange) -> None:
    """Raise UnsupportedMediaTypeError unless the body is msgpack; no media type at all will do."""
    content_type = exchange.header(b"content-type")
    if content_type:
        media_of_body(content_type, (Media.MSGPACK,))
