"""A mistake on a command line is one sentence and exit code 1."""

import pytest

from kafkalite.cli.command_line import CommandParser, key_value, positive_number, whole_number


def parser() -> CommandParser:
    made = CommandParser(prog="kafkalite test")
    made.add_argument("--topic")
    made.add_argument("--time", type=whole_number)
    made.add_argument("--partitions", type=positive_number)
    made.add_argument("--property", action="append", type=key_value)
    made.add_argument("--list", action="store_true")
    return made


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bogus"], "bogus is not a recognized option"),
        (["--top", "t"], "top is not a recognized option"),
        (["stray"], "stray is not a recognized option"),
        (["--topic", "a", "--topic", "b"], "Found multiple arguments for option topic"),
        (["--time", "x"], "'x' is not a whole number"),
        (["--partitions", "0"], "must be 1 or more, not 0"),
        (["--property", "k"], "'k' is not of the form key=value"),
    ],
)
def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse(arguments)
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err


def test_values_may_be_negative_numbers_and_hold_equals_signs() -> None:
    args = parser().parse(["--time", "-2", "--property", "a=b=c", "--property", "d="])
    assert args.time == -2
    assert args.property == [("a", "b=c"), ("d", "")]


def test_a_required_option_is_named_as_kafka_does(capsys: pytest.CaptureFixture[str]) -> None:
    made = parser()
    with pytest.raises(SystemExit):
        made.require(made.parse([]), ["topic"])
    assert 'Missing required argument "[topic]"' in capsys.readouterr().err


def test_an_option_that_does_not_belong_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    made = parser()
    with pytest.raises(SystemExit):
        made.refuse(made.parse(["--topic", "t"]), ["topic"], "list")
    assert 'Option "[list]" can\'t be used with option "[topic]"' in capsys.readouterr().err
