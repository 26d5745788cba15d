"""Proof, within a transaction, that topics are still the ones that somebody means.

A topic that was deleted and created anew under its name has states of the same versions, and so
has its own znode: whoever has yet to hear of that would write over another topic's. So the version
of `/brokers/topics` counts the topics that go, and a transaction that checks the version under
which topics were looked at happens before any of them is another one.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from kafkalite.broker.ports import StoreConflictError
from kafkalite.coordination import codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    ConnectionLostError,
    MalformedZnodeError,
    TransactionFailedError,
)
from kafkalite.coordination.operations import ANY_VERSION, Check, Operation, SetData, Znode
from kafkalite.model.ids import TopicId

_log = logging.getLogger(__name__)

TOPIC_GOES: Final = SetData(paths.TOPICS, b"", ANY_VERSION)
"""Belongs to every transaction that removes a topic."""


class SameTopics:
    """Those of some topics that are what they are taken for, and transactions that need them so.

    Life: `look`, then any number of `commit`s. On the event loop.
    """

    def __init__(self, bridge: KazooBridge, meant: Mapping[str, TopicId]) -> None:
        """Assign only; `meant` says which topic of each name."""
        self.gone: frozenset[str] = frozenset()
        """Names that no topic has, or another one than is meant."""
        self.unknown: frozenset[str] = frozenset()
        """Names of which nothing can be told: what is stored of them is malformed."""
        self._bridge = bridge
        self._meant = meant
        self._unchanged = Check(paths.TOPICS)

    async def look(self) -> None:
        """See which topics are the ones that are meant.

        Raises:
            CoordinationError: it could not be read.
        """
        generation = self._bridge.generation
        topics = await self._bridge.get(paths.TOPICS)
        znodes = await self._bridge.get_many([paths.topic(name) for name in self._meant])
        if topics is None or generation != self._bridge.generation:
            # Within a session only, what is read later is not older.
            raise ConnectionLostError(f"{paths.TOPICS}: the session changed while it was read")
        self._unchanged = Check(paths.TOPICS, topics.version)
        found = dict(zip(self._meant, znodes, strict=True))
        ids = {name: _topic_id(name, znode) for name, znode in found.items() if znode is not None}
        self.unknown = frozenset(name for name, topic_id in ids.items() if topic_id is None)
        self.gone = frozenset(
            name
            for name, topic_id in self._meant.items()
            if name not in self.unknown and ids.get(name) != topic_id
        )

    @property
    def unchanged(self) -> Check:
        """A condition that holds as long as every topic is what it was when it was looked at."""
        return self._unchanged

    async def commit(self, operations: Sequence[Operation]) -> None:
        """Do all of a transaction, or nothing.

        Raises:
            StoreConflictError: one of the topics is another than it was when it was looked at.
            CoordinationError: as KazooBridge.commit; TransactionFailedError also where another
                topic went meanwhile: it may succeed next time.
        """
        try:
            await self._bridge.commit((self._unchanged, *operations))
        except TransactionFailedError as error:
            if error.index == 0:
                before = self.gone, self.unknown
                await self.look()
                if (self.gone, self.unknown) != before:
                    raise StoreConflictError("A topic was deleted meanwhile") from error
            raise


def _topic_id(name: str, znode: Znode) -> TopicId | None:
    path = paths.topic(name)
    try:
        topic, _ = codec.decode_topic(path, znode.data, name, {})
    except MalformedZnodeError as error:
        _log.error("%s; its in-sync replicas stay as they are until that is mended", error)
        return None
    return topic.topic_id
