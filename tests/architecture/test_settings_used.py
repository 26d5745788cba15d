"""A key that changes nothing is a lie: each one is read by some part of the broker."""

import inspect
import re
from pathlib import Path

import pytest

from kafkalite.config.keys import BrokerSettings
from kafkalite.config.setting import declared
from kafkalite.config.topic_overrides import TopicOverrides

PACKAGE = Path(__file__).parents[2] / "kafkalite"
DECLARATIONS = PACKAGE / "config" / "keys.py"
TOPIC_CONFIG = PACKAGE / "config" / "topic_config.py"

# What a reader of settings is: any module outside config, and the one that makes topics' settings.
READERS = "\n".join(
    file.read_text(encoding="utf-8")
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.parent != DECLARATIONS.parent or file == TOPIC_CONFIG
)


def is_read(attribute: str) -> bool:
    return re.search(rf"\.{attribute}\b", READERS) is not None


def derived_from(attribute: str) -> set[str]:
    """The properties and methods of BrokerSettings that read an attribute."""
    methods = [value for value in vars(BrokerSettings).values() if inspect.isfunction(value)]
    methods += [
        value.fget
        for value in vars(BrokerSettings).values()
        if isinstance(value, property) and inspect.isfunction(value.fget)
    ]
    return {method.__name__ for method in methods if attribute in method.__code__.co_names}


@pytest.mark.parametrize("attribute", BrokerSettings.model_fields)
def test_key_is_read(attribute: str) -> None:
    through_topics = {setting.default_of for setting in declared(TopicOverrides)}
    assert any(
        is_read(name) or name in through_topics for name in {attribute} | derived_from(attribute)
    ), f"nothing reads {attribute}"
