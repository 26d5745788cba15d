"""The page at /docs works without a network."""

import asyncio
import re
from base64 import b64encode
from hashlib import sha256

import httpx

from kafkalite.api.docs_page import HEADERS, HTML
from tests.support.fake_broker import FakeBroker, control_plane


def test_page_is_served() -> None:
    async def run() -> httpx.Response:
        async with control_plane(FakeBroker()) as client:
            return await client.get("/docs")

    response = asyncio.run(run())
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == HTML


def test_page_takes_nothing_from_elsewhere() -> None:
    assert not re.search(
        r"(src|href)=|https?://|@import|\burl\(", HTML.replace('href="openapi', "")
    )
    assert "default-src 'none'" in HEADERS["content-security-policy"]


def test_policy_allows_exactly_what_is_in_the_page() -> None:
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", HTML, re.DOTALL)
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in HEADERS["content-security-policy"]


def test_what_the_document_says_is_never_taken_as_html() -> None:
    assert "innerHTML" not in HTML
    assert "insertAdjacentHTML" not in HTML
