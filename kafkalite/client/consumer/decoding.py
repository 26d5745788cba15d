"""How keys and values are read, and what becomes of a record that cannot be."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from kafkalite.client.consumer.failures import DeserializationError
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.client.deserializers import Deserializer

PoisonHook = Callable[[DeserializationError], object]
OnPoison = Literal["raise", "skip"] | PoisonHook
"""What to do with a record that a deserializer does not understand.

- `raise`: the poll before gives what precedes it; the next one raises, and the position stays.
- `skip`: it is left out, and the position goes past it.
- a callable: called with the error, which holds the bytes; then as `skip`. What it raises itself
  counts as `raise`.
"""


class Decoding(NamedTuple):
    """Deserializers and the poison hook of one consumer."""

    key: Deserializer | None = None
    value: Deserializer | None = None
    on_poison: OnPoison = "raise"

    @property
    def is_plain(self) -> bool:
        """Keys and values are given as they lie in the log: nothing can go wrong with them."""
        return self.key is None and self.value is None

    def apply(
        self, records: list[ConsumerRecord]
    ) -> tuple[list[ConsumerRecord], DeserializationError | None]:
        """Deserialize in place; gives the records that may be handed out.

        The error is that of the record after them, where it shall be raised.
        """
        read_key, read_value = self.key, self.value
        readable: list[ConsumerRecord] = []
        for record in records:
            key, value = record.key, record.value
            try:
                if read_key is not None and key is not None:
                    record.key = read_key(key)
                if read_value is not None and value is not None:
                    record.value = read_value(value)
            except Exception as cause:  # noqa: BLE001 - a deserializer raises what it likes
                error = DeserializationError(
                    record.topic_partition, record.offset, cause, key=key, value=value
                )
                error.__cause__ = cause
                if self.on_poison == "raise":
                    return readable, error
                if self.on_poison != "skip":
                    try:
                        self.on_poison(error)
                    except Exception as refusal:  # noqa: BLE001 - so does a hook
                        error.__cause__ = refusal
                        return readable, error
            else:
                readable.append(record)
        return readable, None
