"""What is changed while brokers run: /config/brokers/N, and <default> for all of them."""

import logging
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import PrivateAttr, ValidationError

from kafkalite.config.keys import BrokerSettings
from kafkalite.config.names import attribute_of
from kafkalite.config.setting import Setting, as_text, declared, problems_in
from kafkalite.model.errors import InvalidConfigError

DYNAMIC_BROKER = "DYNAMIC_BROKER_CONFIG"
DYNAMIC_DEFAULT = "DYNAMIC_DEFAULT_BROKER_CONFIG"
STATIC_BROKER = "STATIC_BROKER_CONFIG"
DEFAULT = "DEFAULT_CONFIG"

_SETTINGS = tuple(declared(BrokerSettings))
_LIVE_KEYS = frozenset(setting.key for setting in _SETTINGS if setting.live)
_ANY_BROKER = BrokerSettings(zookeeper_connect="localhost:2181")

_log = logging.getLogger(__name__)


class ConfigSynonym(NamedTuple):
    """One of the places that could give a value."""

    source: str
    name: str
    value: str | None


class ConfigEntry(NamedTuple):
    """A key as it is in force."""

    name: str
    value: str | None
    source: str
    """The place that gave the value, one of Kafka's ConfigSource names."""
    synonyms: tuple[ConfigSynonym, ...]
    """Every place that has a value for it, the one in force first."""
    doc: str


class ConfigLayer(NamedTuple):
    """The keys that one place sets, with their values as text."""

    source: str
    values: Mapping[str, str | None]


class DynamicSettings(BrokerSettings):
    """Settings in force, which remember what was set where. Made by `apply_dynamic`."""

    _layers: tuple[ConfigLayer, ...] = PrivateAttr(())


def check_broker_config(overrides: Mapping[str, str]) -> None:
    """Raise InvalidConfigError unless a running broker can take over `overrides`."""
    fixed = sorted(set(overrides) - _LIVE_KEYS)
    if fixed:
        raise InvalidConfigError(
            f"Cannot update these configs dynamically: Set({', '.join(fixed)})"
        )
    _merged(_ANY_BROKER, overrides)


def apply_dynamic(
    static: BrokerSettings, default: Mapping[str, str], own: Mapping[str, str]
) -> DynamicSettings:
    """The settings in force.

    Args:
        static: what the broker was started with.
        default: what is set for all brokers.
        own: what is set for this one; it counts before `default`.

    An entry that cannot be used (written by another version, say) is logged and left out, since
    the broker must go on.
    """
    default, own = _usable(default), _usable(own)
    merged = _merged(static, {**default, **own})
    settings = DynamicSettings.model_construct(_fields_set=merged.model_fields_set, **dict(merged))
    settings._layers = (
        ConfigLayer(DYNAMIC_BROKER, own),
        ConfigLayer(DYNAMIC_DEFAULT, default),
        _static_layer(static),
    )
    return settings


def describe_broker_config(settings: BrokerSettings) -> list[ConfigEntry]:
    """Every key of the broker as it is in force, sorted by name."""
    entries = [
        _entry(setting, settings, list(synonyms_of((setting.key,), settings)))
        for setting in _SETTINGS
    ]
    return sorted(entries)


def describe_overrides(overrides: Mapping[str, str], source: str) -> list[ConfigEntry]:
    """What one place sets (DYNAMIC_DEFAULT, say), sorted by name; it is not looked further."""
    docs = {setting.key: setting.doc for setting in _SETTINGS}
    return [
        ConfigEntry(key, value, source, (ConfigSynonym(source, key, value),), docs.get(key, ""))
        for key, value in sorted(overrides.items())
    ]


def synonyms_of(keys: tuple[str, ...], settings: BrokerSettings) -> Iterator[ConfigSynonym]:
    """Every place that gives the broker a value for one of `keys`, the strongest first."""
    layers = settings._layers if isinstance(settings, DynamicSettings) else ()
    for layer in layers or (_static_layer(settings),):
        for key in keys:
            if key in layer.values:
                yield ConfigSynonym(layer.source, key, layer.values[key])
    for key in keys:
        default = BrokerSettings.model_fields[attribute_of(key)]
        if not default.is_required() and default.default is not None:
            yield ConfigSynonym(DEFAULT, key, as_text(default.default))


def _entry(
    setting: Setting, settings: BrokerSettings, synonyms: list[ConfigSynonym]
) -> ConfigEntry:
    value = as_text(getattr(settings, attribute_of(setting.key)))
    source = synonyms[0].source if synonyms else DEFAULT
    return ConfigEntry(setting.key, value, source, tuple(synonyms), setting.doc)


def _static_layer(settings: BrokerSettings) -> ConfigLayer:
    values = {
        setting.key: as_text(getattr(settings, attribute_of(setting.key)))
        for setting in _SETTINGS
        if attribute_of(setting.key) in settings.model_fields_set
    }
    return ConfigLayer(STATIC_BROKER, values)


def _merged(settings: BrokerSettings, overrides: Mapping[str, str]) -> BrokerSettings:
    values: dict[str, object] = {
        name: getattr(settings, name) for name in settings.model_fields_set
    }
    values |= {attribute_of(key): text.strip() for key, text in overrides.items()}
    try:
        return BrokerSettings.model_validate(values)
    except ValidationError as error:
        raise invalid_values(overrides, error) from None


def invalid_values(overrides: Mapping[str, str], error: ValidationError) -> InvalidConfigError:
    """What is wrong with the values of `overrides`, in Kafka's words."""
    return InvalidConfigError(
        "; ".join(
            f"Invalid value {overrides.get(key)} for configuration {key}: {reason}"
            for key, reason in problems_in(error)
        )
    )


def _usable(overrides: Mapping[str, str]) -> dict[str, str]:
    usable = {}
    for key, text in overrides.items():
        try:
            check_broker_config({key: text})
        except InvalidConfigError as error:
            _log.warning("Ignoring the dynamic setting %s=%s: %s", key, text, error)
        else:
            usable[key] = text
    return usable
