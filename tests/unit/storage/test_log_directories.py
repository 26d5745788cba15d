"""The log directories of a broker: whose they are, where logs go, what fails by itself."""

import errno
import os
from pathlib import Path

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import TopicId, TopicPartition
from kafkalite.storage import log_directories
from kafkalite.storage.directory_lock import holder_of
from kafkalite.storage.errors import StorageError
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOGS, TOPIC_ID, append, fill, flush, open_log, values

_TWO = [Path("/one"), Path("/two")]


def _opened(disk: FaultyDisk, paths: list[Path] = _TWO) -> LogDirectories:
    directories = LogDirectories(paths, disk)
    directories.open()
    directories.assign(3, "cluster-a")
    return directories


def _create(directories: LogDirectories, count: int) -> list[Log]:
    return [
        directories.create_log(TopicPartition("t", number), TOPIC_ID, LogOptions(), is_new=True)
        for number in range(count)
    ]


def test_new_logs_go_where_the_fewest_are() -> None:
    directories = _opened(FaultyDisk())
    logs = _create(directories, 5)
    assert [log.directory.parent.name for log in logs] == ["one", "two", "one", "two", "one"]
    directories.remove_log(logs[0])
    directories.remove_log(logs[2])
    assert directories.create_log(
        TopicPartition("u", 0), TOPIC_ID, LogOptions(), is_new=True
    ).directory == Path("/one/u-0")
    assert directories.directory_of(logs[1]).path == Path("/two")


def test_a_directory_says_whose_it_is() -> None:
    disk = FaultyDisk()
    _opened(disk).close()
    lines = disk.content(Path("/two/meta.properties")).decode().splitlines()
    assert lines[:3] == ["version=0", "broker.id=3", "cluster.id=cluster-a"]
    directories = LogDirectories(_TWO, disk)
    directories.open()
    assert (directories.broker_id, directories.cluster_id) == (3, "cluster-a")
    with pytest.raises(StorageError, match="of broker 3 in cluster cluster-a"):
        directories.assign(4, "cluster-a")
    with pytest.raises(StorageError, match=r"zookeeper\.connect"):
        directories.assign(3, "cluster-b")


def test_a_restart_of_the_machine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FaultyDisk()
    monkeypatch.setattr(log_directories, "current_boot_id", lambda: "first")
    directories = LogDirectories(_TWO, disk)
    directories.open()
    assert not directories.machine_restarted
    directories.assign(3, "c")
    directories.close()
    directories = LogDirectories(_TWO, disk)
    directories.open()
    assert not directories.machine_restarted
    monkeypatch.setattr(log_directories, "current_boot_id", lambda: "second")
    assert directories.machine_restarted
    directories.assign(3, "c")
    assert not directories.machine_restarted


def test_a_directory_whose_parents_are_new_too_outlives_the_power() -> None:
    disk = FaultyDisk()
    _opened(disk, [Path("/new/newer/newest")])
    after = LogDirectories([Path("/new/newer/newest")], disk.after_crash(1, "nothing"))
    after.open()
    assert after.broker_id == 3


def test_directories_of_two_brokers_are_refused() -> None:
    disk = FaultyDisk()
    _opened(disk, [Path("/one")]).close()
    other = LogDirectories([Path("/two")], disk)
    other.open()
    other.assign(4, "cluster-a")
    other.close()
    with pytest.raises(StorageError, match="different brokers"):
        LogDirectories(_TWO, disk).open()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"version=1\nbroker.id=3\ncluster.id=c\n", b"version=0\nbroker.id=x\n"],
)
def test_an_unreadable_identity_is_refused(content: bytes) -> None:
    disk = FaultyDisk()
    _opened(disk).close()
    disk.replace(Path("/one/meta.properties"), content)
    with pytest.raises(StorageError, match=r"meta\.properties"):
        LogDirectories(_TWO, disk).open()


def test_the_same_partition_in_two_directories_is_refused() -> None:
    disk = FaultyDisk()
    _create(_opened(disk, [Path("/one")]), 1)
    _create(_opened(disk, [Path("/two")]), 1)
    with pytest.raises(StorageError, match="both in /one and in /two"):
        LogDirectories(_TWO, disk.after_kill()).open()


