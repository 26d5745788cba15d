"""Settings of streams of topics; a section of `keys.py`, where all of them come together."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from kafkalite.config.names import key_of
from kafkalite.config.setting import Int, setting

_NotNegative = Annotated[Int, Field(ge=0)]


class StreamKeys(BaseModel):
    """Streams of topics over HTTP"""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=key_of,
        validate_by_name=True,
        validate_by_alias=True,
    )

    topic_max_streams: _NotNegative = setting(
        1_000,
        "Streams (GET /v1/topics/T/stream) that the broker serves at once; one more is answered "
        "503.",
        live=True,
        ours=True,
    )
    produce_max_streams: _NotNegative = setting(
        1_000,
        "Streams of records (POST /v1/topics/T/records/stream) that the broker takes at once; one "
        "more is answered 503.",
        live=True,
        ours=True,
    )
