import resource

import pytest

from kafkalite.config.views import LogOptions
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.open_files import OpenFiles, default_limit
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOGS, TOPIC_ID, append, flush, values


class _Owner:
    def __init__(self) -> None:
        self.recently_used = False
        self.is_open = True

    def release(self) -> None:
        self.is_open = False


def test_the_least_recently_used_file_is_let_go_of() -> None:
    files = OpenFiles(FaultyDisk(), limit=3)
    owners = [_Owner() for _ in range(5)]
    for owner in owners[:3]:
        files.admit(owner)
    owners[0].recently_used = True
    files.admit(owners[3])
    assert [owner.is_open for owner in owners[:3]] == [True, False, True]
    files.forget(owners[3])
    files.admit(owners[4])
    assert [owner.is_open for owner in owners] == [True, False, True, True, True]
    assert len(files) == 3


@pytest.mark.parametrize(
    ("soft", "expected"),
    [(20, 16), (256, 64), (1024, 256), (10**6, 8192), (resource.RLIM_INFINITY, 8192)],
)
def test_the_bound_follows_the_limit_of_the_process(
    monkeypatch: pytest.MonkeyPatch, soft: int, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert default_limit() == expected


def test_any_number_of_logs_works_with_few_open_files() -> None:
    disk = FaultyDisk()
    directories = LogDirectories([LOGS], disk, max_open_files=4)
    directories.open()
    directories.assign(0, "cluster")
    options = LogOptions(index_interval_bytes=1)
    logs = [
        directories.create_log(TopicPartition("t", number), TOPIC_ID, options, is_new=True)
        for number in range(20)
    ]
    jobs = []
    for round_ in range(3):
        for log in logs:
            append(log, b"%d" % round_)
            assert disk.open_descriptors() <= 4 + 1, "the lock file, and the bound"
        jobs = [log.flush_job() for log in logs]
        assert disk.open_descriptors() <= 4 + 1, "jobs that wait hold nothing open"
        for log, job in zip(logs, jobs, strict=True):
            assert job is not None
            job.run()
            log.flushed(job, None)
    for log in logs:
        assert values(log) == [b"0", b"1", b"2"]
        flush(log)
    directories.close()
    assert disk.open_descriptors() == 0
