"""Where partitions begin: at the group's offset, at an end, or where a seek says."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from kafkalite.client.consumer.commits import OffsetAndMetadata
from kafkalite.client.consumer.failures import NoOffsetError
from kafkalite.client.consumer.log_requests import LogRequests
from kafkalite.client.consumer.positions import EARLIEST, GROUP, LATEST, Positions, Start
from kafkalite.client.consumer.starts import Located, OutOfRange, Reset, ResetPolicy, Starts
from kafkalite.model.errors import NetworkError
from kafkalite.model.ids import TopicPartition
from tests.support.fetched import PLACE
from tests.support.memory_brokers import MemoryBrokers

_START, _END = 10, 20


class _Beginning:
    """One partition that holds the offsets 10 to 20, and a group that has got somewhere."""

    def __init__(
        self,
        reset: Reset = "latest",
        *,
        out_of_range: OutOfRange = "reset",
        committed: int | None = None,
        start: Start = GROUP,
        is_new: bool = False,
    ) -> None:
        self.positions = Positions()
        self.positions.add(PLACE, start, is_new=is_new)
        self.partition = self.positions.of(PLACE)
        self.notices: list[str] = []
        self._committed = committed
        self._policy = ResetPolicy(reset, out_of_range)
        self.failure: NetworkError | None = None
        self.has_leader = True

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        if self._committed is None:
            return {}
        return {each: OffsetAndMetadata(self._committed) for each in partitions}

    def locate(self) -> Located:
        async def located() -> Located:
            brokers = MemoryBrokers()
            log = brokers.logs[PLACE]
            log.start = _START
            log.append(_END - _START)
            if self.has_leader:
                await brokers.refresh(["t"])
            if self.failure is not None:
                brokers.failures = [self.failure]
            requests = LogRequests(brokers, brokers)
            starts = Starts(
                self._policy,
                self.positions,
                requests,
                self,
                timeout_s=1,
                on_notice=self.notices.append,
            )
            return await starts.locate()

        return asyncio.run(located())


@pytest.mark.parametrize(("reset", "offset"), [("earliest", _START), ("latest", _END)])
def test_without_an_offset_it_begins_as_it_is_set(reset: Reset, offset: int) -> None:
    beginning = _Beginning(reset)
    located = beginning.locate()
    assert beginning.partition.position == offset
    assert located.is_complete
    assert located.begun == [beginning.partition]
    assert beginning.partition.high_watermark == _END


def test_a_group_goes_on_where_it_was() -> None:
    beginning = _Beginning("earliest", committed=15)
    assert beginning.locate() == Located(is_complete=True, begun=[])
    assert beginning.partition.position == 15


def test_a_partition_that_is_new_is_read_from_its_first_record() -> None:
    beginning = _Beginning("latest", is_new=True)
    beginning.locate()
    assert beginning.partition.position == _START


@pytest.mark.parametrize(("start", "offset"), [(EARLIEST, _START), (LATEST, _END)])
def test_a_seek_to_an_end_asks_neither_group_nor_policy(start: Start, offset: int) -> None:
    beginning = _Beginning("none", committed=15, start=start)
    beginning.locate()
    assert beginning.partition.position == offset


def test_without_a_policy_it_is_an_error_of_the_partition() -> None:
    beginning = _Beginning("none")
    beginning.locate()
    assert isinstance(beginning.partition.error, NoOffsetError)
    assert beginning.locate().is_complete, "it is not asked for again"


@pytest.mark.parametrize(
    ("reset", "out_of_range", "lost", "offset"),
    [
        ("earliest", "reset", 99, _START),
        ("latest", "reset", 3, _END),
        ("latest", "nearest", 3, _START),
        ("earliest", "nearest", 99, _END),
    ],
)
def test_an_offset_out_of_range_is_told_and_replaced(
    reset: Reset, out_of_range: OutOfRange, lost: int, offset: int
) -> None:
    beginning = _Beginning(reset, out_of_range=out_of_range, committed=15, start=lost)
    beginning.partition.lose()
    beginning.locate()
    assert beginning.partition.position == offset
    assert beginning.notices == [f"Offset {lost} of t-0 is out of range; going on at {offset}."]


def test_an_offset_that_is_in_range_after_all_is_kept() -> None:
    beginning = _Beginning("latest", start=12)
    beginning.partition.lose()
    beginning.locate()
    assert beginning.partition.position == 12
    assert not beginning.notices


def test_a_lost_offset_is_an_error_where_nothing_shall_be_reset() -> None:
    beginning = _Beginning("none", committed=15, start=99)
    beginning.partition.lose()
    beginning.locate()
    assert isinstance(beginning.partition.error, NoOffsetError)


def test_what_may_go_well_later_is_tried_again() -> None:
    beginning = _Beginning("earliest")
    beginning.failure = NetworkError("gone")
    assert not beginning.locate().is_complete
    beginning.failure = None
    beginning.has_leader = False
    assert not beginning.locate().is_complete
    beginning.has_leader = True
    assert beginning.locate().is_complete
    assert beginning.partition.position == _START
