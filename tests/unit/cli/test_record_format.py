"""The lines that Kafka's console consumer prints."""

import pytest

from kafkalite.cli.failure import CommandError
from kafkalite.cli.record_format import RecordFormat, record_format
from kafkalite.model.record import Record

RECORD = Record(b"v9", b"k9", 1795528670903, (("h1", b"a"), ("h2", b"b")), offset=3)
ALL = {f"print.{what}": "true" for what in ("timestamp", "partition", "offset", "headers", "key")}


def test_a_line_with_everything_on_is_kafkas() -> None:
    assert RecordFormat(ALL).lines(0, "CreateTime", [RECORD]) == (
        b"CreateTime:1795528670903\tPartition:0\tOffset:3\th1:a,h2:b\tk9\tv9\n"
    )


def test_what_is_missing_is_said() -> None:
    record = Record(None, None, 5, (), offset=0)
    assert RecordFormat(ALL).lines(2, "LogAppendTime", [record]) == (
        b"LogAppendTime:5\tPartition:2\tOffset:0\tNO_HEADERS\tnull\tnull\n"
    )


def test_only_values_are_printed_unless_asked() -> None:
    lines = RecordFormat({}).lines(0, "CreateTime", [Record(b"a"), Record(None), Record(b"")])
    assert lines == b"a\nnull\n\n"


def test_separators_and_the_word_for_null_are_the_callers() -> None:
    chosen = RecordFormat(
        {
            "print.key": "true",
            "print.headers": "true",
            "key.separator": " | ",
            "line.separator": ";",
            "headers.separator": "+",
            "null.literal": "-",
        }
    )
    record = Record(b"v", None, headers=(("a", b"1"), ("b", None)))
    assert chosen.lines(0, "CreateTime", [record]) == b"a:1+b:- | - | v;"


def test_a_key_alone_ends_its_line() -> None:
    chosen = RecordFormat({"print.key": "true", "print.value": "false"})
    assert chosen.lines(0, "CreateTime", [RECORD, RECORD]) == b"k9\nk9\n"


def test_nothing_is_printed_when_everything_is_off() -> None:
    assert RecordFormat({"print.value": "false"}).lines(0, "CreateTime", [RECORD]) == b""
    silent = record_format("org.apache.kafka.tools.consumer.NoOpMessageFormatter", {})
    assert silent.lines(0, "CreateTime", [RECORD]) == b""


def test_numbers_are_deserialized() -> None:
    chosen = RecordFormat(
        {"value.deserializer": "org.apache.kafka.common.serialization.LongDeserializer"}
    )
    record = Record((-7).to_bytes(8, "big", signed=True), offset=4)
    assert chosen.lines(0, "CreateTime", [record]) == b"-7\n"
    with pytest.raises(CommandError, match="offset 9 of partition 1 cannot be deserialized"):
        chosen.lines(1, "CreateTime", [Record(b"short", offset=9)])


@pytest.mark.parametrize(
    "properties", [{"print.kee": "true"}, {"value.deserializer": "com.example.Avro"}]
)
def test_what_is_not_known_is_refused(properties: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="Unknown"):
        RecordFormat(properties)


def test_an_unknown_formatter_is_refused() -> None:
    with pytest.raises(CommandError, match="Unknown formatter"):
        record_format("com.example.Pretty", {})
