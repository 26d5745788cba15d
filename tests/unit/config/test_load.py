"""Tests for kafkalite.config.load."""

from pathlib import Path

import pytest

from kafkalite.config.keys import BrokerSettings
from kafkalite.config.listener import Listener
from kafkalite.config.load import ConfigError, LoadedSettings, load_settings
from kafkalite.config.views import FlushPolicy

CONFIGS = Path(__file__).parents[3] / "configs"
_REFUSED = "# refused: "


def load(
    tmp_path: Path, text: str, overrides: tuple[str, ...] = (), **environ: str
) -> LoadedSettings:
    file = tmp_path / "server.properties"
    file.write_text(f"zookeeper.connect=localhost:2181\n{text}", encoding="utf-8")
    return load_settings(file, overrides, environ)


def problems_of(
    tmp_path: Path, text: str, overrides: tuple[str, ...] = (), **environ: str
) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text, overrides, **environ)
    return str(raised.value).replace(f"{tmp_path}/server.properties", "FILE").splitlines()


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("server*.properties")), ids=lambda f: f.name)
def test_example_loads_without_a_warning(file: Path) -> None:
    assert load_settings(file, environ={}).warnings == []


@pytest.mark.parametrize(
    "file", sorted(CONFIGS.glob("invalid/*.properties")), ids=lambda file: file.stem
)
def test_mistake_is_refused_with_its_line_and_reason(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    expected = [
        # A line with a number continues the file's name, one without stands for the whole file.
        f"{file}:{text}"
        if (text := line.removeprefix(_REFUSED))[0].isdigit()
        else f"{file}: {text}"
        for line in lines
        if line.startswith(_REFUSED)
    ]
    assert expected
    with pytest.raises(ConfigError) as raised:
        load_settings(file, environ={})
    assert sorted(str(raised.value).splitlines()) == sorted(expected)


def test_values_become_python_values(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "broker.id=7\nlisteners=HTTP://127.0.0.1:0\nlog.dirs=/a, b/c\ndelete.topic.enable=FALSE \n"
        "log.flush.policy=os\nbroker.rack=east\nlog.retention.ms = -1\n",
    ).settings
    assert settings.broker_id == 7
    assert settings.listeners == Listener("127.0.0.1", 0)
    assert settings.log_directories == (Path("/a"), Path("b/c"))
    assert settings.delete_topic_enable is False
    assert settings.log_flush_policy is FlushPolicy.OS
    assert settings.broker_rack == "east"
    assert settings.log_retention_ms == -1


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path, "").settings == BrokerSettings(zookeeper_connect="localhost:2181")


def test_largest_id_that_is_not_generated_is_accepted(tmp_path: Path) -> None:
    assert load(tmp_path, "broker.id=1000").settings.broker_id == 1000


def test_environment_counts_before_the_file_and_override_before_both(tmp_path: Path) -> None:
    text = "num.partitions=1\nmin.insync.replicas=1\nlog.retention.hours=1\n"
    settings = load(
        tmp_path,
        text,
        ("num.partitions=3",),
        KAFKALITE_NUM_PARTITIONS="2",
        KAFKALITE_MIN_INSYNC_REPLICAS="2",
    ).settings
    assert settings.num_partitions == 3
    assert settings.min_insync_replicas == 2
    assert settings.log_retention_hours == 1


def test_wrong_value_does_no_harm_when_it_is_overridden(tmp_path: Path) -> None:
    assert load(tmp_path, "num.partitions=x", ("num.partitions=3",)).settings.num_partitions == 3


def test_problems_say_where_they_stand_when_not_in_the_file(tmp_path: Path) -> None:
    assert problems_of(
        tmp_path,
        "num.partitions=1",
        ("log.retention.hour=1", "broker.id"),
        KAFKALITE_NUM_PARTITIONS="none",
        KAFKALITE_LOG_RETENTION_M="1",
    ) == [
        "--override broker.id: write key=value",
        "environment variable KAFKALITE_LOG_RETENTION_M: log.retention.m: is not a setting "
        "(did you mean log.retention.ms?)",
        "--override: log.retention.hour: is not a setting (did you mean log.retention.hours?)",
        "environment variable KAFKALITE_NUM_PARTITIONS: num.partitions: 'none' is not a whole "
        "number",
    ]


def test_variables_that_describe_a_service_are_not_settings(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "",
        KAFKALITE_PORT="tcp://10.0.0.1:9092",
        KAFKALITE_SERVICE_HOST="10.0.0.1",
        KAFKALITE_0_SERVICE_PORT_HTTP="9092",
        KAFKALITE_BROKER_PORT_9092_TCP_ADDR="10.0.0.1",
        OTHER="1",
    )
    assert loaded == (BrokerSettings(zookeeper_connect="localhost:2181"), [])


def test_process_environment_counts_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKALITE_ZOOKEEPER_CONNECT", "from-environment:2181")
    assert load_settings(None).settings.zookeeper_connect == "from-environment:2181"


def test_missing_key_is_named_when_there_is_no_file() -> None:
    with pytest.raises(ConfigError, match=r"^settings: zookeeper\.connect: is required$"):
        load_settings(None, environ={})


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(tmp_path / "nowhere.properties", environ={})
    binary = tmp_path / "binary.properties"
    binary.write_bytes(b"broker.id=\xff\n")
    with pytest.raises(ConfigError, match="utf-8"):
        load_settings(binary, environ={})


def test_line_numbers_count_continued_lines_and_comments(tmp_path: Path) -> None:
    text = "# a comment\n\nlog.dirs=a,\\\n   b\n! another\nbogus.key=1\n"
    assert problems_of(tmp_path, text) == ["FILE:7: bogus.key: is not a setting"]


def test_stock_file_of_kafka_loads_with_warnings_when_its_listener_is_the_default(
    tmp_path: Path,
) -> None:
    """The keys that stand uncommented in Kafka 3.9's own config/server.properties."""
    loaded = load(
        tmp_path,
        "broker.id=0\nnum.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n"
        "socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n"
        "log.dirs=/tmp/kafka-logs\nnum.partitions=1\nnum.recovery.threads.per.data.dir=1\n"
        "offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n"
        "transaction.state.log.min.isr=1\nlog.retention.hours=168\n"
        "log.retention.check.interval.ms=300000\n"
        "zookeeper.connection.timeout.ms=18000\ngroup.initial.rebalance.delay.ms=0\n",
    )
    assert [warning.split(": ")[1].split(" ")[0] for warning in loaded.warnings] == [
        "num.network.threads",
        "num.io.threads",
        "socket.send.buffer.bytes",
        "socket.receive.buffer.bytes",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "group.initial.rebalance.delay.ms",
    ]


def test_what_changes_nothing_is_named(tmp_path: Path) -> None:
    text = "num.partitions=1\nnum.partitions=2\nlog.flush.interval.ms=10\nlog.dir=/a\nlog.dirs=/b\n"
    loaded = load(tmp_path, text)
    assert loaded.settings.num_partitions == 2
    file = tmp_path / "server.properties"
    assert loaded.warnings == [
        f"{file}:3: num.partitions: this one counts, not {file}:2",
        f"{file}:4: log.flush.interval.ms has no effect with log.flush.policy=commit",
        f"{file}:5: log.dir has no effect beside log.dirs",
    ]


def test_flush_intervals_are_not_warned_about_when_the_policy_is_interval(tmp_path: Path) -> None:
    text = "log.flush.policy=interval\nlog.flush.interval.ms=10\n"
    assert load(tmp_path, text).warnings == []