def test_a_second_broker_is_refused_and_told_who_has_the_directory(tmp_path: Path) -> None:
    first = LogDirectories([tmp_path])
    first.open()
    with pytest.raises(StorageError, match=rf"in use by another broker \(pid {os.getpid()}\)"):
        LogDirectories([tmp_path]).open()
    assert holder_of(tmp_path) == os.getpid()
    first.close()
    assert holder_of(tmp_path) is None
    assert holder_of(tmp_path / "none") is None
    again = LogDirectories([tmp_path])
    again.open()
    again.close()


def test_a_directory_that_cannot_be_opened_leaves_the_others() -> None:
    disk = FaultyDisk()
    _create(_opened(disk), 2)
    disk = disk.after_kill()
    disk.fail_next("sync_directory", errno.EIO)
    directories = LogDirectories(_TWO, disk)
    directories.open()
    assert [each.path.name for each in directories] == ["two"]
    assert directories.first_healthy == Path("/two")
    assert [str(topic_partition) for _, topic_partition, _ in directories.unopened()] == ["t-1"]


def test_no_directory_at_all_is_refused() -> None:
    disk = FaultyDisk()
    disk.fail_next("make_directory", errno.EACCES)
    with pytest.raises(StorageError, match=r"None of log\.dirs can be used: /one: .*Permission"):
        LogDirectories([Path("/one")], disk).open()


def test_a_failing_disk_takes_only_its_own_logs() -> None:
    disk = FaultyDisk()
    directories = _opened(disk)
    first, second, third = _create(directories, 3)
    append(first, b"a")
    disk.fail_next("writev", errno.EIO)
    with pytest.raises(KafkaStorageError):
        append(first, b"b")
    with pytest.raises(KafkaStorageError, match="/one failed"):
        append(third, b"b")
    append(second, b"b")
    assert values(first) == [b"a"]
    new = directories.create_log(TopicPartition("u", 0), TOPIC_ID, LogOptions(), is_new=True)
    assert new.directory.parent == Path("/two")
    with pytest.raises(KafkaStorageError, match="/one failed"):
        directories.directory_of(first).create_log(TopicPartition("u", 1), TOPIC_ID, LogOptions())


def test_a_clean_stop_leaves_a_mark_and_the_next_start_takes_it() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 3)
    flush(log)
    directories.close()
    directories.close()
    mark = LOGS / ".kafka_cleanshutdown"
    assert disk.content(mark) == b""
    assert disk.content(LOGS / "recovery-point-offset-checkpoint") == b"0\n1\nt 0 3\n"
    directories, log = open_log(disk)
    with pytest.raises(FileNotFoundError):
        disk.after_crash(0).content(mark)
    append(log, b"not flushed")
    directories.close()
    with pytest.raises(FileNotFoundError):
        disk.content(mark)


def test_a_start_that_opened_no_log_leaves_the_mark() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    flush(log)
    directories.close()
    directories = LogDirectories([LOGS], disk)
    directories.open()
    directories.close()
    assert disk.content(LOGS / ".kafka_cleanshutdown") == b""


def test_checkpoints_keep_what_belongs_to_logs_that_are_not_open() -> None:
    disk = FaultyDisk()
    directories = _opened(disk, [Path("/one")])
    for log in _create(directories, 2):
        fill(log, 4)
        flush(log)
        log.advance_start_offset(1)
    for directory in directories:
        directory.write_checkpoints({TopicPartition("t", 0): 3, TopicPartition("t", 1): 4})
    directories.close()
    directories = _opened(disk, [Path("/one")])
    directory, topic_partition, _ = directories.unopened()[0]
    log = directory.open_log(topic_partition, LogOptions())
    assert directories.high_watermark(log) == 3
    directory.write_checkpoints({topic_partition: 4})
    assert disk.content(Path("/one/replication-offset-checkpoint")) == b"0\n2\nt 0 4\nt 1 4\n"
    assert disk.content(Path("/one/recovery-point-offset-checkpoint")).count(b"\n") == 4
    assert disk.content(Path("/one/log-start-offset-checkpoint")).count(b"\n") == 4


def test_a_log_that_is_removed_while_checkpoints_are_written_is_no_failure_of_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directories = _opened(FaultyDisk(), _TWO[:1])
    kept, removed = _create(directories, 2)
    for log in (kept, removed):
        append(log, b"x", epoch=3)
        flush(log)
    persist = Log.persist

    def meanwhile(log: Log) -> None:
        if log is kept:
            directories.remove_log(removed)
        persist(log)

    monkeypatch.setattr(Log, "persist", meanwhile)
    (directory,) = directories
    directory.write_checkpoints({})
    assert kept.failure is None
    assert list(directory.logs.values()) == [kept]


