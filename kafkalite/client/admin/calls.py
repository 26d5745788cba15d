"""Administrative requests, each sent to any broker, and again where that may help and does no harm.

What that is, `Patience` says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from kafkalite.client.admin.patience import Patience
from kafkalite.client.backoff import Backoff
from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.cluster import Asking, Cluster
from kafkalite.client.problem import refusal
from kafkalite.client.settings import AdminSettings
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError, NetworkError, error_by_name
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.admin_messages import BrokerDescription, PartitionOutcome

_HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}
_GRACE_S: Final = 5.0
"""How much longer an answer may take than the broker was told to work at it."""
_AT_A_TIME: Final = 8
"""Requests of one call about many things."""

K = TypeVar("K")
T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Call(NamedTuple):
    """A request, and what is known of it."""

    method: str
    target: str
    body: object = None
    """Sent as JSON; None: no body."""
    is_idempotent: bool = True
    """Whether carrying it out twice does the same as once."""
    broker: BrokerAddress | None = None
    """Who is to be asked; None: any."""


class Calls:
    """Sends calls, and reads their answers. Owned by an AsyncAdminClient; lives on its loop."""

    def __init__(
        self,
        settings: AdminSettings,
        cluster: Cluster,
        connections: Asking,
        clock: Clock,
        backoff: Callable[[], Backoff],
        patience: Patience,
    ) -> None:
        """Assign only; `backoff` makes the pauses of one call, `patience` says when there are."""
        self._settings = settings
        self._cluster = cluster
        self._connections = connections
        self._clock = clock
        self._backoff = backoff
        self._patience = patience

    @property
    def timeout_ms(self) -> int:
        """How long a broker is told that it may work at a change."""
        return self._settings.request_timeout_ms

    async def ask(self, call: Call, kind: type[T]) -> T:
        """The answer to a call.

        Raises:
            LogError: it was refused, or there was no answer in default.api.timeout.ms.
        """
        broker, reply = await self._sent(call)
        try:
            return msgspec.json.decode(reply.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NetworkError(f"{broker.netloc} is not a broker of kafkalite: {error}") from None

    async def tell(self, call: Call) -> None:
        """A call that is answered with nothing; raises as `ask` does."""
        await self._sent(call)

    async def broker(self, broker_id: int) -> BrokerAddress:
        """Where a live broker is.

        Raises:
            PathNotFoundError: no live broker has this id.
        """
        found = await self.ask(Call("GET", path("brokers", broker_id)), BrokerDescription)
        return BrokerAddress(found.id, found.host, found.port)

    async def _sent(self, call: Call) -> tuple[BrokerAddress, PeerReply]:
        """Who answered, and with what success."""
        began_ms = self._clock.monotonic_ms()
        due_ms = began_ms + self._settings.default_api_timeout_ms
        last_ms = min(due_ms, began_ms + self._patience.retry_for_ms)
        pauses = self._backoff()
        attempts = 0
        while True:
            attempts += 1
            try:
                left_s = max(0.001, (due_ms - self._clock.monotonic_ms()) / 1000)
                return await self._sent_once(call, left_s)
            except LogError as error:
                if not self._patience.may_repeat(error, is_idempotent=call.is_idempotent):
                    raise
                pause_s = pauses.next_pause()
                left_s = (last_ms - self._clock.monotonic_ms()) / 1000
                if attempts > self._patience.retries or pause_s >= left_s:
                    raise
            await asyncio.sleep(pause_s)

    async def _sent_once(self, call: Call, left_s: float) -> tuple[BrokerAddress, PeerReply]:
        body = b"" if call.body is None else _encode(call.body)
        timeout_s = min(left_s, self._settings.request_timeout_ms / 1000 + _GRACE_S)
        if call.broker is not None:
            broker = call.broker
            reply = await self._connections.request(
                broker, call.method, call.target, _HEADERS, body, timeout_s
            )
        else:
            broker, reply = await self._cluster.ask(
                call.method,
                call.target,
                _HEADERS,
                body,
                timeout_s,
                may_repeat=call.is_idempotent,
            )
        if not 200 <= reply.status < 300:
            raise refusal(reply, broker)
        return broker, reply


async def of_each(things: Iterable[K], ask: Callable[[K], Awaitable[T]]) -> "dict[K, T | LogError]":
    """What `ask` gives for each of several things, a few at a time, or why it was refused."""
    slots = asyncio.Semaphore(_AT_A_TIME)

    async def one(thing: K) -> T | LogError:
        async with slots:
            try:
                return await ask(thing)
            except LogError as error:
                return error

    keys = list(dict.fromkeys(things))
    return dict(zip(keys, await asyncio.gather(*map(one, keys)), strict=True))


def outcomes(results: Iterable[PartitionOutcome]) -> dict[TopicPartition, LogError | None]:
    """Why each partition was refused; None: it was not."""
    return {
        TopicPartition(each.topic, each.partition): (
            error_by_name(each.error)(each.message or None) if each.error else None
        )
        for each in results
    }


def path(*parts: object) -> str:
    """Below `/v1`, each part quoted."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def query(pairs: Iterable[tuple[str, object]]) -> str:
    """`?a=1&b=2`, or nothing."""
    text = urlencode([(name, str(value)) for name, value in pairs])
    return f"?{text}" if text else ""


def given(**members: Any) -> Mapping[str, object]:  # noqa: ANN401 - of a body, each its own type
    """The members of a body that are not None."""
    return {name: value for name, value in members.items() if value is not None}
