"""A page that stays the same while the broker runs: clients that have it are told so."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from fastapi import Request, Response

_DIGITS: Final = 32
_MAX_TAGS: Final = 64


class ConstantPage:
    """The bytes of a page, and the tag that they are known by."""

    def __init__(self, body: bytes, media: str, headers: Mapping[str, str] | None = None) -> None:
        """Take `body`, of the type `media`; `headers` are its own."""
        self._body = body
        self._media = media
        # Weak: the same page may be sent compressed.
        self.tag = f'W/"{sha256(body).hexdigest()[:_DIGITS]}"'
        self._headers = {
            "cache-control": "no-cache",
            "vary": "Accept-Encoding",
            **(headers or {}),
            "etag": self.tag,
        }

    def answer(self, request: Request) -> Response:
        """The page, or that the client has it already (304)."""
        known = request.headers.get("if-none-match", "")
        if known and self._is_known(known):
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, headers=self._headers, media_type=self._media)

    def _is_known(self, if_none_match: str) -> bool:
        tags = [tag.strip() for tag in if_none_match.split(",", _MAX_TAGS)[:_MAX_TAGS]]
        ours = self.tag.removeprefix("W/")
        return "*" in tags or any(tag.removeprefix("W/") == ours for tag in tags)
