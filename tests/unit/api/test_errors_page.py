"""The page on errors is what the error table says."""

from pathlib import Path

from kafkalite.api.errors_page import render
from kafkalite.model.errors import ERRORS_BY_NAME

_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"


def test_page_is_up_to_date() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    assert page == render(), "run scripts/docs.sh"


def test_every_error_has_its_row_once() -> None:
    page = render()
    for name, row in ERRORS_BY_NAME.items():
        assert page.count(f"| {row.code} | `{name}` | {row.status} |") == 1
