"""A line of text as a record: Kafka's line reader, on bytes.

line    = [headers headers.delimiter] [key key.separator] value
headers = header { headers.separator header }
header  = name headers.key.separator data
"""

from collections.abc import Mapping
from typing import Final

from kafkalite.cli.client_properties import is_true
from kafkalite.cli.failure import CommandError
from kafkalite.model.record import Header, Record

_DISTINCT: Final = (
    ("headers.delimiter", "headers.separator"),
    ("headers.delimiter", "headers.key.separator"),
    ("headers.separator", "headers.key.separator"),
    ("null.marker", "key.separator"),
    ("null.marker", "headers.delimiter"),
    ("null.marker", "headers.separator"),
    ("null.marker", "headers.key.separator"),
)
_DEFAULTS: Final = {
    "parse.key": "false",
    "key.separator": "\t",
    "parse.headers": "false",
    "headers.delimiter": "\t",
    "headers.separator": ",",
    "headers.key.separator": ":",
    "ignore.error": "false",
    "null.marker": "",
}


class LineParser:
    """Turns lines into records as the reader's properties say (`parse.key`, ...)."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        """Raises CommandError for a property that does not exist, or that contradicts another."""
        for key in properties:
            if key not in _DEFAULTS:
                raise CommandError(
                    f"Unknown property {key}; there are {', '.join(sorted(_DEFAULTS))}"
                )
        texts = {**_DEFAULTS, **properties}
        for one, other in _DISTINCT:
            if one in properties and texts[one] == texts[other]:
                raise CommandError(f"{one} and {other} may not be equal")
            if other in properties and texts[one] == texts[other]:
                raise CommandError(f"{one} and {other} may not be equal")
        for key in ("key.separator", "headers.delimiter", "headers.separator"):
            if not texts[key]:
                raise CommandError(f"{key} may not be empty")
        self._parse_key = is_true(texts["parse.key"])
        self._parse_headers = is_true(texts["parse.headers"])
        self._ignore_error = is_true(texts["ignore.error"])
        self._key_separator = texts["key.separator"].encode()
        self._headers_delimiter = texts["headers.delimiter"].encode()
        self._headers_separator = texts["headers.separator"].encode()
        self._header_key_separator = texts["headers.key.separator"].encode()
        self._null_marker = texts["null.marker"].encode() or None
        self.is_plain = not (self._parse_key or self._parse_headers or self._null_marker)
        """Whether each line is a value and nothing else."""

    def parse(self, line: bytes, number: int) -> Record:
        """The record that line `number` says.

        Raises:
            CommandError: a separator is missing, in Kafka's words.
        """
        rest = line
        headers = key = None
        if self._parse_headers:
            headers, rest = self._split(
                line, rest, self._headers_delimiter, "headers delimiter", number
            )
        if self._parse_key:
            key, rest = self._split(line, rest, self._key_separator, "key separator", number)
        return Record(
            None if rest == self._null_marker else rest,
            None if key == self._null_marker else key,
            headers=self._headers(headers, number),
        )

    def _split(
        self, line: bytes, rest: bytes, separator: bytes, name: str, number: int
    ) -> tuple[bytes | None, bytes]:
        part, found, after = rest.partition(separator)
        if found:
            return part, after
        if self._ignore_error:
            return None, rest
        raise CommandError(f"No {name} found on line number {number}: '{_text(line)}'")

    def _headers(self, text: bytes | None, number: int) -> tuple[Header, ...]:
        if text is None or text == self._null_marker:
            return ()
        return tuple(self._header(part, number) for part in text.split(self._headers_separator))

    def _header(self, pair: bytes, number: int) -> Header:
        name, found, data = pair.partition(self._header_key_separator)
        if not found:
            if self._ignore_error:
                return _text(pair), None
            raise CommandError(
                f"No header key separator found in pair '{_text(pair)}' on line number {number}"
            )
        if name == self._null_marker:
            raise CommandError(
                f"Header keys should not be equal to the null marker '{_text(name)}' "
                "as they can't be null"
            )
        return _text(name), None if data == self._null_marker else data


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
