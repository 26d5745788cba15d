"""Topics created as Strimzi's bridge has it."""

from typing import Final

from kafkalite.api.rest.errors import (
    BAD_REQUEST,
    BAD_TOPIC_REQUEST,
    UNSUPPORTED_MEDIA,
    RestAnswer,
    RestError,
    unprocessable,
)
from kafkalite.api.rest.json_body import Fields, decode_object, whole_number
from kafkalite.broker.control.topic_admin import TopicAdmin
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.model.errors import (
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    TopicAlreadyExistsError,
)

_TIMEOUT_MS: Final = 30_000
_MAX_NUMBER: Final = 2**31 - 1
_REFUSED: Final = (
    InvalidTopicError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidReplicaAssignmentError,
)


class RestTopicAdmin:
    """Creates topics. Lives on the loop; holds nothing of a request."""

    def __init__(self, topics: TopicAdmin, partitions: PartitionTable) -> None:
        self._topics = topics
        self._partitions = partitions

    async def create(self, content_type: str, body: bytes) -> RestAnswer:
        """Create the topic that a body describes, and wait until it has leaders.

        Raises:
            RestError: it is refused.
            LogError: it cannot be done at the moment.
        """
        media = content_type.partition(";")[0].strip().lower()
        if media != "application/json" and not media.endswith("+json"):
            # Not without a type: that is what a web page of somebody else's may send.
            raise RestError(
                UNSUPPORTED_MEDIA,
                "HTTP 415 Unsupported Media Type; set Content-Type to application/json",
            )
        fields = decode_object(body)
        name = _name(fields)
        partitions = _number(fields, "partitions_count")
        replication_factor = _number(fields, "replication_factor")
        try:
            await self._topics.create_topic(
                name, partitions, replication_factor, None, {}, timeout_ms=_TIMEOUT_MS
            )
        except TopicAlreadyExistsError as error:
            raise RestError(BAD_TOPIC_REQUEST, error.detail, status=409) from error
        except _REFUSED as error:
            raise RestError(BAD_TOPIC_REQUEST, error.detail) from error
        await self._partitions.wait_until_settled(_TIMEOUT_MS / 1000)
        return RestAnswer(201, b"{}")


def _name(fields: Fields) -> str:
    name = fields.get("topic_name")
    if name is None:
        fault = 'Instance does not have required property "topic_name"'
    elif not isinstance(name, str):
        fault = 'Property "topic_name" is not a string'
    else:
        return name
    raise RestError(BAD_REQUEST, f"Validation error on: body - {fault}", validation_errors=[fault])


def _number(fields: Fields, name: str) -> int | None:
    given = fields.get(name)
    if given is None:
        return None
    number = whole_number(given)
    if number is None or not -_MAX_NUMBER <= number <= _MAX_NUMBER:
        raise unprocessable(f"{name} must be a whole number")
    return number
