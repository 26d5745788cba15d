import threading
from concurrent.futures import ThreadPoolExecutor, wait

from kafkalite.storage.leader_epochs import LeaderEpochs
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOG_PATH


def _epochs(*entries: tuple[int, int]) -> tuple[FaultyDisk, LeaderEpochs]:
    disk = FaultyDisk()
    disk.make_directory(LOG_PATH)
    epochs = LeaderEpochs(disk, LOG_PATH)
    for epoch, start_offset in entries:
        epochs.assign(epoch, start_offset)
    return disk, epochs


def test_an_epoch_ends_where_the_next_larger_one_begins() -> None:
    _, epochs = _epochs((1, 0), (3, 10), (7, 25))
    assert epochs.end_offset_for(1, 40) == (1, 10)
    assert epochs.end_offset_for(2, 40) == (1, 10)
    assert epochs.end_offset_for(5, 40) == (3, 25)
    assert epochs.end_offset_for(9, 40) == (7, 40)
    assert epochs.end_offset_for(0, 40) == (-1, -1)


def test_an_epoch_without_records_makes_room_for_the_next() -> None:
    _, epochs = _epochs((1, 0), (2, 10), (3, 10))
    assert epochs.entries == [(1, 0), (3, 10)]


def test_an_epoch_that_is_not_above_the_latest_changes_nothing() -> None:
    _, epochs = _epochs((4, 0))
    epochs.assign(4, 5)
    epochs.assign(2, 6)
    assert epochs.entries == [(4, 0)]


def test_truncation_and_deletion_take_epochs_along() -> None:
    _, epochs = _epochs((1, 0), (3, 10), (7, 25))
    epochs.truncate_to(25)
    assert epochs.latest == 3
    epochs.drop_before(9)
    assert epochs.entries == [(1, 0), (3, 10)]
    epochs.drop_before(10)
    assert epochs.entries == [(3, 10)]


def test_only_epochs_with_records_are_written() -> None:
    disk, epochs = _epochs((1, 0), (3, 10))
    epochs.save(10)
    assert disk.content(LOG_PATH / "leader-epoch-checkpoint") == b"0\n1\n1 0\n"
    operations = disk.operations
    epochs.save(10)
    assert disk.operations == operations, "nothing new, nothing written"
    epochs.save(11)
    again = LeaderEpochs(disk.after_kill(), LOG_PATH)
    again.load()
    assert again.entries == [(1, 0), (3, 10)]


class _SlowDisk(FaultyDisk):
    """Its first flush waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.began = threading.Event()

    def sync(self, descriptor: int, /) -> None:
        if not self.began.is_set():
            self.began.set()
            assert self.may_go_on.wait(30)
        super().sync(descriptor)


def test_a_log_that_begins_anew_while_its_epochs_are_written_has_none() -> None:
    disk = _SlowDisk()
    disk.make_directory(LOG_PATH)
    epochs = LeaderEpochs(disk, LOG_PATH)
    epochs.assign(1, 0)
    with ThreadPoolExecutor(2) as threads:
        checkpoint = threads.submit(epochs.save, 10)
        assert disk.began.wait(30)
        epochs.truncate_to(0)
        anew = threads.submit(epochs.save, 0)
        wait([anew], timeout=0.05)  # it is not to come first, though it has the time
        disk.may_go_on.set()
        checkpoint.result(30)
        anew.result(30)
    assert disk.content(LOG_PATH / "leader-epoch-checkpoint") == b"0\n0\n"
