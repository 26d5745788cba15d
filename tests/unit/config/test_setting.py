"""Tests for kafkalite.config.setting."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from kafkalite.config.keys import BrokerSettings
from kafkalite.config.listener import Listener
from kafkalite.config.names import attribute_of, key_of, nearest
from kafkalite.config.setting import as_text, problems_in
from kafkalite.config.views import FlushPolicy


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        ((Path("/a"), Path("b/c")), "/a,b/c"),
        (Listener("::1", 1), "HTTP://[::1]:1"),
        (FlushPolicy.COMMIT, "commit"),
        ("text", "text"),
    ],
)
def test_value_is_written_as_in_a_properties_file(value: object, text: str | None) -> None:
    assert as_text(value) == text


def test_key_and_attribute_name_each_other() -> None:
    assert key_of("log_retention_ms") == "log.retention.ms"
    assert attribute_of("log.retention.ms") == "log_retention_ms"


def test_nearest_key_is_named_only_when_it_is_near() -> None:
    assert nearest("retention.m", ["segment.ms", "retention.ms"]) == (
        " (did you mean retention.ms?)"
    )
    assert nearest("bogus", ["segment.ms", "retention.ms"]) == ""


def test_values_of_the_wrong_python_type_are_refused_too() -> None:
    with pytest.raises(ValidationError) as raised:
        BrokerSettings.model_validate(
            {
                "num.partitions": [],
                "delete.topic.enable": {},
                "log.dirs": 3,
                "listeners": None,
                "zookeeper.connect": 5,
                "log.cleanup.policy": 1,
                "log.flush.policy": 2,
            }
        )
    assert [key for key, _ in problems_in(raised.value)] == list(dict(problems_in(raised.value)))
    assert all(reason for _, reason in problems_in(raised.value))
    assert len(dict(problems_in(raised.value))) == 7
