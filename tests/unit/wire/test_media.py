"""Which media type a request means."""

import pytest

from kafkalite.model.errors import NotAcceptableError, UnsupportedMediaTypeError
from kafkalite.wire.media import Media, media_of_body, negotiate

_ALL = tuple(Media)
_PAGES = (Media.JSON, Media.NDJSON, Media.MSGPACK)


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        ("", Media.JSON),
        ("application/json", Media.JSON),
        ("Application/JSON; charset=utf-8", Media.JSON),
        ("application/vnd.flights+json", Media.JSON),
        ("application/x-ndjson", Media.NDJSON),
        ("application/jsonl", Media.NDJSON),
        ("application/vnd.msgpack", Media.MSGPACK),
        ("text/plain;charset=utf-8", Media.TEXT),
        ("application/octet-stream", Media.BYTES),
    ],
)
def test_content_type_is_understood_with_parameters_and_in_any_case(
    content_type: str, media: Media
) -> None:
    assert media_of_body(content_type, _ALL) is media


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "image/png", ";"])
def test_content_type_is_refused_with_what_to_send_when_it_is_another(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="application/json"):
        media_of_body(content_type, _ALL)


def test_content_type_is_refused_when_this_path_does_not_take_it() -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        media_of_body("text/plain", (Media.MSGPACK,))


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", Media.JSON),
        ("*/*", Media.JSON),
        ("application/*", Media.JSON),
        ("application/x-ndjson", Media.NDJSON),
        ("text/html, application/msgpack", Media.MSGPACK),
        ("application/json;q=0.2, application/x-ndjson;q=0.9", Media.NDJSON),
        ("application/json;q=0, */*", Media.NDJSON),
        ("*/*;q=0.1, application/msgpack", Media.MSGPACK),
    ],
)
def test_accept_gets_the_best_that_is_offered(accept: str, media: Media) -> None:
    assert negotiate(accept, _PAGES) is media


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=rubbish", ","])
def test_accept_is_refused_when_nothing_fits(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/x-ndjson"):
        negotiate(accept, _PAGES)
