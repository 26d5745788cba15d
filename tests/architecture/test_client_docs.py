"""The pages of the client name every setting, and say of each what its declaration says."""

from pathlib import Path

import pytest

from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.client.settings import AdminSettings, ClientSettings, declared

_DOCS = Path(__file__).parents[2] / "docs" / "client"


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("producer.md", ProducerSettings),
        ("consumer.md", ConsumerSettings),
        ("admin.md", AdminSettings),
    ],
)
def test_a_page_has_a_line_for_each_setting(page: str, kind: type[ClientSettings]) -> None:
    lines = (_DOCS / page).read_text(encoding="utf-8").splitlines()
    heading = lines.index("| setting | default | what it does |")
    rows = [line.split("|", 3) for line in lines[heading + 2 :] if line.startswith("|")]
    found = {key.strip(" `"): doc.removesuffix("|").strip() for _, key, _, doc in rows}
    assert found == {each.key: each.doc for each in declared(kind)}
