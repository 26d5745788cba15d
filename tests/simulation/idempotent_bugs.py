"""Known mistakes with idempotent producers, planted as those of bugs.py are."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from kafkalite.broker import partition as partition_module
from kafkalite.broker.appended import Appended, stored_before
from kafkalite.model.errors import KafkaStorageError
from kafkalite.storage.log import Log
from kafkalite.storage.producer_state import ProducerState
from kafkalite.storage.producers import Producers
from kafkalite.wire.batch import BatchHeader

Replacements = Sequence[tuple[Any, str, Any]]

IDEMPOTENT_BUGS: Final[dict[str, Callable[[], Replacements]]] = {}


def _bug(plant: Callable[[], Replacements]) -> Callable[[], Replacements]:
    IDEMPOTENT_BUGS[plant.__name__] = plant
    return plant


@_bug
def followers_forget_producers() -> Replacements:
    """A follower knows of no batch that it has from its leader."""
    append_replica = Log.append_replica

    def forgetting(self: Log, batches: Any, headers: Any) -> None:
        before = self.producers.copy()
        try:
            append_replica(self, batches, headers)
        finally:
            self.producers.replace(before)

    return ((Log, "append_replica", forgetting),)


@_bug
def producers_advance_before_the_write() -> Replacements:
    """A batch counts as stored though its write has failed."""
    append = Log.append

    def advancing(self: Log, batches: Any, headers: Any, leader_epoch: int) -> int:
        try:
            return append(self, batches, headers, leader_epoch)
        except KafkaStorageError:
            for header in headers:
                if header.producer_id >= 0:
                    self.producers.note(header, self.end_offset)
            raise

    return ((Log, "append", advancing),)


@_bug
def cut_logs_keep_their_producers() -> Replacements:
    """After a truncation the log knows of batches that it no longer has."""
    truncate_to = Log.truncate_to

    def keeping(self: Log, offset: int) -> None:
        before = self.producers.copy()
        truncate_to(self, offset)
        self.producers.replace(before)

    return ((Log, "truncate_to", keeping),)


@_bug
def restarts_forget_producers() -> Replacements:
    """An opened log knows of nobody."""
    return ((Producers, "open", lambda *_: None),)


@_bug
def snapshots_count_for_the_log() -> Replacements:
    """What stands behind the newest snapshot is not looked at."""
    return ((Producers, "_replay", lambda *_: None),)


@_bug
def retries_are_acknowledged_at_once() -> Replacements:
    """A duplicate is answered before the first attempt is committed."""

    def at_once(stored: Any, *, has_append_time: bool) -> Appended:
        return stored_before(stored, has_append_time=has_append_time)._replace(end_offset=0)

    return ((partition_module, "stored_before", at_once),)


@_bug
def retries_are_stored_again() -> Replacements:
    """Nobody looks whether a batch was stored before."""

    def nothing(_self: ProducerState, _headers: Sequence[BatchHeader]) -> list[Any]:
        return []

    return ((ProducerState, "stored", nothing),)
