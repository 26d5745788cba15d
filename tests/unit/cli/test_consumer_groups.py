"""Command lines of kafka-consumer-groups that make no sense: one sentence, exit code 1."""

import pytest

from kafkalite.cli.main import main

_BOOTSTRAP = ("--bootstrap-server", "nowhere.invalid:1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "Command must include exactly one action: --list, --describe, --delete, --reset"),
        ("--list --describe", "Command must include exactly one action"),
        ("--list --group g", 'Option "[list]" can\'t be used with option "[group]"'),
        ("--list --topic t", 'Option "[list]" can\'t be used with option "[topic]"'),
        ("--describe", "Option [describe] takes one of these options: [all-groups], [group]"),
        (
            "--describe --group g --all-groups",
            'Option "[group]" can\'t be used with option "[all-groups]"',
        ),
        (
            "--describe --group g --members --state",
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        ),
        ("--describe --group g --state Stable", "Option [describe] does not take a value for"),
        ("--describe --group g --verbose", "Option [verbose] is only valid with option [members]"),
        (
            "--describe --group g --execute",
            'Option "[describe]" can\'t be used with option "[execute]"',
        ),
        (
            "--describe --group g --to-offset 0",
            'Option "[describe]" can\'t be used with option "[to-offset]"',
        ),
        ("--delete", "Option [delete] takes one of these options: [all-groups], [group]"),
        ("--delete --group g --topic t", "The consumer does not support topic-specific offset"),
        (
            "--delete-offsets --group g",
            "Option [delete-offsets] takes the following options: [topic], [group]",
        ),
        (
            "--reset-offsets --group g --topic t --to-latest --dry-run --execute",
            "Option [reset-offsets] only accepts one of [execute], [dry-run]",
        ),
        (
            "--reset-offsets --topic t --to-latest --execute",
            "Option [reset-offsets] takes one of these options: [all-groups], [group]",
        ),
        (
            "--reset-offsets --group g --topic t --execute",
            "Option '[reset-offsets]' requires one of the following scenarios: [to-offset], ",
        ),
        (
            "--reset-offsets --group g --topic t --to-latest --shift-by 1 --execute",
            'Option "[to-latest]" can\'t be used with option "[shift-by]"',
        ),
        (
            "--reset-offsets --group g --to-latest --execute",
            "One of the reset scopes should be defined: --all-topics, --topic.",
        ),
        (
            "--reset-offsets --group g --topic t --shift-by x --execute",
            "argument --shift-by: 'x' is not a whole number",
        ),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: str, sentence: str
) -> None:
    try:
        exit_code = main(["consumer-groups", *_BOOTSTRAP, *arguments.split()])
    except SystemExit as end:
        exit_code = int(str(end.code))
    assert exit_code == 1
    assert sentence in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--reset-offsets", "--group", "g", "--from-file", "/nowhere.csv", "--execute")
    assert main(["consumer-groups", *_BOOTSTRAP, *arguments]) == 1
    assert "Cannot read /nowhere.csv: No such file or directory." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        ("--to-datetime tomorrow", "'tomorrow' is not a date and time like 2026-01-31T12:00"),
        ("--to-datetime PT1S", "'PT1S' is not a date and time like 2026-01-31T12:00"),
        ("--by-duration 1h", "'1h' is not a duration like P1D, PT1H30M or P2DT12H"),
        ("--by-duration P999999999DT24H", "'P999999999DT24H' is too long"),
    ],
)
def test_what_is_no_time_is_refused_before_anybody_is_asked(
    capsys: pytest.CaptureFixture[str], scenario: str, sentence: str
) -> None:
    arguments = f"--reset-offsets --group g --topic t --execute {scenario}"
    assert main(["consumer-groups", *_BOOTSTRAP, *arguments.split()]) == 1
    failed = "\nError: Executing consumer group command failed due to "
    assert capsys.readouterr().out.startswith(failed + sentence)