def test_an_open_log_whose_epochs_cannot_be_written_is_a_failure_of_the_disk() -> None:
    disk = FaultyDisk()
    directories = _opened(disk, _TWO[:1])
    (log,) = _create(directories, 1)
    append(log, b"x", epoch=3)
    flush(log)
    disk.fail_next("open", errno.ENOENT)
    (directory,) = directories
    with pytest.raises(FileNotFoundError):
        directory.write_checkpoints({})


def test_a_leftover_of_another_topic_is_told_apart_and_discarded() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 3)
    flush(log)
    directories.close()
    directories = LogDirectories([LOGS], disk)
    directories.open()
    directories.assign(0, "cluster")
    ((_, topic_partition, topic_id),) = directories.unopened()
    assert topic_id == TOPIC_ID
    other = TopicId("BBBBBBBBBBBBBBBBBBBBBB")
    log = directories.create_log(topic_partition, other, LogOptions(), is_new=True)
    assert (log.topic_id, log.end_offset) == (other, 0)
    assert directories.unopened() == []
    names = [entry.name for entry in disk.list_directory(LOGS)]
    assert not [name for name in names if name.endswith("-delete")]


def test_a_removal_cut_short_is_finished_at_the_next_start() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 3)
    disk.fail_next("unlink", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        directories.remove_log(log)
    disk = disk.after_kill()
    assert [entry for entry in disk.list_directory(LOGS) if entry.name.endswith("-delete")]
    directories = LogDirectories([LOGS], disk)
    directories.open()
    assert directories.unopened() == []
    assert not [entry for entry in disk.list_directory(LOGS) if entry.is_directory]


def test_other_things_in_a_log_directory_are_let_be() -> None:
    disk = FaultyDisk()
    directories, _ = open_log(disk)
    directories.close()
    for name in ("lost+found", "no-number-x", "-5"):
        disk.make_directory(LOGS / name)
    directories = LogDirectories([LOGS], disk)
    directories.open()
    assert [str(topic_partition) for _, topic_partition, _ in directories.unopened()] == ["t-0"]
    assert "lost+found" in [entry.name for entry in disk.list_directory(LOGS)]


def test_a_log_that_could_not_be_opened_is_opened_later_and_not_made_anew() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    kept = fill(log, 3)
    flush(log)
    disk = disk.after_kill()
    directories = LogDirectories([LOGS], disk)
    directories.open()
    directories.assign(0, "cluster")
    ((directory, topic_partition, _),) = directories.unopened()
    disk.fail_next("sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        directory.open_log(topic_partition, LogOptions())
    log = directories.create_log(topic_partition, TOPIC_ID, LogOptions(), is_new=True)
    assert values(log)[:3] == kept[:3]


def test_a_log_that_does_not_say_which_topic_it_is_of_is_set_aside() -> None:
    disk = FaultyDisk()
    _, log = open_log(disk)
    fill(log, 3)
    flush(log)
    disk = disk.after_kill()
    disk.replace(LOGS / "t-0" / "partition.metadata", b"version: 0\n")
    directories = LogDirectories([LOGS], disk)
    directories.open()
    directories.assign(0, "cluster")
    ((_, topic_partition, topic_id),) = directories.unopened()
    assert topic_id is None
    log = directories.create_log(topic_partition, TOPIC_ID, LogOptions(), is_new=True)
    assert log.end_offset == 0
    (stray,) = [each.name for each in disk.list_directory(LOGS) if each.name.endswith("-stray")]
    assert disk.content(LOGS / stray / f"{0:020d}.log")


@pytest.mark.parametrize("written", [False, True])
def test_a_log_can_be_removed_while_the_disk_is_full(written: bool) -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 30)
    flush(log)
    (directory,) = directories
    directory.write_checkpoints({log.topic_partition: 30})
    disk.room = 0
    if not written:
        disk.unlink(LOGS / ".reserve")
        disk.room = 0
    directories.remove_log(log)
    assert not [entry for entry in disk.list_directory(LOGS) if entry.is_directory]
    log = directories.create_log(log.topic_partition, TOPIC_ID, LogOptions(), is_new=True)
    assert (log.end_offset, directories.high_watermark(log)) == (0, 0)
    _, log = open_log(disk.after_crash(0))
    assert (log.start_offset, log.end_offset, log.damaged) == (0, 0, ())


def test_the_reserve_is_there_again_once_there_is_space() -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 30)
    (directory,) = directories
    size = len(disk.content(LOGS / ".reserve"))
    assert size >= 65536
    disk.room = 0
    log.advance_start_offset(5)
    disk.room = None
    directory.write_checkpoints({})
    assert len(disk.content(LOGS / ".reserve")) == size
    disk.room = 0
    log.advance_start_offset(6)
    assert log.start_offset == 6


