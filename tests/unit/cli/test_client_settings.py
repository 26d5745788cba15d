"""Client settings as commands take them."""

import pytest

from kafkalite.cli.client_properties import ClientProperties
from kafkalite.cli.client_settings import settings_of
from kafkalite.cli.failure import CommandError
from kafkalite.client.consumer.settings import ConsumerSettings


def _given(*settings: tuple[str, str]) -> ClientProperties:
    return ClientProperties(None, settings)


def test_what_is_given_goes_by_kafkas_names(capsys: pytest.CaptureFixture[str]) -> None:
    given = _given(("fetch.max.bytes", "7"), ("client.rack", "a"), ("linger.ms", "5"))
    assert settings_of(ConsumerSettings, given) == {"fetch.max.bytes": 7, "client.rack": "a"}
    given.check_rest([])
    assert "settings without effect here: linger.ms\n" in capsys.readouterr().err


def test_what_means_nothing_to_the_command_is_left_out() -> None:
    given = _given(("value.deserializer", "x"), ("bootstrap.servers", "y"))
    assert settings_of(ConsumerSettings, given, but=["value.deserializer"]) == {}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("-5", "Invalid value -5 for configuration session.timeout.ms: at least 0"),
        ("x", "Invalid value x for configuration session.timeout.ms: Not a number of type INT"),
    ],
)
def test_numbers_are_refused_in_kafkas_words(value: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        settings_of(ConsumerSettings, _given(("session.timeout.ms", value)))
