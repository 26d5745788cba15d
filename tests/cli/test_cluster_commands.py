"""Commands of a cluster of three brokers: moving partitions, elections, directories, its status."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.command import Outcome, run_command, run_script
from tests.support.cluster import Cluster
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper, free_port

pytestmark = pytest.mark.slow

_RATES = ("leader.replication.throttled.rate", "follower.replication.throttled.rate")


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[Cluster]:
    """Three brokers that the tests here share; each leaves them all alive."""
    directory = tmp_path_factory.mktemp("three")
    with Cluster(
        directory,
        f"{embedded_zookeeper.hosts}/three",
        settings={"auto.leader.rebalance.enable": "false"},
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def all_are_alive(cluster: Cluster) -> None:
    """Whatever a test before this one left behind is over."""
    wait_until(lambda: len(cluster.alive) == 3, "all brokers are alive")


def _make_topic(cluster: Cluster, name: str, *assignment: list[int]) -> None:
    body = {"name": name, "replica_assignment": assignment}
    httpx.post(f"{cluster[0].url}/v1/topics", json=body, timeout=60).raise_for_status()
    cluster.wait_until_in_sync(name)


def _file(directory: Path, **content: object) -> str:
    file = directory / f"{len(list(directory.iterdir()))}.json"
    file.write_text(json.dumps({"version": 1, **content}))
    return str(file)


def _moves(directory: Path, topic: str, *replicas: list[int]) -> str:
    partitions = [
        {"topic": topic, "partition": number, "replicas": ids}
        for number, ids in enumerate(replicas)
    ]
    return _file(directory, partitions=partitions)


class Reassign:
    """kafka-reassign-partitions against the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._bootstrap = cluster.bootstrap

    def __call__(self, *arguments: str) -> Outcome:
        bootstrap = ("--bootstrap-server", self._bootstrap)
        return run_script("kafka-reassign-partitions", *bootstrap, *arguments)

    def until_verified(self, file: str) -> str:
        """Verify until all is completed; gives what was printed then."""
        printed = ""

        def is_done() -> bool:
            nonlocal printed
            printed = self("--verify", "--reassignment-json-file", file).out
            return "in progress" not in printed

        wait_until(is_done, f"all of {file} has moved", 60)
        return printed


@pytest.fixture
def reassign(cluster: Cluster) -> Reassign:
    return Reassign(cluster)


def test_partitions_move_from_a_proposal_to_its_end(
    cluster: Cluster, reassign: Reassign, tmp_path: Path
) -> None:
    _make_topic(cluster, "moved", [0, 1], [1, 0])
    assert reassign("--list") == (0, "No partition reassignments found.\n", "")
    topics = _file(tmp_path, topics=[{"topic": "moved"}])
    generated = reassign("--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2")
    assert generated.exit_code == 0
    shape = (
        r"Current partition replica assignment\n(\{.*\})\n\n"
        r"Proposed partition reassignment configuration\n(\{.*\})\n"
    )
    found = re.fullmatch(shape, generated.out)
    assert found is not None, generated.out
    before = (
        '{"version":1,"partitions":['
        '{"topic":"moved","partition":0,"replicas":[0,1],"log_dirs":["any","any"]},'
        '{"topic":"moved","partition":1,"replicas":[1,0],"log_dirs":["any","any"]}]}'
    )
    assert found[1] == before
    plan = tmp_path / "plan.json"
    plan.write_text(found[2])
    executed = reassign("--execute", "--reassignment-json-file", str(plan), "--throttle", "1000000")
    assert executed == (
        0,
        f"Current partition replica assignment\n\n{before}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback\n"
        "Warning: You must run --verify periodically, until the reassignment completes, to ensure "
        "the throttle is removed.\n"
        "The inter-broker throttle limit was set to 1000000 B/s\n"
        "Successfully started partition reassignments for moved-0,moved-1\n",
        "",
    )
    assert reassign.until_verified(str(plan)) == (
        "Status of partition reassignment:\n"
        "Reassignment of partition moved-0 is completed.\n"
        "Reassignment of partition moved-1 is completed.\n"
        "\n"
        "Clearing broker-level throttles on brokers 0,1,2\n"
        "Clearing topic-level throttles on topic moved\n"
    )
    replicas = [each["replicas"] for each in cluster.partitions("moved")]
    assert replicas == [each["replicas"] for each in json.loads(found[2])["partitions"]]
    url = cluster[0].url
    assert httpx.get(f"{url}/v1/topics/moved").json()["config"] == {}
    settings = httpx.get(f"{url}/v1/brokers/1/config").json()["config"]
    assert not {entry["name"] for entry in settings} & set(_RATES)


