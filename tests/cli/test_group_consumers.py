"""Console consumers that are members of groups."""

import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.command import RunningCommand, run_command
from tests.cli.conftest import MakeTopic
from tests.cli.console import Console
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_SHORT_SESSION = ("--consumer-property", "session.timeout.ms=6000")


def _consumer(console: Console, topic: str, group: str, *arguments: str) -> RunningCommand:
    return RunningCommand(
        *("console-consumer", *console.bootstrap, "--topic", topic, "--group", group),
        *("--property", "print.partition=true", *_SHORT_SESSION, *arguments),
    )


def _produce_to_all(console: Console, topic: str, label: str) -> set[str]:
    """Send 100 records, some to each partition; gives their values."""
    lines = [f"{number}\t{label}-{number}" for number in range(100)]
    console.produce(topic, "\n".join(lines) + "\n", "--property", "parse.key=true")
    return {line.partition("\t")[2] for line in lines}


def _values(*consumers: RunningCommand) -> list[str]:
    return [line.split("\t")[1] for each in consumers for line in each.out.splitlines()]


def _partitions(consumer: RunningCommand) -> set[str]:
    return set(re.findall(r"Partition:\d+", consumer.out))


def _offsets(console: Console, group: str) -> dict[int, int]:
    answer = httpx.get(f"{console.url}/v1/groups/{group}/offsets", trust_env=False)
    return {each["partition"]: each["offset"] for each in answer.json()["offsets"]}


def _is_settled(console: Console, group: str, members: int) -> bool:
    """Whether the group has so many members, each with something to consume."""
    found = httpx.get(f"{console.url}/v1/groups/{group}", trust_env=False).json()
    assignments = [member["assignment"] for member in found.get("members", [])]
    return found.get("state") == "Stable" and len(assignments) == members and all(assignments)


def _wait_until_settled(console: Console, group: str, members: int) -> None:
    wait_until(lambda: _is_settled(console, group, members), f"{members} members have settled")


def test_two_share_the_partitions_and_a_third_takes_over_when_one_is_killed(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=4)
    group = f"group-of-{topic}"
    with _consumer(console, topic, group) as one, _consumer(console, topic, group) as two:
        _wait_until_settled(console, group, 2)
        first = _produce_to_all(console, topic, "first")
        wait_until(lambda: len(_values(one, two)) >= len(first), "the first are read")
        assert sorted(_values(one, two)) == sorted(first)
        assert len(_partitions(one)) == len(_partitions(two)) == 2
        assert not _partitions(one) & _partitions(two)

        with _consumer(console, topic, group) as three:
            _wait_until_settled(console, group, 3)
            one.signal(signal.SIGKILL)
            one.wait()
            _wait_until_settled(console, group, 2)
            second = _produce_to_all(console, topic, "second")
            wait_until(
                lambda: set(_values(two, three)) >= second, "the rest is read by those who live"
            )
            new = [value for value in _values(two, three) if value in second]
            assert sorted(new) == sorted(second)
            assert _partitions(three)
            three.signal(signal.SIGINT)
            assert three.wait().exit_code == 130
        _wait_until_settled(console, group, 1)
        two.signal(signal.SIGTERM)
        two.wait()
    assert sum(_offsets(console, group).values()) == len(first) + len(second)


def test_a_group_goes_on_where_it_was(console: Console, make_topic: MakeTopic) -> None:
    topic = make_topic()
    console.produce(topic, "a\nb\nc\nd\n")
    group = ("--group", f"group-of-{topic}")
    assert console.consume(topic, 1, *group).out == "a\n"
    assert _offsets(console, group[1]) == {0: 1}
    assert console.consume(topic, 2, *group).out == "b\nc\n"
    forgetful = ("--consumer-property", "enable.auto.commit=false")
    assert console.consume(topic, 1, *group, *forgetful).out == "d\n"
    assert console.consume(topic, 1, *group).out == "d\n"
    other = ("--consumer-property", f"group.id=other-{topic}")
    assert console.consume(topic, 4, *other).out == "a\nb\nc\nd\n"


def test_offsets_are_committed_meanwhile(console: Console, make_topic: MakeTopic) -> None:
    topic = make_topic()
    group = f"group-of-{topic}"
    interval = ("--consumer-property", "auto.commit.interval.ms=100")
    with _consumer(console, topic, group, *interval) as consumer:
        wait_until(lambda: _offsets(console, group) == {0: 0}, "where it begins is committed")
        console.produce(topic, "a\nb\n")
        wait_until(lambda: _offsets(console, group) == {0: 2}, "what it printed is committed")
        consumer.signal(signal.SIGKILL)


def test_a_group_that_was_made_up_leaves_nothing_behind(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    console.produce(topic, "a\n")
    assert console.consume(topic, 1).out == "a\n"
    listed = run_command("consumer-groups", *console.bootstrap, "--list").out
    assert "console-consumer-" not in listed


def test_a_pattern_also_means_topics_that_come_later(
    console: Console, make_topic: MakeTopic
) -> None:
    first = make_topic()
    prefix = f"late-{first}"
    with RunningCommand(
        *("console-consumer", *console.bootstrap, "--include", f"{first}|{prefix}.*"),
        *("--group", prefix, *_SHORT_SESSION),
    ) as consumer:
        _wait_until_settled(console, prefix, 1)
        httpx.post(
            f"{console.url}/v1/topics", json={"name": f"{prefix}-a"}, trust_env=False
        ).raise_for_status()
        console.produce(f"{prefix}-a", "late\n")
        console.produce(first, "early\n")
        consumer.wait_for_out("late\n")
        consumer.wait_for_out("early\n")


def test_a_paused_consumer_that_comes_back_takes_nothing_from_those_who_took_over(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=2)
    group = f"group-of-{topic}"
    with _consumer(console, topic, group) as paused, _consumer(console, topic, group) as other:
        _wait_until_settled(console, group, 2)
        paused.signal(signal.SIGSTOP)
        _wait_until_settled(console, group, 1)
        sent = _produce_to_all(console, topic, "meanwhile")
        wait_until(lambda: set(_values(other)) == sent, "the other reads everything")
        paused.signal(signal.SIGCONT)
        _wait_until_settled(console, group, 2)
        later = _produce_to_all(console, topic, "later")
        wait_until(lambda: set(_values(paused, other)) >= later, "both go on")
        assert sorted(_values(paused, other)) == sorted(sent | later), "nothing is read twice"


def test_a_static_member_finds_its_place_again(
    console: Console, make_topic: MakeTopic, tmp_path: Path
) -> None:
    config = tmp_path / "consumer.properties"
    topic = make_topic(partitions=2)
    group = f"group-of-{topic}"
    config.write_text(f"group.id={group}\ngroup.instance.id=me\n")
    arguments = ("console-consumer", *console.bootstrap, "--topic", topic)
    with RunningCommand(*arguments, "--consumer.config", str(config), *_SHORT_SESSION) as first:
        _wait_until_settled(console, group, 1)
        with RunningCommand(*arguments, "--consumer.config", str(config), *_SHORT_SESSION):
            fenced = first.wait()
            assert fenced.exit_code == 1
            assert "instance" in fenced.err
            _wait_until_settled(console, group, 1)
