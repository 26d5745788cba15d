"""Other brokers as the controller's side meets them: who listens, and what they answer."""

import asyncio
from collections.abc import Awaitable, Callable

from kafkalite.model.cluster import Broker
from kafkalite.transport.errors import PeerBrokenError, PeerRefusedError
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest
from tests.support.fake_peers import SilentPeers


class ScriptedPeers(SilentPeers):
    """Refuses connections to the dead; has requests answered by what a test put there."""

    def __init__(self) -> None:
        self.dead: set[int] = set()
        self.answers: dict[int, Callable[[ControllerRequest], Awaitable[ControllerReply]]] = {}
        """By broker: what answers requests to its controller."""
        self.looked_at: list[int] = []
        self.looked = asyncio.Event()

    async def refuses(self, broker: Broker) -> bool:
        self.looked_at.append(broker.id)
        self.looked.set()
        return broker.id in self.dead

    async def ask_controller(
        self, broker: Broker, request: ControllerRequest, timeout_s: float
    ) -> ControllerReply:
        if broker.id in self.dead:
            raise PeerRefusedError(f"Broker {broker.id} does not listen")
        answer = self.answers.get(broker.id)
        if answer is None:
            raise PeerBrokenError(f"Broker {broker.id} does not answer within {timeout_s} s")
        return await answer(request)
