import pytest

from kafkalite.client.deserializers import DESERIALIZERS, deserializer
from kafkalite.client.serializers import SERIALIZERS, serializer
from kafkalite.model.errors import InvalidConfigError


@pytest.mark.parametrize(
    ("name", "value", "data"),
    [
        ("str", "é", b"\xc3\xa9"),
        ("json", {"a": [1, None]}, b'{"a":[1,null]}'),
        ("msgpack", [1, "a"], b"\x92\x01\xa1a"),
        ("long", -2, b"\xff" * 7 + b"\xfe"),
        ("int", 1, b"\0\0\0\1"),
        ("short", 1, b"\0\1"),
        ("double", 0.5, b"\x3f\xe0" + bytes(6)),
        ("float", 0.5, b"\x3f\0\0\0"),
    ],
)
def test_what_goes_in_comes_out(name: str, value: object, data: bytes) -> None:
    write, read = serializer(name), deserializer(name)
    assert write is not None
    assert read is not None
    assert write(value) == data
    assert read(data) == value


def test_both_sides_know_the_same_names() -> None:
    assert SERIALIZERS.keys() == DESERIALIZERS.keys()


def test_kafkas_classes_and_functions_are_taken() -> None:
    kafkas = "org.apache.kafka.common.serialization.StringSerializer"
    assert serializer(kafkas) is SERIALIZERS["str"]
    assert serializer("bytes") is serializer(None) is None
    assert serializer(str.encode) == str.encode
    with pytest.raises(InvalidConfigError, match="yaml"):
        serializer("yaml")
