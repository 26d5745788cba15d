"""Other brokers that lead, as far as requests are sent on to them: a test says what they do."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from kafkalite.model.cluster import Broker
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.messages import (
    FetchRequest,
    FetchResponse,
    FetchResult,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from tests.support.fake_peers import SilentPeers


async def appends_all(_broker: Broker, request: ProduceRequest) -> ProduceResponse:
    """A leader that has 100 records everywhere, and takes batches of one."""
    ends: Counter[int] = Counter()
    results: list[ProduceResult] = []
    for each in request.partitions:
        offset = 100 + ends[each.partition]
        results.append(ProduceResult(each.topic, each.partition, base_offset=offset))
        ends[each.partition] += 1
    return ProduceResponse(results)


async def has_nothing(_broker: Broker, request: FetchRequest) -> FetchResponse:
    """A leader of empty partitions that does not wait."""
    return FetchResponse(
        partitions=[
            FetchResult(each.topic, each.partition, high_watermark=0, log_start_offset=0)
            for each in request.partitions
        ]
    )


@dataclass(frozen=True)
class Sent:
    """A request that another broker got."""

    broker_id: int
    request: object
    timeout_s: float


class LeadingPeers(SilentPeers):
    """Gives each request to the function of its kind, and remembers it."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.on_produce: Callable[[Broker, ProduceRequest], Awaitable[ProduceResponse]] = (
            appends_all
        )
        self.on_fetch: Callable[[Broker, FetchRequest], Awaitable[FetchResponse]] = has_nothing
        self.on_request: Callable[[Broker, str, str], Awaitable[PeerReply]] | None = None

    async def fetch(self, broker: Broker, request: FetchRequest, timeout_s: float) -> FetchResponse:
        self.sent.append(Sent(broker.id, request, timeout_s))
        return await self.on_fetch(broker, request)

    async def produce(
        self, broker: Broker, request: ProduceRequest, timeout_s: float
    ) -> ProduceResponse:
        self.sent.append(Sent(broker.id, request, timeout_s))
        return await self.on_produce(broker, request)

    async def request(
        self,
        broker: Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        self.sent.append(Sent(broker.id, (method, target, dict(headers), body), timeout_s))
        assert self.on_request is not None
        return await self.on_request(broker, method, target)
