"""The codecs a batch's payload may be compressed with; how they work: `wire/compression.py`."""

from enum import IntEnum

from kafkalite.model.errors import InvalidConfigError


class Compression(IntEnum):
    """Kafka's numbers: bits 0 to 2 of a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


_BY_NAME = {codec.name.lower(): codec for codec in Compression}


def parse_compression(name: str) -> Compression:
    """The codec called `name`: none, gzip, snappy, lz4 or zstd.

    Raises:
        InvalidConfigError: there is no such codec.
    """
    codec = _BY_NAME.get(name)
    if codec is None:
        raise InvalidConfigError(
            f"Unknown compression {name!r}; it must be one of {', '.join(_BY_NAME)}"
        )
    return codec
