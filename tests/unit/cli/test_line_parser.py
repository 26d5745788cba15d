"""Lines as records, with the outcomes of Kafka's line reader."""

import pytest

from kafkalite.cli.failure import CommandError
from kafkalite.cli.line_parser import LineParser
from kafkalite.model.record import Record


def test_a_line_is_a_value_when_nothing_is_parsed() -> None:
    assert LineParser({}).parse(b"a\tb", 1) == Record(b"a\tb")


def test_the_key_ends_at_the_first_separator() -> None:
    parser = LineParser({"parse.key": "true", "key.separator": "::"})
    assert parser.parse(b"k::v::w", 1) == Record(b"v::w", b"k")


def test_a_missing_key_separator_is_an_error_in_kafkas_words() -> None:
    parser = LineParser({"parse.key": "true"})
    with pytest.raises(CommandError) as caught:
        parser.parse(b"nokey", 1)
    assert str(caught.value) == "No key separator found on line number 1: 'nokey'"


def test_a_line_without_key_is_a_value_when_errors_are_ignored() -> None:
    parser = LineParser({"parse.key": "true", "ignore.error": "true"})
    assert parser.parse(b"nokey", 1) == Record(b"nokey")


def test_headers_come_before_the_key() -> None:
    parser = LineParser({"parse.key": "true", "parse.headers": "true"})
    record = parser.parse(b"h1:a,h2:b:c\tk\tv", 1)
    assert record == Record(b"v", b"k", headers=(("h1", b"a"), ("h2", b"b:c")))


def test_a_header_without_separator_names_itself_and_its_line() -> None:
    parser = LineParser({"parse.headers": "true"})
    with pytest.raises(CommandError) as caught:
        parser.parse(b"h1\tv", 7)
    assert str(caught.value) == "No header key separator found in pair 'h1' on line number 7"


def test_a_header_without_separator_has_no_data_when_errors_are_ignored() -> None:
    parser = LineParser({"parse.headers": "true", "ignore.error": "TRUE"})
    assert parser.parse(b"h1\tv", 1) == Record(b"v", headers=(("h1", None),))


def test_the_null_marker_stands_for_null_everywhere() -> None:
    parser = LineParser({"parse.key": "true", "parse.headers": "true", "null.marker": "NULL"})
    assert parser.parse(b"NULL\tNULL\tNULL", 1) == Record(None)
    assert parser.parse(b"h:NULL\tk\t", 1) == Record(b"", b"k", headers=(("h", None),))


def test_an_empty_line_is_an_empty_value_and_not_null() -> None:
    assert LineParser({}).parse(b"", 1) == Record(b"")


def test_bytes_that_are_not_utf8_stay_as_they_are() -> None:
    assert LineParser({"parse.key": "true"}).parse(b"\xff\t\xfe", 1) == Record(b"\xfe", b"\xff")


@pytest.mark.parametrize(
    "properties",
    [
        {"headers.delimiter": ","},
        {"headers.separator": ":"},
        {"null.marker": "\t"},
    ],
)
def test_separators_that_equal_each_other_are_refused(properties: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="may not be equal"):
        LineParser(properties)


def test_an_unknown_property_is_refused() -> None:
    with pytest.raises(CommandError, match=r"Unknown property parse\.kee"):
        LineParser({"parse.kee": "true"})


def test_only_a_plain_parser_takes_lines_as_they_are() -> None:
    assert LineParser({"key.separator": ";"}).is_plain
    assert not LineParser({"null.marker": "N"}).is_plain
