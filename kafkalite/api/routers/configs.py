"""Settings of topics and brokers: what they are, and where each value comes from."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.schemas import AlterConfigBody, ConfigQuery
from kafkalite.api.serving import RunningBroker, TopicName, known_topic
from kafkalite.broker.broker import Broker
from kafkalite.config.broker_config import (
    DYNAMIC_BROKER,
    DYNAMIC_DEFAULT,
    ConfigEntry,
    describe_broker_config,
    describe_overrides,
)
from kafkalite.config.topic_config import describe_topic_config
from kafkalite.model.errors import (
    InvalidConfigError,
    InvalidRequestError,
    PathNotFoundError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId
from kafkalite.wire.admin_messages import ConfigDescription, ConfigList, ConfigSynonym

router = APIRouter(prefix="/v1", tags=["configs"])

EVERY_BROKER: Final = "default"
"""In a path: the settings that hold for all brokers."""
_EVERY_BROKER_ENTITY: Final = "<default>"
"""The same, as the cluster's metadata names it."""

BrokerName = Annotated[
    str,
    Path(
        pattern=r"^(default|[0-9]{1,10})$",
        description="Id of a broker, or `default` for what holds for all of them.",
        examples=["0"],
    ),
]


@router.get(
    "/topics/{topic}/config",
    summary="Describe a topic's settings",
    responses=replies(ConfigList, UnknownTopicOrPartitionError),
)
async def describe_topic_settings(
    broker: RunningBroker, topic: TopicName, query: Annotated[ConfigQuery, Query()]
) -> Response:
    """The settings that the topic has for itself; with `all=true` every one that is in force."""
    overrides = known_topic(broker, topic).config
    entries = describe_topic_config(broker.settings, overrides)
    return _answer(entry for entry in entries if query.all or entry.name in overrides)


@router.get(
    "/brokers/{broker_id}/config",
    summary="Describe a broker's settings",
    responses=replies(ConfigList, InvalidRequestError, PathNotFoundError),
)
async def describe_broker_settings(
    broker: RunningBroker, broker_id: BrokerName, query: Annotated[ConfigQuery, Query()]
) -> Response:
    """The settings changed while running; with `all=true` every one that is in force.

    All of them are known to the broker itself only: ask it at its own address.
    """
    return _answer(_describe(broker, broker_id, everything=query.all))


@router.patch(
    "/brokers/{broker_id}/config",
    summary="Change a broker's settings",
    responses=replies(ConfigList, InvalidConfigError, PathNotFoundError),
)
async def alter_broker_settings(
    broker: RunningBroker, broker_id: BrokerName, body: AlterConfigBody
) -> Response:
    """Change settings while the broker runs; null takes a change back."""
    _check_lives(broker, broker_id)
    entity = _EVERY_BROKER_ENTITY if broker_id == EVERY_BROKER else str(int(broker_id))
    await broker.topics.alter_broker_config(entity, body.config)
    return _answer(_describe(broker, broker_id, everything=False))


def _describe(broker: Broker, broker_id: str, *, everything: bool) -> list[ConfigEntry]:
    _check_lives(broker, broker_id)
    configs = broker.view.broker_configs
    if broker_id == EVERY_BROKER:
        return describe_overrides(configs.get(_EVERY_BROKER_ENTITY, {}), DYNAMIC_DEFAULT)
    own = configs.get(str(int(broker_id)), {})
    if int(broker_id) == broker.id:
        entries = describe_broker_config(broker.settings)
        return [entry for entry in entries if everything or entry.name in own]
    if everything:
        url = broker.view.brokers[BrokerId(int(broker_id))].url
        raise InvalidRequestError(
            f"All settings of broker {broker_id} are known to itself only: ask {url}.",
            broker_url=url,
        )
    return describe_overrides(own, DYNAMIC_BROKER)


def _check_lives(broker: Broker, broker_id: str) -> None:
    if broker_id != EVERY_BROKER and BrokerId(int(broker_id)) not in broker.view.brokers:
        raise PathNotFoundError(f"No live broker has the id {broker_id}.")


def _answer(entries: Iterable[ConfigEntry]) -> Response:
    return answer(
        ConfigList(
            [
                ConfigDescription(
                    name=entry.name,
                    value=entry.value,
                    source=entry.source,
                    sensitive=False,
                    synonyms=[ConfigSynonym(*synonym) for synonym in entry.synonyms],
                    doc=entry.doc,
                )
                for entry in entries
            ]
        )
    )
