"""The files of kafka-reassign-partitions."""

import json
from pathlib import Path

import pytest

from kafkalite.cli.failure import CommandError
from kafkalite.cli.reassignment_file import read_targets, read_topics, render
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import PartitionAssignment


def _written(directory: Path, text: str) -> str:
    file = directory / "file.json"
    file.write_text(text)
    return str(file)


def _partition(partition: int = 0, replicas: object = (0, 1), **more: object) -> dict[str, object]:
    return {"topic": "t", "partition": partition, "replicas": replicas, **more}


def test_what_is_printed_can_be_read(tmp_path: Path) -> None:
    printed = render([PartitionAssignment("t", 1, [2]), PartitionAssignment("t", 0, [0, 1])])
    assert printed == (
        '{"version":1,"partitions":['
        '{"topic":"t","partition":0,"replicas":[0,1],"log_dirs":["any","any"]},'
        '{"topic":"t","partition":1,"replicas":[2],"log_dirs":["any"]}]}'
    )
    assert read_targets(_written(tmp_path, printed)) == {
        TopicPartition("t", 0): [0, 1],
        TopicPartition("t", 1): [2],
    }


@pytest.mark.parametrize(
    ("partitions", "sentence"),
    [
        ([], "Partition reassignment list cannot be empty"),
        ([_partition(replicas=[])], "Partition replica list cannot be empty"),
        (
            [_partition(), _partition()],
            "Partition reassignment contains duplicate topic partitions: t-0",
        ),
        (
            [_partition(replicas=[1, 1])],
            "Partition replica lists may not contain duplicate entries: t-0 contains multiple "
            "entries for 1",
        ),
        (
            [_partition(log_dirs=["any"])],
            "Size of replicas list [0, 1] is different from size of log dirs list ['any'] for "
            "partition t-0",
        ),
        ([_partition(log_dirs=["any", "/data"])], "is not supported yet"),
        ([_partition(replicas=[-1])], "is no list of partitions and replicas"),
        ([{"topic": "t"}], "is no list of partitions and replicas"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    tmp_path: Path, partitions: list[object], sentence: str
) -> None:
    text = json.dumps({"version": 1, "partitions": partitions})
    with pytest.raises(CommandError) as caught:
        read_targets(_written(tmp_path, text))
    assert sentence in str(caught.value)


def test_another_version_no_json_and_no_file_are_refused(tmp_path: Path) -> None:
    for text, sentence in (
        ('{"version":2}', "Not supported version field value 2"),
        ("{", "The input string is not a valid JSON"),
    ):
        with pytest.raises(CommandError, match=sentence):
            read_targets(_written(tmp_path, text))
    with pytest.raises(CommandError, match=r"Cannot read .*: No such file or directory\."):
        read_targets(str(tmp_path / "nowhere"))


def test_topics_are_named_once(tmp_path: Path) -> None:
    file = _written(tmp_path, '{"topics":[{"topic":"b"},{"topic":"a"}],"version":1}')
    assert read_topics(file) == ["b", "a"]
    for topics, sentence in (
        ([], "names no topic"),
        (["a", "a"], "List of topics to reassign contains duplicate entries: a"),
    ):
        text = json.dumps({"topics": [{"topic": topic} for topic in topics]})
        with pytest.raises(CommandError, match=sentence):
            read_topics(_written(tmp_path, text))
