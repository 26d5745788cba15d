"""No text makes the settings fail otherwise than by saying what is wrong."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.config.broker_config import apply_dynamic, check_broker_config
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.load import ConfigError, load_settings
from kafkalite.config.names import key_of
from kafkalite.config.topic_config import (
    check_topic_config,
    describe_topic_config,
    topic_settings,
)
from kafkalite.config.topic_overrides import TopicOverrides
from kafkalite.model.errors import InvalidConfigError

BROKER_KEYS = st.sampled_from([key_of(name) for name in BrokerSettings.model_fields])
TOPIC_KEYS = st.sampled_from([key_of(name) for name in TopicOverrides.model_fields])
TEXTS = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.sampled_from(["true", "HTTP://:1", "a,b", "localhost:2181/x", "delete", "-1", "os"]),
)
DEFAULTS = BrokerSettings(zookeeper_connect="localhost:2181")
bounded = settings(derandomize=True, max_examples=60, deadline=None)


def problems_of(file: Path | None, overrides: list[str]) -> list[str]:
    """What is wrong, one text a problem; empty when the settings load."""
    try:
        load_settings(file, overrides, {})
    except ConfigError as error:
        return str(error).split("\n")
    return []


@bounded
@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="ab.=:\\u\n #é", max_size=60).map(str.encode)
    )
)
def test_any_file_loads_or_is_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "server.properties")
        file.write_bytes(content)
        problems = problems_of(file, ["zookeeper.connect=localhost:2181"])
        assert all(problem.startswith(str(file)) for problem in problems[:1])


@bounded
@given(st.lists(st.tuples(BROKER_KEYS, TEXTS).map("=".join), max_size=6))
def test_any_values_load_or_are_refused_by_name(overrides: list[str]) -> None:
    keys = {override.partition("=")[0] for override in overrides} | {"message.max.bytes"}
    problems = problems_of(None, ["zookeeper.connect=localhost:2181", *overrides])
    assert all(any(f": {key}: " in problem for key in keys) for problem in problems)


@bounded
@given(st.dictionaries(st.one_of(TOPIC_KEYS, st.text(max_size=10)), TEXTS, max_size=6))
def test_topic_is_served_whatever_is_stored_for_it(overrides: dict[str, str]) -> None:
    in_force = topic_settings(DEFAULTS, overrides)
    try:
        check_topic_config(overrides)
    except InvalidConfigError:
        return
    assert {entry.name for entry in describe_topic_config(DEFAULTS, overrides)} >= set(overrides)
    assert topic_settings(DEFAULTS, {key: text.strip() for key, text in overrides.items()}) == (
        in_force
    )


@bounded
@given(st.dictionaries(st.one_of(BROKER_KEYS, st.text(max_size=10)), TEXTS, max_size=6))
def test_broker_goes_on_whatever_is_stored_for_it(overrides: dict[str, str]) -> None:
    own = apply_dynamic(DEFAULTS, {}, overrides)
    assert own.model_dump() == apply_dynamic(DEFAULTS, overrides, {}).model_dump()
    try:
        check_broker_config(overrides)
    except InvalidConfigError:
        return
    assert (
        own.model_dump()
        == BrokerSettings.model_validate(
            {"zookeeper.connect": "localhost:2181"}
            | {key: text.strip() for key, text in overrides.items()}
        ).model_dump()
    )
