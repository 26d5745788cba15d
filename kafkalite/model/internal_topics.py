"""Names of the topics that Kafka keeps for itself, which lists of topics leave out."""

from typing import Final

INTERNAL_TOPICS: Final = frozenset({"__consumer_offsets", "__transaction_state"})