def test_a_move_to_a_broker_that_stands_still_is_seen_and_cancelled(
    cluster: Cluster, reassign: Reassign, tmp_path: Path
) -> None:
    _make_topic(cluster, "stuck", [0, 1])
    file = _moves(tmp_path, "stuck", [2, 1])
    topics = ("topics", "--bootstrap-server", cluster.bootstrap, "--describe", "--topic", "stuck")
    cluster[2].pause()
    try:
        started = reassign("--execute", "--reassignment-json-file", file)
        assert started.out.endswith("Successfully started partition reassignment for stuck-0\n")
        moving = "stuck-0: replicas: 2,1,0. adding: 2. removing: 0.\n"
        assert reassign("--list").out == f"Current partition reassignments:\n{moving}"
        title, line = run_command(*topics).out.splitlines()
        assert "\tReplicationFactor: 2\t" in title
        assert re.fullmatch(
            r"\tTopic: stuck\tPartition: 0\tLeader: [01]\tReplicas: 2,1,0\tIsr: [01],[01]"
            r"\tAdding Replicas: 2\tRemoving Replicas: 0",
            line,
        )
        assert run_command(*topics, "--under-replicated-partitions") == (0, "", "")
        assert reassign("--verify", "--reassignment-json-file", file).out == (
            "Status of partition reassignment:\n"
            "Reassignment of partition stuck-0 is still in progress.\n\n"
        )
        again = reassign("--execute", "--reassignment-json-file", file)
        assert again.exit_code == 1
        assert again.out.startswith("Cannot execute because there is an existing partition ")
        assert reassign("--cancel", "--reassignment-json-file", file, "--preserve-throttles") == (
            0,
            "Successfully cancelled partition reassignment for: stuck-0\n",
            "",
        )
        assert reassign("--list").out == "No partition reassignments found.\n"
    finally:
        cluster[2].resume()
    assert sorted(cluster.partitions("stuck")[0]["replicas"]) == [0, 1]
    assert reassign("--cancel", "--reassignment-json-file", file, "--preserve-throttles") == (
        0,
        "None of the specified partition reassignments are active.\n",
        "",
    )
    verified = reassign("--verify", "--reassignment-json-file", file, "--preserve-throttles")
    assert "but replica set is 1,0 rather than 2,1." in verified.out


def test_moves_that_cannot_be_are_refused(
    cluster: Cluster, reassign: Reassign, tmp_path: Path
) -> None:
    _make_topic(cluster, "refused", [0])
    execute = ("--execute", "--reassignment-json-file")
    for file, sentence in (
        (_moves(tmp_path, "refused", [9]), "Error: Unknown broker id 9\n"),
        (_moves(tmp_path, "refused", [0], [1]), "Error: Unable to find partition: refused-1\n"),
        (_moves(tmp_path, "refused", []), "Error: Partition replica list cannot be empty\n"),
    ):
        assert reassign(*execute, file) == (1, sentence, "")
    outcome = reassign("--generate", "--execute")
    assert outcome.err.startswith("Command must include exactly one action: --generate, --execute")
    outcome = reassign("--execute")
    assert 'Missing required argument "[reassignment-json-file]"' in outcome.err
    outcome = reassign("--list", "--throttle", "5")
    assert outcome.exit_code == 1
    assert '"[list]" can\'t be used with option "[throttle]"' in outcome.err


def test_the_preferred_leader_is_elected_when_it_is_back(cluster: Cluster, tmp_path: Path) -> None:
    _make_topic(cluster, "elected", [2, 0], [0, 2])
    cluster[2].kill()
    try:
        cluster.wait_for("elected", lambda each: each["leader"] == 0, "0 leads", 60)
        elect = (
            *("kafka-leader-election", "--bootstrap-server", cluster.bootstrap),
            *("--election-type", "preferred"),
        )
        one = ("--topic", "elected", "--partition", "0")
        failed = run_script(*elect, *one)
        assert failed.exit_code == 1
        assert failed.out.startswith(
            "Error completing leader election (PREFERRED) for partition: elected-0: "
            "PREFERRED_LEADER_NOT_AVAILABLE: "
        )
        assert failed.err == "1 replica(s) could not be elected\n"
    finally:
        cluster[2].start()
    cluster.wait_until_in_sync("elected")
    named = [{"topic": "elected", "partition": number} for number in (0, 1)]
    file = _file(tmp_path, partitions=named)
    assert run_script(*elect, "--path-to-json-file", file) == (
        0,
        "Successfully completed leader election (PREFERRED) for partitions elected-0\n"
        "Valid replica already elected for partitions elected-1\n",
        "",
    )
    assert cluster.leader_of("elected") == 2
    assert run_script(*elect, "--all-topic-partitions").exit_code == 0


