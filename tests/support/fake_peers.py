"""Other brokers, none of which can be reached."""

from collections.abc import Mapping

from kafkalite.model.cluster import Broker
from kafkalite.transport.errors import PeerUnreachableError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest
from kafkalite.wire.messages import FetchRequest, FetchResponse, ProduceRequest, ProduceResponse


class SilentPeers:
    """Implements Peers where there is no network: nothing refuses, and nothing answers."""

    async def fetch(self, broker: Broker, request: FetchRequest, timeout_s: float) -> FetchResponse:
        raise PeerUnreachableError(f"There is no way to broker {broker.id}")

    async def produce(
        self, broker: Broker, request: ProduceRequest, timeout_s: float
    ) -> ProduceResponse:
        raise PeerUnreachableError(f"There is no way to broker {broker.id}")

    async def ask_controller(
        self, broker: Broker, request: ControllerRequest, timeout_s: float
    ) -> ControllerReply:
        raise PeerUnreachableError(f"There is no way to broker {broker.id}")

    async def request(
        self,
        broker: Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        raise PeerUnreachableError(f"There is no way to broker {broker.id}")

    async def refuses(self, broker: Broker) -> bool:
        return False

    async def close(self) -> None:
        pass
