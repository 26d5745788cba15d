"""What the console consumer makes of consumer properties."""

from kafkalite.cli import console_consumer
from kafkalite.groups.assignors.registry import assignors


def test_kafkas_classes_are_assignors_that_brokers_have() -> None:
    assert set(console_consumer._ASSIGNORS.values()) <= assignors().keys()
