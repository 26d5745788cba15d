from kafkalite.model.offsets import OffsetRange
from kafkalite.storage.damage import DamagedRanges
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOG_PATH


def _damage(disk: FaultyDisk) -> DamagedRanges:
    return DamagedRanges(disk, LOG_PATH)


def test_ranges_that_touch_become_one() -> None:
    damage = _damage(FaultyDisk())
    damage.add([OffsetRange(5, 7), OffsetRange(1, 3)])
    damage.add([OffsetRange(7, 8), OffsetRange(9, 9), OffsetRange(2, 3)])
    assert damage.ranges == ((1, 3), (5, 8))
    assert damage.covers(5, 8)
    assert not damage.covers(5, 9)
    damage.clip(2, 6)
    assert damage.ranges == ((2, 3), (5, 6))


def test_damage_is_remembered_and_written_only_when_it_changed() -> None:
    disk = FaultyDisk()
    disk.make_directory(LOG_PATH)
    damage = _damage(disk)
    damage.save()
    assert disk.list_directory(LOG_PATH) == [], "no damage, no file"
    damage.add([OffsetRange(1, 3)])
    damage.save()
    operations = disk.operations
    damage.save()
    assert disk.operations == operations
    again = _damage(disk.after_kill())
    again.load()
    assert again.ranges == ((1, 3),)


def test_a_malformed_file_is_forgotten() -> None:
    disk = FaultyDisk()
    disk.make_directory(LOG_PATH)
    damage = _damage(disk)
    damage.add([OffsetRange(1, 3)])
    damage.save()
    disk.replace(LOG_PATH / "damaged-ranges", b"rubbish")
    again = _damage(disk)
    again.load()
    assert again.ranges == ()
