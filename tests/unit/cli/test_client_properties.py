"""Client settings are used, named as having no effect, or refused."""

from pathlib import Path

import pytest

from kafkalite.cli.client_properties import ClientProperties, load_properties
from kafkalite.cli.failure import CommandError


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# comment\nlinger.ms = 5\nacks=1\n")
    given = ClientProperties(str(file), [("acks", "all")])
    assert given.text("acks") == "all"
    assert given.number("linger.ms") == 5
    assert given.number("retries") is None


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match=r"Invalid value x for configuration linger\.ms"):
        ClientProperties(None, [("linger.ms", "x")]).number("linger.ms")


def test_settings_without_effect_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    given = ClientProperties(
        None, [("acks", "1"), ("foo", "bar"), ("security.protocol", "PLAINTEXT")]
    )
    given.text("acks")
    given.check_rest([])
    assert capsys.readouterr().err == "WARNING: settings without effect here: foo\n"


@pytest.mark.parametrize(
    "setting",
    [("security.protocol", "SSL"), ("sasl.jaas.config", "x"), ("transactional.id", "t")],
)
def test_a_setting_whose_absence_would_mislead_is_refused(setting: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="is not supported yet"):
        ClientProperties(None, [setting]).check_rest(["transactional.id"])


def test_a_file_that_cannot_be_read_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Cannot read"):
        load_properties(str(tmp_path / "missing"))
