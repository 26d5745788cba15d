"""Settings of idempotent producing; a section of `keys.py`, where all of them come together."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from kafkalite.config.names import key_of
from kafkalite.config.setting import Int, setting

_Positive = Annotated[Int, Field(ge=1)]


class ProducerKeys(BaseModel):
    """Idempotent producers"""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=key_of,
        validate_by_name=True,
        validate_by_alias=True,
    )

    producer_id_expiration_ms: _Positive = setting(
        86_400_000,
        "After how long a producer id that sent a partition nothing is forgotten there; with it "
        "goes what tells its retries from new batches.",
    )
    producer_id_expiration_check_interval_ms: _Positive = setting(
        600_000, "How often producer ids are looked through for what may be forgotten."
    )
    producer_id_count_max: _Positive = setting(
        20_000,
        "How many producer ids a partition remembers; of more, the one that was not heard of for "
        "the longest time is forgotten.",
        ours=True,
        live=True,
    )
