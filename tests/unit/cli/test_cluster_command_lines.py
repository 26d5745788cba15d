"""Command lines of the cluster's commands that make no sense: one sentence, exit code 1."""

from pathlib import Path

import pytest

from kafkalite.cli.main import main

_BOOTSTRAP = ("--bootstrap-server", "nowhere.invalid:1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("leader-election --topic t --partition 0", "Missing required option(s): election-type"),
        ("leader-election --election-type odd", "Invalid election-type odd: it is preferred or"),
        (
            "leader-election --election-type PREFERRED",
            "One and only one of the following options is required: topic, all-topic-partitions, "
            "path-to-json-file",
        ),
        (
            "leader-election --election-type unclean --topic t",
            "Missing required option(s): partition",
        ),
        (
            "leader-election --election-type unclean --all-topic-partitions --partition 1",
            "Option partition is only allowed if topic is used",
        ),
        ("log-dirs", 'Missing required argument "[describe]"'),
        ("log-dirs --describe --broker-list 0,x", "argument --broker-list: 'x' is not a whole"),
        ("reassign-partitions", "Command must include exactly one action: --generate, --execute"),
        ("reassign-partitions --generate --broker-list 0", "[topics-to-move-json-file]"),
        ("reassign-partitions --execute --throttle 0", "must be 1 or more, not 0"),
        (
            "reassign-partitions --verify --reassignment-json-file f --additional",
            'Option "[verify]" can\'t be used with option "[additional]"',
        ),
        ("cluster start", "'start' is no action of kafkalite cluster; there is one"),
        ("cluster", "Name an action of kafkalite cluster; there is one"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: str, sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments.split(), *_BOOTSTRAP])
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err.splitlines()[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"partitions":[]}', "names no partition."),
        (
            '{"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":0}]}',
            "Replica election data contains duplicate partitions: t-0",
        ),
        ('{"partitions":[{"topic":"t"}]}', "is no list of partitions: "),
        ("{", "The input string is not a valid JSON"),
    ],
)
def test_a_file_of_elections_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, sentence: str
) -> None:
    file = tmp_path / "elections.json"
    file.write_text(content)
    arguments = ("--election-type", "preferred", "--path-to-json-file", str(file))
    assert main(["leader-election", *arguments, *_BOOTSTRAP]) == 1
    assert sentence in capsys.readouterr().err


def test_without_a_way_to_the_brokers_nothing_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["log-dirs", "--describe"],
        ["reassign-partitions", "--list"],
        ["leader-election", "--election-type", "preferred", "--all-topic-partitions"],
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert 'Missing required argument "[bootstrap-server]"' in capsys.readouterr().err
