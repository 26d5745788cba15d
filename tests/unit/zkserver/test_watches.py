"""One-shot watches: who is told of what, once."""

import pytest

from kafkalite.zkserver.watches import EventType, WatchKind, WatchTable


@pytest.fixture
def table() -> WatchTable[str]:
    return WatchTable()


@pytest.mark.parametrize(
    ("kind", "events"),
    [
        (WatchKind.DATA, {EventType.CREATED, EventType.DELETED, EventType.DATA_CHANGED}),
        (WatchKind.CHILDREN, {EventType.DELETED, EventType.CHILDREN_CHANGED}),
    ],
)
@pytest.mark.parametrize("event", list(EventType))
def test_event_fires_the_kinds_of_watch_that_it_concerns(
    table: WatchTable[str], kind: WatchKind, events: set[EventType], event: EventType
) -> None:
    table.add(kind, "/a", "someone")
    assert table.fire(event, "/a") == (["someone"] if event in events else [])
    assert len(table) == (0 if event in events else 1)


def test_watch_is_gone_when_it_has_fired(table: WatchTable[str]) -> None:
    table.add(WatchKind.DATA, "/a", "someone")
    table.fire(EventType.DATA_CHANGED, "/a")
    assert table.fire(EventType.DATA_CHANGED, "/a") == []


def test_watch_set_twice_fires_once(table: WatchTable[str]) -> None:
    table.add(WatchKind.DATA, "/a", "someone")
    table.add(WatchKind.DATA, "/a", "someone")
    assert table.fire(EventType.DATA_CHANGED, "/a") == ["someone"]


def test_deletion_is_told_once_to_who_watches_both_kinds(table: WatchTable[str]) -> None:
    table.add(WatchKind.DATA, "/a", "both")
    table.add(WatchKind.CHILDREN, "/a", "both")
    table.add(WatchKind.CHILDREN, "/a", "children only")
    assert table.fire(EventType.DELETED, "/a") == ["both", "children only"]
    assert len(table) == 0


def test_watchers_are_told_in_the_order_in_which_they_came(table: WatchTable[str]) -> None:
    for watcher in ("c", "a", "b"):
        table.add(WatchKind.DATA, "/a", watcher)
    assert table.fire(EventType.DATA_CHANGED, "/a") == ["c", "a", "b"]


def test_other_paths_are_not_concerned(table: WatchTable[str]) -> None:
    table.add(WatchKind.DATA, "/a", "someone")
    assert table.fire(EventType.DATA_CHANGED, "/a/b") == []


def test_watches_of_one_that_left_are_forgotten_and_those_of_others_stay(
    table: WatchTable[str],
) -> None:
    table.add(WatchKind.DATA, "/a", "leaver")
    table.add(WatchKind.CHILDREN, "/b", "leaver")
    table.add(WatchKind.DATA, "/a", "stayer")
    table.remove_watcher("leaver")
    assert len(table) == 1
    assert table.fire(EventType.DATA_CHANGED, "/a") == ["stayer"]


def test_leaving_does_nothing_when_all_watches_have_fired(table: WatchTable[str]) -> None:
    table.add(WatchKind.DATA, "/a", "someone")
    table.fire(EventType.DATA_CHANGED, "/a")
    table.remove_watcher("someone")
    assert len(table) == 0
