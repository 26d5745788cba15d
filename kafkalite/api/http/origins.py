"""Whose web pages may use the broker from a browser, and what browsers are told of it (CORS)."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from kafkalite.api.data_plane.exchange import RawHeader
from kafkalite.config.http_keys import ANY_ORIGIN

_EXPOSED: Final = (
    b"ETag, Kafkalite-Leader, Location, Retry-After, X-Next-Offset, X-Request-Id, Allow, "
    b"Accept-Encoding"
)
"""Headers of answers that a page may read."""
_VARY: Final[RawHeader] = (b"vary", b"Origin")


class Cors(NamedTuple):
    """What is allowed to pages of other sites."""

    origins: frozenset[str]
    """Such as `https://app.example.com`, or ANY_ORIGIN. Empty: nothing is allowed."""
    methods: Sequence[str] = ()
    headers: Sequence[str] = ()
    """Of requests, beside those that need no permission."""
    allows_credentials: bool = False
    """Cookies and logins that the browser has. Never with ANY_ORIGIN."""
    max_age_s: int = 0

    def allows(self, origin: str) -> bool:
        """Whether pages of `origin` may use the broker."""
        return ANY_ORIGIN in self.origins or origin.lower() in self.origins

    @property
    def default_headers(self) -> list[RawHeader]:
        """Of every answer: caches must not give one site's page what another one was told."""
        return [_VARY] if self.origins and ANY_ORIGIN not in self.origins else []

    def answer_headers(self, origin: str) -> list[RawHeader]:
        """Of an answer to a page of `origin`, which lets the page read it; none where it may not.

        `origin` is as it came; only one that is allowed stands in a header.
        """
        if not self.allows(origin):
            return []
        return [*self._permission(origin), (b"access-control-expose-headers", _EXPOSED)]

    @property
    def preflight_headers(self) -> list[RawHeader]:
        """Of the answer to a browser that asks before it sends what an allowed page wants.

        They stand beside `answer_headers`.
        """
        return [
            (b"access-control-allow-methods", ", ".join(self.methods).encode("ascii")),
            (b"access-control-allow-headers", ", ".join(self.headers).encode("ascii")),
            (b"access-control-max-age", b"%d" % self.max_age_s),
        ]

    def _permission(self, origin: str) -> Iterable[RawHeader]:
        if ANY_ORIGIN in self.origins:
            yield b"access-control-allow-origin", ANY_ORIGIN.encode("ascii")
            return
        yield b"access-control-allow-origin", origin.encode("latin-1")
        if self.allows_credentials:
            yield b"access-control-allow-credentials", b"true"


NO_SITES: Final = Cors(frozenset())
"""Only pages of the broker itself."""