def test_a_directory_without_space_for_its_reserve_is_used_all_the_same() -> None:
    disk = FaultyDisk()
    disk.room = 1000
    directories, log = open_log(disk)
    assert ".reserve" not in {entry.name for entry in disk.list_directory(LOGS)}
    append(log, b"a")
    disk.room = None
    (directory,) = directories
    directory.write_checkpoints({})
    assert disk.content(LOGS / ".reserve")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EMFILE])
def test_a_reserve_that_cannot_be_made_again_undoes_nothing(
    error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FaultyDisk()
    directories, log = open_log(disk)
    fill(log, 30)
    disk.room = 0
    unlink = disk.unlink

    def let_the_next_reserve_fail(path: Path, /) -> None:
        unlink(path)
        disk.fail_at(path, error)

    monkeypatch.setattr(disk, "unlink", let_the_next_reserve_fail)
    log.advance_start_offset(5)
    assert (log.start_offset, log.failure) == (5, None)
    assert len(list(directories)) == 1


def test_a_log_that_may_be_in_a_failed_directory_is_not_begun_anew() -> None:
    disk = FaultyDisk()
    log, _ = _create(_opened(disk), 2)
    fill(log, 3)
    flush(log)
    disk = disk.after_kill()
    disk.fail_next("sync_directory", errno.EIO)
    directories = LogDirectories(_TWO, disk)
    directories.open()
    directories.assign(3, "cluster-a")
    with pytest.raises(KafkaStorageError, match="t-0 may be in /one, which cannot be used"):
        directories.create_log(log.topic_partition, TOPIC_ID, LogOptions(), is_new=False)
    new = directories.create_log(TopicPartition("u", 0), TOPIC_ID, LogOptions(), is_new=True)
    assert new.directory == Path("/two/u-0")
    # What the sound directory holds is known to be there.
    kept = directories.create_log(TopicPartition("t", 1), TOPIC_ID, LogOptions(), is_new=False)
    assert kept.directory == Path("/two/t-1")


def test_of_two_logs_the_one_begun_while_the_other_was_out_of_reach_counts() -> None:
    disk = FaultyDisk()
    log, _ = _create(_opened(disk), 2)
    fill(log, 3)
    flush(log)
    disk = disk.after_kill()
    disk.fail_next("sync_directory", errno.EIO)
    directories = LogDirectories(_TWO, disk)
    directories.open()
    directories.assign(3, "cluster-a")
    new = directories.create_log(log.topic_partition, TOPIC_ID, LogOptions(), is_new=True)
    assert new.directory == Path("/two/t-0")
    fill(new, 1)
    flush(new)
    # The first directory is back.
    directories = _opened(disk.after_kill())
    places = {str(name): directory.path for directory, name, _ in directories.unopened()}
    assert places == {"t-0": Path("/two"), "t-1": Path("/two")}


def test_directories_above_new_ones_survive_a_power_failure() -> None:
    disk = FaultyDisk()
    deep = Path("/new/deep/one")
    _create(_opened(disk, [deep]), 1)
    crashed = disk.after_crash(1, "nothing")
    assert [str(name) for _, name, _ in _opened(crashed, [deep]).unopened()] == ["t-0"]


def test_a_failing_directory_is_told_of_once_after_its_logs_failed() -> None:
    disk = FaultyDisk()
    directories = _opened(disk)
    first, second, third = _create(directories, 3)
    told: list[tuple[Path, list[bool]]] = []
    directories.on_failure(
        lambda directory: told.append(
            (directory.path, [log.failure is not None for log in (first, second, third)])
        )
    )
    for _ in range(2):
        disk.fail_next("writev", errno.EIO)
        with pytest.raises(KafkaStorageError):
            append(first, b"b")
    assert told == [(Path("/one"), [True, False, True])]
