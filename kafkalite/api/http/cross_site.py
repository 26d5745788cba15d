"""Requests that a browser sends because a page of somebody else's told it to.

A browser lets a page send some requests to any site without asking first: GET, and POST with a body
whose type is one of a form's, plain text or none. The page cannot read the answer, but what the
request does is done. So what changes something must not be had that way. Browsers say whose page
it is: in `Sec-Fetch-Site` where the connection is safe or local, in `Origin` with POST and with
scripts that want to read, else in `Referer`. Programs say nothing, and may do all.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from kafkalite.api.http.origins import Cors
from kafkalite.model.errors import PolicyViolationError, UnsupportedMediaTypeError

_OUR_OWN: Final = frozenset({"same-origin", "none"})
_SIMPLE_TYPES: Final = frozenset(
    {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
)
"""Bodies of these types are sent without asking."""
_BROWSER: Final = "Mozilla/"
"""How every browser introduces itself."""
_MAX_SHOWN: Final = 100


class _Head:
    """What a browser says about the page."""

    __slots__ = ("content_type", "host", "is_browser", "origin", "referer", "site")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.host = self.origin = self.referer = self.site = self.content_type = ""
        self.is_browser = False
        for name, raw in headers:
            match name:
                case b"host":
                    self.host = raw.decode("latin-1").lower()
                case b"origin":
                    self.origin = raw.decode("latin-1")
                case b"referer":
                    self.referer = raw.decode("latin-1")
                case b"sec-fetch-site":
                    self.site = raw.decode("latin-1")
                case b"content-type":
                    self.content_type = raw.decode("latin-1")
                case b"user-agent":
                    self.is_browser = raw.decode("latin-1").startswith(_BROWSER)

    def foreign_page(self, cors: Cors) -> str:
        """Whose page sends this, where it is a foreign one that may not; else nothing."""
        if self.origin and cors.allows(self.origin):
            return ""
        if self.site:
            return "" if self.site in _OUR_OWN else self.origin or "another site"
        if self.origin:
            return "" if _host_of(self.origin) == self.host else self.origin
        if not self.is_browser:
            return ""
        is_ours = bool(self.referer) and _host_of(self.referer) == self.host
        return "" if is_ours else self.referer or "a site that it does not name"


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def check_not_cross_site(headers: Iterable[tuple[bytes, bytes]], cors: Cors, what: str) -> None:
    """See that no page of another site has a GET sent that changes something.

    Args:
        headers: of the request.
        cors: which sites may.
        what: what the request would do, as the end of "This ...".

    Raises:
        PolicyViolationError: a browser sends it, and does not say that a page of ours or of an
            allowed site wants it.
    """
    page = _Head(headers).foreign_page(cors)
    if page:
        raise PolicyViolationError(
            f"This {what}, and a browser sends it for {page[:_MAX_SHOWN]!r}; name that site in "
            "http.cors.allowed.origins, or use a program that is no browser"
        )


def check_no_simple_post(headers: Iterable[tuple[bytes, bytes]], cors: Cors) -> None:
    """See that no page of another site has a POST sent that its browser has not asked about.

    Raises:
        UnsupportedMediaTypeError: it is such a one.
    """
    head = _Head(headers)
    name = head.content_type.partition(";")[0].strip().lower()
    if name not in _SIMPLE_TYPES:
        return  # its browser has asked, in a preflight, and was told that it may
    page = head.foreign_page(cors)
    if page:
        raise UnsupportedMediaTypeError(
            f"A page of {page[:_MAX_SHOWN]!r} may not send a body of type {name or 'none'!r}; set "
            "Content-Type to application/json, and name the site in http.cors.allowed.origins"
        )
