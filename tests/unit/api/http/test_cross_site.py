"""What a page of another site makes a browser send changes nothing."""

import pytest

from kafkalite.api.http.cross_site import check_no_simple_post, check_not_cross_site
from kafkalite.api.http.origins import NO_SITES, Cors
from kafkalite.model.errors import PolicyViolationError, UnsupportedMediaTypeError

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64)"
_SITES = Cors(frozenset({"https://app.example"}))
_WHAT = "makes its client a member"


def _headers(**fields: str) -> list[tuple[bytes, bytes]]:
    named = {name.replace("_", "-"): text for name, text in {"host": "log:9092", **fields}.items()}
    return [(name.encode(), text.encode("latin-1")) for name, text in named.items()]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user_agent": "curl/8"},
        {"user_agent": _BROWSER, "sec_fetch_site": "same-origin"},
        {"user_agent": _BROWSER, "sec_fetch_site": "none"},
        {"user_agent": _BROWSER, "referer": "http://LOG:9092/ui"},
        {"user_agent": _BROWSER, "origin": "http://log:9092"},
        {"user_agent": _BROWSER, "sec_fetch_site": "cross-site", "origin": "https://app.example"},
    ],
)
def test_programs_and_pages_of_ours_may_get_what_changes_something(fields: dict[str, str]) -> None:
    check_not_cross_site(_headers(**fields), _SITES, _WHAT)


@pytest.mark.parametrize(
    "fields",
    [
        {"user_agent": _BROWSER},
        {"user_agent": _BROWSER, "referer": "http://evil/"},
        {"user_agent": _BROWSER, "referer": "http://[broken"},
        {"user_agent": _BROWSER, "sec_fetch_site": "cross-site"},
        {"user_agent": _BROWSER, "sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": "https://evil"},
        {"sec_fetch_site": "cross-site", "referer": "http://log:9092/"},
        {"origin": "null"},
        {"origin": "http://log:9093"},
        {"origin": "https://app.example.evil"},
        {"origin": "http://log:9092@evil"},
    ],
)
def test_pages_of_other_sites_may_not(fields: dict[str, str]) -> None:
    with pytest.raises(PolicyViolationError, match="This makes its client a member, and a browser"):
        check_not_cross_site(_headers(**fields), _SITES, _WHAT)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "Text/Plain; charset=utf-8", "multipart/form-data; boundary=x"],
)
def test_post_that_a_browser_sends_without_asking_is_refused(content_type: str) -> None:
    foreign = _headers(origin="https://evil", content_type=content_type)
    with pytest.raises(UnsupportedMediaTypeError, match="set Content-Type to application/json"):
        check_no_simple_post(foreign, NO_SITES)
    check_no_simple_post(_headers(origin="http://log:9092", content_type=content_type), NO_SITES)
    check_no_simple_post(_headers(origin="https://app.example"), _SITES)


def test_post_that_a_browser_asks_about_is_none_of_these() -> None:
    check_no_simple_post(_headers(origin="https://evil", content_type="application/json"), NO_SITES)
