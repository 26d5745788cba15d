"""kafka-consumer-groups: its columns, sentences and exit codes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.command import Outcome, run_command, run_script
from tests.cli.conftest import MakeTopic
from tests.cli.console import Console
from tests.support.broker import BrokerProcess

pytestmark = pytest.mark.slow

_WARNING = "WARN: No action will be performed as the --execute option is missing.\n"


class _Groups:
    """Groups of the shared broker, and the command that looks at them."""

    def __init__(self, console: Console, topic: str) -> None:
        self.console, self.topic = console, topic
        self._http = httpx.Client(base_url=f"{console.url}/v1/groups", trust_env=False)

    def run(self, *arguments: str) -> Outcome:
        return run_command("consumer-groups", *self.console.bootstrap, *arguments)

    def commit(self, group: str, offsets: Mapping[int, int]) -> None:
        body = {
            "offsets": [
                {"topic": self.topic, "partition": number, "offset": offset}
                for number, offset in offsets.items()
            ]
        }
        self._http.post(f"/{group}/offsets", json=body).raise_for_status()

    def offsets(self, group: str) -> dict[int, int]:
        found = self._http.get(f"/{group}/offsets").json()["offsets"]
        return {each["partition"]: each["offset"] for each in found}

    @contextmanager
    def member(self, group: str, **more: str) -> Iterator[str]:
        """A member of a group, which is told everything at once; gives its id."""
        joining = {"topics": [self.topic], "client_id": "tester", **more}
        answer = self._http.post(f"/{group}/heartbeat", json=joining)
        member_id: str = answer.json()["member_id"]
        yield member_id
        leaving = {"member_id": member_id, "member_epoch": -1}
        self._http.post(f"/{group}/heartbeat", json=leaving).raise_for_status()

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def groups(console: Console, make_topic: MakeTopic) -> Iterator[_Groups]:
    """Two partitions with ten records each."""
    topic = make_topic(partitions=2)
    for number in range(2):
        path = f"{console.url}/v1/topics/{topic}/partitions/{number}/records"
        body = {"records": [{"value": each, "timestamp": 1000 * each} for each in range(10)]}
        httpx.post(path, json=body, trust_env=False).raise_for_status()
    found = _Groups(console, topic)
    yield found
    found.close()


@pytest.fixture
def group(groups: _Groups) -> str:
    """The name of a group that no other test has."""
    return f"group-of-{groups.topic}"


def _squeezed(out: str) -> list[str]:
    """Lines without the padding of columns."""
    return [re.sub(" +", " ", line) for line in out.splitlines()]


def test_an_empty_group_is_described_in_kafkas_columns(groups: _Groups, group: str) -> None:
    groups.commit(group, {0: 4, 1: 10})
    described = groups.run("--describe", "--group", group)
    assert described.exit_code == 0
    assert described.err == f"\nConsumer group '{group}' has no active members.\n"
    blank, header, *rows = described.out.splitlines()
    wide, name = max(len(group), 15), groups.topic.ljust(15)
    assert (blank, header) == (
        "",
        f"{'GROUP':<{wide}} TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  "
        "LAG             CONSUMER-ID     HOST            CLIENT-ID",
    )
    assert rows == [
        f"{group:<{wide}} {name} 0          4               10              6               -"
        "               -               -",
        f"{group:<{wide}} {name} 1          10              10              0               -"
        "               -               -",
    ]
    state = groups.run("--describe", "--group", group, "--state").out
    assert re.search(rf"{group} +127\.0\.0\.1:\d+ \(0\) +- +Empty +0", state)
    assert groups.run("--describe", "--group", group, "--members").out == ""


def test_members_are_described(groups: _Groups, group: str) -> None:
    with groups.member(group) as one, groups.member(group, instance_id="static") as other:
        _, header, *rows = _squeezed(
            groups.run("--describe", "--group", group, "--members", "--verbose").out
        )
        assert header == (
            "GROUP CONSUMER-ID GROUP-INSTANCE-ID HOST CLIENT-ID #PARTITIONS ASSIGNMENT"
        )
        # The first has not let go of anything yet: it was not heard of since.
        assert sorted(rows) == sorted(
            [
                f"{group} {one} - /127.0.0.1 tester 1 {groups.topic}(0)",
                f"{group} {other} static /127.0.0.1 tester 0 -",
            ]
        )
        described = groups.run("--describe", "--group", group)
        assert described.err == f"\nWarning: Consumer group '{group}' is rebalancing.\n"
        rows = _squeezed(described.out)[2:]
        assert rows[0] == f"{group} {groups.topic} 0 - 10 - {one} /127.0.0.1 tester"
        assert rows[-1] == f"{group} - - - - - {other} /127.0.0.1 tester"
        state = groups.run("--describe", "--group", group, "--state").out
        assert re.search(rf"{group} .* sticky +Reconciling +2", state)


def test_groups_are_listed(groups: _Groups, group: str) -> None:
    groups.commit(group, {0: 1})
    with groups.member(f"{group}-2"):
        listed = groups.run("--list").out.splitlines()
        assert listed == sorted(listed)
        assert {group, f"{group}-2"} <= set(listed)
        states = _squeezed(groups.run("--list", "--state").out)
        assert states[0] == "GROUP STATE"
        assert {f"{group} Empty", f"{group}-2 Stable"} <= set(states)
        only = _squeezed(groups.run("--list", "--state", "stable,dead").out)
        assert f"{group}-2 Stable" in only
        assert f"{group} Empty" not in only
    wrong = groups.run("--list", "--state", "odd")
    assert wrong.exit_code == 1
    assert "Invalid state list 'odd'. Valid states are: Empty, Assigning," in wrong.out


def test_what_does_not_exist_is_an_error(groups: _Groups) -> None:
    missing = groups.run("--describe", "--group", "nogroup")
    assert missing == (1, "\nError: Consumer group 'nogroup' does not exist.\n", "")
    deleted = groups.run("--delete", "--group", "nogroup")
    assert deleted.exit_code == 1
    assert "* Group 'nogroup' could not be deleted due to: Group 'nogroup'" in deleted.out


def test_offsets_are_reset_once_it_is_said(groups: _Groups, group: str) -> None:
    groups.commit(group, {0: 4, 1: 5})
    reset = ("--reset-offsets", "--group", group)
    topic = ("--topic", groups.topic)
    shown = groups.run(*reset, *topic, "--to-earliest")
    assert (shown.exit_code, shown.err) == (0, _WARNING)
    assert _squeezed(shown.out) == [
        "",
        "GROUP TOPIC PARTITION NEW-OFFSET",
        f"{group} {groups.topic} 0 0",
        f"{group} {groups.topic} 1 0",
    ]
    assert groups.run(*reset, *topic, "--to-earliest", "--dry-run").err == ""
    assert groups.offsets(group) == {0: 4, 1: 5}
    for scenario, expected in (
        (("--to-latest",), {0: 10, 1: 10}),
        (("--shift-by", "-3"), {0: 7, 1: 7}),
        (("--to-datetime", "1970-01-01T00:00:03.500"), {0: 4, 1: 4}),
        (("--to-offset", "0"), {0: 0, 1: 0}),
        (("--by-duration", "P36500D"), {0: 0, 1: 0}),
        (("--to-offset", "6"), {0: 6, 1: 6}),
        (("--to-current",), {0: 6, 1: 6}),
        (("--by-duration", "PT1S"), {0: 10, 1: 10}),
        (("--to-earliest",), {0: 0, 1: 0}),
    ):
        done = groups.run(*reset, "--all-topics", *scenario, "--execute")
        assert done.exit_code == 0, done
        assert groups.offsets(group) == expected, scenario
    one = groups.run(*reset, "--topic", f"{groups.topic}:1", "--to-offset", "99", "--execute")
    assert one.err == (
        f"New offset (99) is higher than latest offset for topic partition {groups.topic}-1. "
        "Value will be set to 10\n"
    )
    assert groups.offsets(group) == {0: 0, 1: 10}


def test_what_was_exported_can_be_reset_to(groups: _Groups, group: str, tmp_path: Path) -> None:
    groups.commit(group, {0: 4, 1: 5})
    file = tmp_path / "offsets.csv"
    exporting = ("--reset-offsets", "--group", group, "--all-topics", "--to-current", "--export")
    exported = groups.run(*exporting, "--dry-run")
    assert exported == (0, f"{groups.topic},0,4\n{groups.topic},1,5\n", "")
    file.write_text(exported.out)
    groups.commit(group, {0: 9, 1: 9})
    from_file = ("--from-file", str(file), "--execute")
    assert groups.run("--reset-offsets", "--group", group, *from_file).exit_code == 0
    assert groups.offsets(group) == {0: 4, 1: 5}

    second = f"{group}-2"
    file.write_text(f"{group},{groups.topic},0,1\n{second},{groups.topic},1,2\n")
    both = ("--group", group, "--group", second)
    assert groups.run("--reset-offsets", *both, *from_file).exit_code == 0
    assert (groups.offsets(group), groups.offsets(second)) == ({0: 1, 1: 5}, {1: 2})

    file.write_text("nonsense\n")
    wrong = groups.run("--reset-offsets", "--group", group, *from_file)
    assert wrong.exit_code == 1
    assert "line 1 is not of the form topic,partition,offset" in wrong.out


def test_a_group_with_members_is_not_reset_or_deleted(groups: _Groups, group: str) -> None:
    with groups.member(group):
        wish = ("--topic", groups.topic, "--to-latest", "--execute")
        reset = groups.run("--reset-offsets", "--group", group, *wish)
        assert reset == (
            1,
            f"\nError: Assignments can only be reset if the group '{group}' is inactive, but the "
            "current state is Stable.\n",
            "",
        )
        assert groups.run("--delete", "--group", group).exit_code == 1
        refused = groups.run("--delete-offsets", "--group", group, "--topic", groups.topic)
        assert refused.exit_code == 1
        assert f"Error: Members of group '{group}' consume topic '{groups.topic}'" in refused.out
    groups.commit(group, {0: 1})
    assert groups.run("--delete", "--group", group) == (
        0,
        f"Deletion of requested consumer groups ('{group}') was successful.\n",
        "",
    )
    assert groups.offsets(group) == {}


def test_offsets_of_topics_are_deleted(groups: _Groups, group: str) -> None:
    groups.commit(group, {0: 1, 1: 2})
    deleting = ("--delete-offsets", "--group", group)
    one = groups.run(*deleting, "--topic", f"{groups.topic}:0")
    assert one.exit_code == 0
    assert one.out.splitlines()[0] == (
        f"Request succeed for deleting offsets with topic {groups.topic}:0 group {group}"
    )
    assert _squeezed(one.out)[1:] == ["TOPIC PARTITION STATUS", f"{groups.topic} 0 Successful"]
    assert groups.offsets(group) == {1: 2}
    mixed = groups.run(*deleting, "--topic", groups.topic, "--topic", "nope")
    assert mixed.exit_code == 1
    assert _squeezed(mixed.out)[1:] == [
        "Error: Encountered some partition level error, see the follow-up details:",
        "TOPIC PARTITION STATUS",
        f"{groups.topic} 0 Successful",
        f"{groups.topic} 1 Successful",
        "nope Not Provided Error: Topic 'nope' does not exist.",
    ]
    assert groups.offsets(group) == {}


def test_the_script_does_what_the_command_does(broker: BrokerProcess) -> None:
    done = run_script("kafka-consumer-groups", "--bootstrap-server", broker.address, "--list")
    assert (done.exit_code, done.err) == (0, "")
