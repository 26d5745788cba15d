"""Dates and durations as people write them."""

import pytest

from kafkalite.model.errors import InvalidRequestError
from kafkalite.wire.iso_time import datetime_ms, duration_ms, instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.000", 0),
        ("1970-01-02T00:00:00.123", 86_400_123),
        ("1970-01-01T01:00:00.000+01:00", 0),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T00:00:00.0004", 0),
    ],
)
def test_dates_are_utc_unless_they_say_otherwise(text: str, expected: int) -> None:
    assert datetime_ms(text) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00.000", "1" * 500, "20260131"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a date and time like"):
        datetime_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P1D", 86_400_000),
        ("PT1H30M", 5_400_000),
        ("P1DT2H3M4.5S", 93_784_500),
        ("PT0.0015S", 1),
        ("-PT1S", -1000),
    ],
)
def test_durations_are_the_sum_of_their_parts(text: str, expected: int) -> None:
    assert duration_ms(text) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1D", "P1W", "PT1D", "PT1.S", "P\uff11D"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a duration like"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_678_370_843_592, "2023-03-09T14:07:23.592Z"),
        (1_678_370_843_007, "2023-03-09T14:07:23.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_instant_is_written_as_it_is_read(time_ms: int, text: str) -> None:
    assert instant(time_ms) == text
    assert datetime_ms(text) == time_ms
