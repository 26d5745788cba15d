"""Sending requests on, in tests of what uses it."""

from collections.abc import Callable

from kafkalite.broker.append import AppendPath
from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.ports import Peers
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.remote_records import RemoteRecords
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId
from tests.support.fake_peers import SilentPeers

OWN_ID = BrokerId(0)


async def up_to_date() -> None:
    """Bringing a view up to date where there is nothing to hear of."""


def forwarding(
    view: MetadataView | None = None,
    peers: Peers | None = None,
    *,
    on_refused: Callable[[Broker], None] = lambda _: None,
    max_requests: int = 10,
    max_bytes: int = 64 << 20,
    patience_ms: int = 0,
) -> Forwarding:
    """Forwarding of broker 0, to a cluster that nobody knows and nobody reaches."""
    return Forwarding(
        view or MetadataView(),
        peers or SilentPeers(),
        own_id=lambda: OWN_ID,
        on_refused=on_refused,
        max_requests=max_requests,
        max_bytes=max_bytes,
        patience_ms=patience_ms,
    )


def record_append_path(
    partitions: PartitionTable, clock: Clock, sending_on: Forwarding | None = None
) -> RecordAppendPath:
    """The produce path of records, whole."""
    sending_on = sending_on or forwarding()
    probe = DataProbe()
    remote = RemoteRecords(AppendPath(partitions, sending_on, probe), clock, lambda _: 1 << 20)
    return RecordAppendPath(partitions, remote, sending_on, clock, probe)
