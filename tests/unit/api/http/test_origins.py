"""What browsers are told that pages of other sites may do."""

from kafkalite.api.http.origins import NO_SITES, Cors

_SITES = Cors(frozenset({"https://a.example"}), ("GET", "POST"), ("Content-Type",), True, 600)
_ALL = Cors(frozenset({"*"}), ("GET",), (), False, 5)


def test_nobody_is_told_anything_when_no_site_is_allowed() -> None:
    assert NO_SITES.answer_headers("https://a.example") == []
    assert NO_SITES.default_headers == []


def test_page_of_an_allowed_site_may_read() -> None:
    headers = dict(_SITES.answer_headers("https://A.example"))
    assert headers[b"access-control-allow-origin"] == b"https://A.example"
    assert headers[b"access-control-allow-credentials"] == b"true"
    assert b"X-Next-Offset" in headers[b"access-control-expose-headers"]
    assert _SITES.default_headers == [(b"vary", b"Origin")]


def test_page_of_another_site_is_told_nothing() -> None:
    for origin in ("null", "https://a.example.evil", "http://a.example", "https://a.example:8443"):
        assert _SITES.answer_headers(origin) == []


def test_browser_that_asks_is_told_all() -> None:
    assert dict(_SITES.preflight_headers) == {
        b"access-control-allow-methods": b"GET, POST",
        b"access-control-allow-headers": b"Content-Type",
        b"access-control-max-age": b"600",
    }


def test_all_sites_never_get_credentials() -> None:
    open_to_all = _ALL._replace(allows_credentials=True)
    headers = dict(open_to_all.answer_headers("null"))
    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in headers
    assert open_to_all.default_headers == []
