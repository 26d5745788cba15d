"""The consumer's page of the documentation."""

from pathlib import Path

from kafkalite.client.consumer.settings import ConsumerSettings
from tests.support.settings_table import settings_table

_PAGE = Path(__file__).parents[4] / "docs" / "client" / "consumer.md"


def test_the_page_lists_every_setting_as_it_is() -> None:
    assert settings_table(ConsumerSettings) in _PAGE.read_text()
