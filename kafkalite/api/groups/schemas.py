"""What the control plane takes about consumer groups; see `schemas.py`."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from kafkalite.api.schemas import Body, PartitionName, PartitionNumber

_INT_64 = 2**63 - 1
_TARGETS = ("to", "to_offset", "shift_by", "to_datetime", "by_duration", "offsets")


class TopicScope(Body):
    """A topic, or some of its partitions."""

    topic: str
    partitions: list[PartitionNumber] | None = Field(
        None, min_length=1, description="By default all."
    )


class GivenOffset(PartitionName):
    """A partition and its new offset."""

    offset: int = Field(ge=-_INT_64, le=_INT_64)


class ResetOffsetsBody(Body):
    """Where a group shall go on: exactly one of the targets, and of which partitions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"to": "earliest", "topics": [{"topic": "flights"}], "dry_run": False},
                {"shift_by": -10, "topics": [{"topic": "flights", "partitions": [0]}]},
                {"to_datetime": "2026-01-31T12:00:00.000", "all_topics": True},
                {"by_duration": "PT1H30M", "all_topics": True},
                {"offsets": [{"topic": "flights", "partition": 0, "offset": 42}]},
            ]
        }
    )

    to: Literal["earliest", "latest", "current"] | None = Field(
        None, description="`current`: the committed offset, or the latest where there is none."
    )
    to_offset: int | None = Field(None, ge=-_INT_64, le=_INT_64)
    shift_by: int | None = Field(
        None, ge=-_INT_64, le=_INT_64, description="So many records on, or back."
    )
    to_datetime: str | None = Field(
        None,
        max_length=64,
        description="The first record that is not older: ISO 8601, UTC unless it says otherwise.",
    )
    by_duration: str | None = Field(
        None, max_length=64, description="The same, so long before now: PnDTnHnMnS."
    )
    offsets: list[GivenOffset] | None = Field(
        None, min_length=1, description="One for each partition; needs no topics."
    )
    topics: list[TopicScope] | None = Field(None, min_length=1)
    all_topics: bool = Field(
        False, description="All partitions that the group has committed offsets of."
    )
    dry_run: bool = Field(True, description="Only say what the new offsets would be.")

    @model_validator(mode="after")
    def _is_one_wish(self) -> Self:
        targets = [name for name in _TARGETS if getattr(self, name) is not None]
        if len(targets) != 1:
            raise ValueError(f"exactly one of {', '.join(_TARGETS)} is needed")
        scopes = (self.topics is not None) + self.all_topics
        if self.offsets is None and scopes != 1:
            raise ValueError("exactly one of topics and all_topics is needed")
        if self.offsets is not None and scopes:
            raise ValueError("offsets name their topics themselves")
        return self
