"""`POST /v1/controller`: what brokers ask the one among them that rules. Not for clients."""

from typing import Final, Protocol

import msgspec

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.data_plane.produce import check_msgpack
from kafkalite.model.errors import InvalidRequestError
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest
from kafkalite.wire.media import Media

_MSGPACK: Final = Media.MSGPACK.encode()
_MAX_BODY_BYTES: Final = 16 << 20
_decoder: "msgspec.msgpack.Decoder[ControllerRequest]" = msgspec.msgpack.Decoder(ControllerRequest)
_encoder = msgspec.msgpack.Encoder()


class Controlling(Protocol):
    """Whoever answers for the controller on this broker."""

    async def ask(self, request: ControllerRequest) -> ControllerReply:
        """Do what is asked; an error of the table comes in the reply, also when not ruling."""


class ControllerEndpoint:
    """Decodes the request, has it done, encodes the reply; 200 whatever the reply says."""

    def __init__(self, controller: Controlling) -> None:
        self._controller = controller

    async def post(self, exchange: Exchange) -> None:
        check_msgpack(exchange)
        body = await exchange.read_body(_MAX_BODY_BYTES)
        try:
            request = _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequestError(f"The body is no ControllerRequest: {error}") from error
        reply = await self._controller.ask(request)
        await exchange.respond(200, _MSGPACK, _encoder.encode(reply))
