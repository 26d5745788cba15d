"""Pages that stay the same are sent once to a client that remembers them."""

import pytest
from fastapi import Request

from kafkalite.api.constant_page import ConstantPage

_PAGE = ConstantPage(b"hello", "text/html", {"x-extra": "1"})


def _request(if_none_match: str | None) -> Request:
    headers = [] if if_none_match is None else [(b"if-none-match", if_none_match.encode("latin-1"))]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize("known", [None, "", '"other"', 'W/"other", "more"', "x" * 10_000])
def test_page_is_sent_with_its_tag(known: str | None) -> None:
    answer = _PAGE.answer(_request(known))
    assert (answer.status_code, answer.body) == (200, b"hello")
    assert answer.headers["etag"] == _PAGE.tag
    assert answer.headers["x-extra"] == "1"
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("form", ["{}", '"other", {}', "*", "{},W/"])
def test_client_that_has_the_page_is_told_so(form: str) -> None:
    for tag in (_PAGE.tag, _PAGE.tag.removeprefix("W/")):
        answer = _PAGE.answer(_request(form.format(tag)))
        assert (answer.status_code, answer.body) == (304, b"")
        assert answer.headers["etag"] == _PAGE.tag
        assert answer.headers["cache-control"] == "no-cache"


def test_other_bytes_have_another_tag() -> None:
    assert ConstantPage(b"hello!", "text/html").tag != _PAGE.tag
