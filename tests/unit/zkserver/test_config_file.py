"""zookeeper.properties: what is read, and how every mistake is named with its line."""

from pathlib import Path

import pytest

from kafkalite.zkserver.config import ZooKeeperConfig
from kafkalite.zkserver.config_file import ConfigError, load_config

_SHIPPED = Path(__file__).parents[3] / "configs" / "zookeeper.properties"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "zookeeper.properties"


def _problems(file: Path, text: str) -> list[str]:
    """What is said about a file with this content, without the file's name."""
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_config(file)
    return [line.removeprefix(f"{file}:") for line in str(raised.value).splitlines()]


def test_every_key_is_read(file: Path) -> None:
    file.write_text(
        "dataDir=/var/zk\nclientPort = 2182\nclientPortAddress: 10.0.0.1\ntickTime=100\n"
        "maxClientCnxns=0\nminSessionTimeout=300\nmaxSessionTimeout=900\n"
        "4lw.commands.whitelist=ruok, stat,\n"
    )
    config, warnings = load_config(file)
    assert warnings == []
    assert config == ZooKeeperConfig(
        Path("/var/zk"), 2182, "10.0.0.1", 100, 0, 300, 900, frozenset({"ruok", "stat"})
    )


def test_defaults_are_zookeepers_but_for_the_address(file: Path) -> None:
    file.write_text("dataDir=data\n")
    config = load_config(file).config
    assert config == ZooKeeperConfig(Path("data"))
    assert (config.port, config.address, config.tick_ms) == (2181, "127.0.0.1", 2000)
    assert config.max_connections_per_address == 60
    assert (config.least_session_timeout_ms, config.largest_session_timeout_ms) == (4000, 40_000)
    assert config.four_letter_words == {"srvr"}


def test_session_timeouts_follow_the_tick_unless_they_are_set(file: Path) -> None:
    file.write_text("dataDir=d\ntickTime=100\nmaxSessionTimeout=60000\nminSessionTimeout=-1\n")
    config = load_config(file).config
    assert (config.least_session_timeout_ms, config.largest_session_timeout_ms) == (200, 60_000)


def test_later_entry_wins_as_in_java(file: Path) -> None:
    file.write_text("dataDir=one\ndataDir=two\n")
    assert load_config(file).config.data_dir == Path("two")


def test_keys_of_an_ensemble_are_named_and_ignored(file: Path) -> None:
    file.write_text("dataDir=d\n# a comment\ninitLimit=5\nserver.1=a:2888:3888\n")
    assert load_config(file).warnings == [
        f"{file}:3: initLimit is not supported and ignored",
        f"{file}:4: server.1 is not supported and ignored",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("clientPort=x", "clientPort: 'x' is not a whole number"),
        ("clientPort=", "clientPort: '' is not a whole number"),
        ("clientPort=0", "clientPort: 0 is not between 1 and 65535"),
        ("clientPort=65536", "clientPort: 65536 is not between 1 and 65535"),
        ("tickTime=0", "tickTime: 0 is not between 1 and 2147483647"),
        ("tickTime=2.5", "tickTime: '2.5' is not a whole number"),
        ("maxClientCnxns=-1", "maxClientCnxns: -1 is not between 0 and 2147483647"),
        ("minSessionTimeout=0", "minSessionTimeout: 0 is no timeout; use -1 for the default"),
        ("maxSessionTimeout=-2", "maxSessionTimeout: -2 is not between -1 and 2147483647"),
        ("dataDir=", "dataDir: a directory is needed"),
    ],
)
def test_value_is_refused_with_its_line_when_it_is_wrong(
    file: Path, line: str, problem: str
) -> None:
    assert _problems(file, f"dataDir=d\n\n# comment\n{line}\n") == [f"4: {problem}"]


def test_line_is_counted_over_continued_lines(file: Path) -> None:
    text = "dataDir=d\n4lw.commands.whitelist=ruok,\\\n  stat\ntickTime=x\n"
    assert _problems(file, text) == ["4: tickTime: 'x' is not a whole number"]


def test_all_problems_are_named_at_once(file: Path) -> None:
    assert _problems(file, "clientPort=x\ntickTime=-1\n") == [
        "1: clientPort: 'x' is not a whole number",
        "2: tickTime: -1 is not between 1 and 2147483647",
        " dataDir is missing",
    ]


def test_timeouts_are_refused_when_they_contradict_each_other(file: Path) -> None:
    assert _problems(file, "dataDir=d\nmaxSessionTimeout=1000\n") == [
        " minSessionTimeout (4000) is larger than maxSessionTimeout (1000)"
    ]


def test_file_is_refused_when_it_is_missing(file: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(file)


@pytest.mark.parametrize("content", [b"dataDir=\xff\n", b"dataDir=\\u12\n"])
def test_file_is_refused_when_it_is_no_properties_file(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=str(file)):
        load_config(file)


def test_shipped_file_is_good() -> None:
    config, warnings = load_config(_SHIPPED)
    assert warnings == []
    assert (config.data_dir, config.port) == (Path("data/zookeeper"), 2181)
    assert {"ruok", "srvr", "stat", "mntr", "conf"} <= config.four_letter_words
