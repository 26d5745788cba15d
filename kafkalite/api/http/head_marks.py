"""What in the head of a request asks for more than most requests do."""

from typing import Final

MARKS: Final = "kafkalite.marks"
"""The member of an ASGI scope that holds the marks; missing: there are none."""

NOTHING: Final = 0
"""The connection looks at it itself; there is nothing more to it."""
NAMED: Final = 1
"""A request with an id, which stands in its answer, too."""
FROM_PAGE: Final = 2
"""Sent by a browser, because a page told it to."""
CODED: Final = 4
"""The body is compressed."""
TAKES_CODED: Final = 8
"""The answer may be compressed."""
ADDRESSED: Final = 16
"""It names the host that it is for, as each request must; not told to whoever serves it."""

MARK_OF: Final = {
    b"host": ADDRESSED,
    b"expect": NOTHING,
    b"transfer-encoding": NOTHING,
    b"x-request-id": NAMED,
    b"origin": FROM_PAGE,
    b"sec-fetch-site": FROM_PAGE,
    b"content-encoding": CODED,
    b"accept-encoding": TAKES_CODED,
}
"""The headers that are looked at, and their marks; of others one look-up is all that they cost."""