def test_directories_of_all_brokers_are_described(cluster: Cluster) -> None:
    _make_topic(cluster, "sized", [0, 2])
    url = f"{cluster[0].url}/v1/topics/sized/records"
    httpx.post(url, json={"records": [{"value": "x" * 1000}]}).raise_for_status()
    command = ("kafka-log-dirs", "--bootstrap-server", cluster.bootstrap, "--describe")
    outcome = run_script(*command, "--topic-list", "sized")
    first, second, document = outcome.out.splitlines()
    assert first == "Querying brokers for log directories information"
    assert second == "Received log directory information from brokers 0,1,2"
    brokers = json.loads(document)["brokers"]
    assert [each["broker"] for each in brokers] == [0, 1, 2]
    sizes = []
    for broker in brokers:
        (directory,) = broker["logDirs"]
        assert directory["error"] is None
        assert directory["logDir"] == str(cluster[broker["broker"]].log_dir)
        for partition in directory["partitions"]:
            assert partition["partition"] == "sized-0"
            assert (partition["offsetLag"], partition["isFuture"]) == (0, False)
            sizes.append(partition["size"])
    assert len(sizes) == 2
    assert sizes[0] == sizes[1] > 1000
    some = run_script(*command, "--broker-list", "1")
    assert [each["broker"] for each in json.loads(some.out.splitlines()[2])["brokers"]] == [1]
    unknown = run_script(*command, "--broker-list", "1,7")
    assert unknown == (
        1,
        "",
        "ERROR: The given brokers do not exist from --broker-list: 7. "
        "Current existent brokers: 0,1,2\n",
    )


def test_the_status_says_that_all_is_well_and_what_is_not(cluster: Cluster) -> None:
    _make_topic(cluster, "watched", [0, 1], [1, 0])
    status = ("cluster", "status", "--bootstrap-server", cluster.bootstrap)
    wait_until(lambda: run_command(*status).exit_code == 0, "all is well")
    well = run_command(*status)
    lines = well.out.splitlines()
    assert lines[-1] == "All is well."
    assert "Brokers:        3 of 3 alive" in lines
    row = rf"0 +{re.escape(cluster[0].address)} +alive +\d+ +\d+ +\d+ +.* used, .* free"
    assert any(re.fullmatch(row, line) for line in lines)
    cluster[1].kill()
    try:
        wait_until(lambda: len(cluster.partitions("watched")[0]["isr"]) == 1, "1 is missed", 60)
        wait_until(lambda: "DEAD" in run_command(*status).out, "1 is known to be dead")
        ill = run_command(*status)
        assert ill.exit_code == 1
        assert "2 of 3 alive" in ill.out
        assert re.search(rf"\n1 +{re.escape(cluster[1].address)} +DEAD ", ill.out)
        assert "Start broker 1 again: on 127.0.0.1, kafka-" in ill.out.splitlines()[-1]
        describe = ("topics", "--bootstrap-server", cluster.bootstrap, "--describe")
        missing = run_command(
            *describe, "--topic", "watched", "--under-replicated-partitions"
        ).out.splitlines()
        assert [line.split("\t")[2] for line in missing] == ["Partition: 0", "Partition: 1"]
        unavailable = run_command(*describe, "--topic", "watched", "--unavailable-partitions")
        assert unavailable == (0, "", "")
    finally:
        cluster[1].start()
    cluster.wait_until_in_sync("watched")


def test_one_broker_of_the_list_is_enough(cluster: Cluster) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    bootstrap = f"{nobody},{cluster[1].address},{nobody}"
    assert run_command("topics", "--list", "--bootstrap-server", bootstrap).exit_code == 0
    assert "Brokers:" in run_command("cluster", "status", "--bootstrap-server", bootstrap).out
