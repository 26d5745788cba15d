"""The broker by which an instance's client was sent records, where that is another one.

CON-4  Records that were given to a broker that is gone before its client asked for the next ones
       are given again: the client may never have received them.
"""

import asyncio
from typing import Final, NamedTuple

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import Peers
from kafkalite.model.ids import BrokerId

_LOOK_FOR_S: Final = 1.0


class Messenger(NamedTuple):
    """A broker that sends a client's requests on, in one of its lives."""

    broker_id: BrokerId
    epoch: int
    """Of its registration."""

    def __str__(self) -> str:
        return f"{self.broker_id}:{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> "Messenger | None":
        """What `str` made; None for anything else."""
        number, _, epoch = text.partition(":")
        if not (number.isdecimal() and epoch.removeprefix("-").isdecimal()):
            return None
        return cls(BrokerId(int(number)), int(epoch))


class Messengers:
    """Says whether another broker is there. Lives on the loop; keeps nothing."""

    def __init__(self, view: MetadataView, peers: Peers) -> None:
        self._view = view
        self._peers = peers

    async def is_gone(self, messenger: Messenger) -> bool:
        """Whether that broker has ended, or may have; tried now."""
        broker = self._view.brokers.get(messenger.broker_id)
        if broker is None or broker.epoch != messenger.epoch:
            return True
        try:
            async with asyncio.timeout(_LOOK_FOR_S):
                return await self._peers.refuses(broker)
        except TimeoutError:
            return True
