"""Settings of topics and brokers, while they run."""

from collections.abc import Mapping
from typing import Final

from kafkalite.client.admin.calls import Call, Calls, path
from kafkalite.wire.admin_messages import ConfigDescription, ConfigList, TopicDescription

_EVERY_BROKER: Final = "default"


class ConfigCalls:
    """The part of AsyncAdminClient that is about settings."""

    _calls: Calls

    async def describe_topic_config(
        self, name: str, *, include_all: bool = False
    ) -> list[ConfigDescription]:
        """The settings that a topic has for itself; with `include_all` all that are in force."""
        target = path("topics", name, "config") + _all(include_all)
        return (await self._calls.ask(Call("GET", target), ConfigList)).config

    async def alter_topic_config(
        self, name: str, changes: Mapping[str, str | None]
    ) -> TopicDescription:
        """Change a topic's own settings; None goes back to the broker's. Others stay.

        Raises:
            InvalidConfigError: a setting is not known, or its value does not do.
        """
        call = Call("PATCH", path("topics", name), {"config": changes})
        return await self._calls.ask(call, TopicDescription)

    async def describe_broker_config(
        self, broker_id: int | None = None, *, include_all: bool = False
    ) -> list[ConfigDescription]:
        """The settings of a broker that were changed while it ran.

        Args:
            broker_id: which; None: what was changed for all brokers.
            include_all: all that are in force. Of a broker only.
        """
        name = _EVERY_BROKER if broker_id is None else broker_id
        target = path("brokers", name, "config") + _all(include_all)
        # All of a broker's settings are known to itself only.
        asks_itself = include_all and broker_id is not None
        broker = await self._calls.broker(broker_id or 0) if asks_itself else None
        return (await self._calls.ask(Call("GET", target, broker=broker), ConfigList)).config

    async def alter_broker_config(
        self, changes: Mapping[str, str | None], broker_id: int | None = None
    ) -> list[ConfigDescription]:
        """Change settings of a broker, or of all, while they run; None takes a change back.

        Raises:
            InvalidConfigError: a setting is not known, cannot be changed so, or does not do.
        """
        name = _EVERY_BROKER if broker_id is None else broker_id
        call = Call("PATCH", path("brokers", name, "config"), {"config": changes})
        return (await self._calls.ask(call, ConfigList)).config


def _all(include_all: bool) -> str:
    return "?all=true" if include_all else ""
