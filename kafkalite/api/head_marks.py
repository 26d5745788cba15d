"""What in the head of a request asks for more than most requests do."""

from typing import Final

MARKS: Final = "kafkalite.marks"
"""The member of an ASGI scope that holds the marks; missing: there are none."""

EXPECTS: Final = 1
"""A client that waits for a word before it sends the body."""
NAMED: Final = 2
"""A request with an id, which stands in its answer, too."""
FROM_PAGE: Final = 4
"""Sent by a browser, because a page told it to."""
CODED: Final = 8
"""The body is compressed."""
TAKES_CODED: Final = 16
"""The answer may be compressed."""

MARK_OF: Final = {
    b"expect": EXPECTS,
    b"x-request-id": NAMED,
    b"origin": FROM_PAGE,
    b"sec-fetch-site": FROM_PAGE,
    b"content-encoding": CODED,
    b"accept-encoding": TAKES_CODED,
}
"""The header that makes a mark. One look-up a header is all that a request without any costs."""
