"""Names and numbers of the codecs are Kafka's."""

import pytest

from kafkalite.model.compression import Compression, parse_compression
from kafkalite.model.errors import InvalidConfigError


def test_names_and_numbers_are_kafkas() -> None:
    names = ("none", "gzip", "snappy", "lz4", "zstd")
    assert [parse_compression(name) for name in names] == list(Compression)
    assert [int(codec) for codec in Compression] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["", "GZIP", "brotli", "producer"])
def test_an_unknown_name_is_refused_with_the_ones_there_are(name: str) -> None:
    with pytest.raises(InvalidConfigError, match="none, gzip, snappy, lz4, zstd"):
        parse_compression(name)
