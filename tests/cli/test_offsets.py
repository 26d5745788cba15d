"""kafka-get-offsets and kafka-delete-records: outputs and exit codes as Kafka's tools have them."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run_command, run_script
from tests.cli.conftest import MakeTopic

pytestmark = pytest.mark.slow


@pytest.fixture
def topic(make_topic: MakeTopic, bootstrap: tuple[str, str]) -> str:
    """A topic with three partitions and 20 keyed records, of which partition 0 has 8."""
    name = make_topic(partitions=3)
    lines = "".join(f"{number}\tv\n" for number in range(20))
    run_command(
        *("console-producer", *bootstrap, "--topic", name, "--property", "parse.key=true"),
        stdin=lines,
    )
    return name


def test_offsets_are_a_line_a_partition(topic: str, bootstrap: tuple[str, str]) -> None:
    latest = run_script("kafka-get-offsets", *bootstrap, "--topic", topic)
    assert (latest.exit_code, latest.err) == (0, "")
    rows = [line.split(":") for line in latest.out.splitlines()]
    assert [(name, partition) for name, partition, _ in rows] == [
        (topic, "0"),
        (topic, "1"),
        (topic, "2"),
    ]
    assert sum(int(offset) for *_, offset in rows) == 20
    earliest = f"{topic}:0:0\n{topic}:1:0\n{topic}:2:0\n"
    for time in ("-2", "earliest", "0"):
        found = run_command("get-offsets", *bootstrap, "--topic", topic, "--time", time)
        assert found == (0, earliest, "")


def test_the_largest_timestamp_is_found_and_what_is_too_late_is_left_out(
    make_topic: MakeTopic, bootstrap: tuple[str, str]
) -> None:
    name = make_topic(partitions=2)
    run_command(
        *("console-producer", *bootstrap, "--topic", name, "--property", "parse.key=true"),
        stdin="k\tv\n",
    )
    found = run_command("get-offsets", *bootstrap, "--topic", name, "--time", "-3").out
    assert found in {f"{name}:0:0\n", f"{name}:1:0\n"}
    late = run_command("get-offsets", *bootstrap, "--topic", name, "--time", "99999999999999")
    assert late == (0, "", "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--partitions", "0,2"), [0, 2]),
        (("--partitions", "1-3"), [1, 2]),
        (("--partitions", "-2"), [0, 1]),
        (("--partitions", "1-"), [1, 2]),
    ],
)
def test_partitions_can_be_chosen(
    topic: str, bootstrap: tuple[str, str], options: tuple[str, ...], expected: list[int]
) -> None:
    option, value = options
    for arguments in (
        ("--topic", topic, f"{option}={value}"),
        ("--topic-partitions", ",".join(f"{topic}:{part}" for part in value.split(","))),
    ):
        out = run_command("get-offsets", *bootstrap, *arguments).out
        assert [int(line.split(":")[1]) for line in out.splitlines()] == expected


def test_what_matches_nothing_or_is_malformed_is_one_sentence(bootstrap: tuple[str, str]) -> None:
    assert run_command("get-offsets", *bootstrap, "--topic", "nope") == (
        1,
        "",
        "Error occurred: Could not match any topic-partitions with the specified filters\n",
    )
    malformed = run_command("get-offsets", *bootstrap, "--time", "soon")
    assert malformed.exit_code == 1
    assert malformed.err.startswith("Error occurred: Malformed time argument soon. Please use -1")
    assert run_command("get-offsets", *bootstrap, "--partitions", "x") == (
        1,
        "",
        "Error occurred: Invalid partition range: x\n",
    )


def write_offsets(tmp_path: Path, *entries: tuple[str, int, int], version: int = 1) -> str:
    file = tmp_path / "offsets.json"
    partitions = [
        {"topic": topic, "partition": partition, "offset": offset}
        for topic, partition, offset in entries
    ]
    file.write_text(json.dumps({"partitions": partitions, "version": version}))
    return str(file)


def test_records_are_deleted_up_to_an_offset(
    topic: str, bootstrap: tuple[str, str], tmp_path: Path
) -> None:
    file = write_offsets(tmp_path, (topic, 0, 3), (topic, 1, -1))
    end = run_command("get-offsets", *bootstrap, "--topic", topic, "--partitions", "1").out
    all_of_it = end.strip().rpartition(":")[2]
    assert run_script("kafka-delete-records", *bootstrap, "--offset-json-file", file) == (
        0,
        "Executing records delete operation\n"
        "Records delete operation completed:\n"
        f"partition: {topic}-0\tlow_watermark: 3\n"
        f"partition: {topic}-1\tlow_watermark: {all_of_it}\n",
        "",
    )
    left = run_command("get-offsets", *bootstrap, "--topic", topic, "--time", "-2").out
    assert left == f"{topic}:0:3\n{topic}:1:{all_of_it}\n{topic}:2:0\n"


def test_offsets_beyond_the_end_and_unknown_partitions_are_errors_of_their_own(
    topic: str, bootstrap: tuple[str, str], tmp_path: Path
) -> None:
    file = write_offsets(tmp_path, (topic, 0, 1000), (topic, 7, 0), ("nope", 0, 0), (topic, 2, 0))
    outcome = run_command("delete-records", *bootstrap, "--offset-json-file", file)
    assert outcome.exit_code == 1
    lines = outcome.out.splitlines()[2:]
    assert [line.split("\t")[0] for line in lines] == [
        f"partition: {topic}-0",
        f"partition: {topic}-7",
        "partition: nope-0",
        f"partition: {topic}-2",
    ]
    assert all(line.split("\t")[1].startswith("error: ") for line in lines[:3])
    assert lines[3].endswith("\tlow_watermark: 0")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The input string is not a valid JSON"),
        ("{}", "is no list of offsets"),
        ('{"partitions":[],"version":1}', "names no partition"),
        ('{"partitions":[],"version":2}', "Not supported version field value 2"),
        ('{"partitions":[{"topic":"t","partition":0}]}', "is no list of offsets"),
        ('{"partitions":[{"topic":"t","partition":0,"offset":-2}]}', "an offset too, or -1"),
        (
            '{"partitions":[{"topic":"t","partition":0,"offset":1},'
            '{"topic":"t","partition":0,"offset":2}]}',
            "Offset json file contains duplicate topic partitions: t-0",
        ),
    ],
)
def test_a_file_that_is_wrong_deletes_nothing(
    bootstrap: tuple[str, str], tmp_path: Path, content: str, sentence: str
) -> None:
    file = tmp_path / "offsets.json"
    file.write_text(content)
    outcome = run_command("delete-records", *bootstrap, "--offset-json-file", str(file))
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert sentence in outcome.err


def test_a_file_is_required_and_must_be_there(bootstrap: tuple[str, str]) -> None:
    assert (
        'Missing required argument "[offset-json-file]"'
        in run_command("delete-records", *bootstrap).err
    )
    missing = run_command("delete-records", *bootstrap, "--offset-json-file", "/nope")
    assert missing == (1, "", "Cannot read /nope: No such file or directory.\n")
