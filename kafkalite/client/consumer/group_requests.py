"""What a consumer asks about its group: heartbeats, commits, committed offsets."""

from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.consumer.commits import OffsetAndMetadata, Offsets
from kafkalite.client.consumer.ports import ClusterView, Connections
from kafkalite.client.problem import refusal
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    LogError,
    NetworkError,
    error_by_code,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    MAX_COMMITS,
    NO_MEMBER,
    NO_MEMBER_EPOCH,
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetFetchResponse,
    OffsetToCommit,
)

_MSGPACK: Final = {"content-type": "application/msgpack", "accept": "application/msgpack"}
_OK: Final = 200

_encode = msgspec.msgpack.Encoder().encode
_heartbeat: Final = msgspec.msgpack.Decoder(HeartbeatResponse)
_commit: Final = msgspec.msgpack.Decoder(OffsetCommitResponse)
_offsets: Final = msgspec.msgpack.Decoder(OffsetFetchResponse)

T = TypeVar("T")


class GroupRequests:
    """Asks the coordinator once it is known, and until then any broker, which passes it on."""

    def __init__(self, cluster: ClusterView, connections: Connections, group: str) -> None:
        self._cluster = cluster
        self._connections = connections
        self._path = f"/v1/groups/{quote(group, safe='')}"
        self._coordinator: BrokerAddress | None = None
        self._turn = 0
        """Which of the brokers to ask; another one after each that did not answer."""

    async def heartbeat(self, request: HeartbeatRequest, timeout_s: float) -> HeartbeatResponse:
        """Send a heartbeat.

        Raises:
            LogError: it was refused, or the broker does not answer: the next one goes to another.
        """
        path = f"{self._path}/heartbeat"
        response = await self._ask("POST", path, _encode(request), _heartbeat, timeout_s)
        if response.coordinator_url:
            self._coordinator = BrokerAddress.parse(
                response.coordinator_url, response.coordinator_id
            )
        return response

    async def commit(
        self,
        offsets: Offsets,
        timeout_s: float,
        *,
        member_id: str = NO_MEMBER,
        member_epoch: int = NO_MEMBER_EPOCH,
    ) -> dict[TopicPartition, LogError | None]:
        """Commit offsets; gives why each was refused.

        Raises:
            LogError: some or all were, or it is not known what became of them.
        """
        outcomes: dict[TopicPartition, LogError | None] = {}
        entries = [
            OffsetToCommit(*each, found.offset, found.leader_epoch, found.metadata)
            for each, found in offsets.items()
        ]
        for begin in range(0, len(entries), MAX_COMMITS):
            request = OffsetCommitRequest(
                entries[begin : begin + MAX_COMMITS], member_id, member_epoch
            )
            path = f"{self._path}/offsets"
            response = await self._ask("POST", path, _encode(request), _commit, timeout_s)
            for each in response.results:
                outcomes[TopicPartition(each.topic, each.partition)] = (
                    error_by_code(each.error_code)(each.message or None)
                    if each.error_code
                    else None
                )
        return outcomes

    async def committed(self, timeout_s: float) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """The committed offsets of the group."""
        found = await self._ask("GET", f"{self._path}/offsets", b"", _offsets, timeout_s)
        return {
            TopicPartition(each.topic, each.partition): OffsetAndMetadata(
                each.offset, each.metadata, each.leader_epoch
            )
            for each in found.offsets
        }

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        decoder: "msgspec.msgpack.Decoder[T]",
        timeout_s: float,
    ) -> T:
        address = self._coordinator
        if address is None:
            brokers = self._cluster.brokers()
            address = brokers[self._turn % len(brokers)]
        try:
            reply = await self._connections.request(
                address, method, path, _MSGPACK, body, timeout_s
            )
            if reply.status != _OK:
                raise refusal(reply, address)
            return decoder.decode(reply.content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._ask_another()
            raise NetworkError(f"{address.netloc} is not a broker of kafkalite: {error}") from error
        except LogError as error:
            if error.retriable and not isinstance(error, CoordinatorNotAvailableError):
                self._ask_another()
            raise

    def _ask_another(self) -> None:
        """Ask the next broker from now on, until it says who coordinates."""
        self._coordinator = None
        self._turn += 1
