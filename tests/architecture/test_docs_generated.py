"""Generated pages are what their generators say; `scripts/docs.sh` writes them anew."""

from pathlib import Path

from kafkalite.config.render import render

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_configuration_page_is_up_to_date() -> None:
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    assert page == render(), "run scripts/docs.sh"
