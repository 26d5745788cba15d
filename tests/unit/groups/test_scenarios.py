"""The group in the cases that are easily got wrong, as texts: tests/scenarios/groups/.

    topic a 4 | topic a gone     a topic has so many partitions | is deleted
    join m1 a,b [key=value]      a client joins; keys: pattern, instance, rack, assignor
    beat m1 ...                  clients are heard of, in this order
    unheard m1                   its heartbeat arrives, the answer does not
    subscribe m1 a,b             it wants other topics, and will say so
    let_go m1 ...                they have stopped consuming what they were told to
    leave m1 | away m1 | die m1  it leaves | it leaves and will be back | nobody hears of it again
    copy m1                      its next request, as it would be now, is kept under way ...
    deliver                      ... and arrives
    coordinator 2                broker 2 coordinates from now on, from what is stored
    notice 1                     broker 1 hears that somebody else stored something
    at 1 command ...             the command is carried out at broker 1
    store                        what there is to store is stored
    begin | end | fail           its write begins | ends well | ends without effect
    lose                         the write ends well; those who wait for their answers get none
    wait 3000                    milliseconds pass
    commit m1                    it commits an offset of everything that it consumes

Below the line: every state that is stored, and every client to which something has happened.
A member that holds more than it is to is shown as `holds a-0 a-1 (not a-1)`.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from kafkalite.groups.state import Member, Partitions
from tests.support.coordinated_group import Client, CoordinatedGroup
from tests.support.scenario_file import check_scenario

_SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios" / "groups").glob("*.txt"))


@pytest.mark.parametrize("path", _SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    check_scenario(path, Player().run)


class Player:
    """Carries out the commands of one scenario."""

    def __init__(self) -> None:
        self.group = CoordinatedGroup()
        self.group.load(1)
        self.number = 1
        self.said: list[str] = []

    def run(self, line: str) -> list[str]:
        """Carry out one command; gives what was stored, and which clients it happened to."""
        command, *words = line.split()
        if command == "at":
            now, self.number = self.number, int(words[0])
            said = self.run(" ".join(words[1:]))
            self.number = now
            return said
        self.said = []
        version = self.group.truth.version
        before = self._clients()
        _COMMANDS[command](self, *words)
        if self.group.truth.version != version:
            self.said.append(self._stored())
        after = self._clients()
        self.said += [text for name, text in after.items() if text != before.get(name)]
        self.group.check_owners()
        return self.said

    def client(self, name: str) -> Client:
        return self.group.clients[name]

    def _clients(self) -> dict[str, str]:
        return {client.id: _client(client) for client in self.group.clients.values()}

    def _stored(self) -> str:
        state = self.group.truth
        members = "; ".join(map(_member, state.members.values()))
        return f"stored {state.epoch}: {members or 'nobody'}"


def _topic(player: Player, name: str, count: str) -> None:
    player.group.change_topic(name, None if count == "gone" else int(count))


def _join(player: Player, name: str, topics: str, *words: str) -> None:
    keys = dict(word.split("=", 1) for word in words)
    client = Client(
        name,
        _names(topics),
        keys.get("pattern"),
        keys.get("instance"),
        keys.get("rack"),
        keys.get("assignor"),
    )
    player.group.clients[name] = client
    player.group.beat(client, player.number)


def _beat(player: Player, *names: str) -> None:
    for name in names:
        player.group.beat(player.client(name), player.number)


def _subscribe(player: Player, name: str, topics: str) -> None:
    player.client(name).topics = _names(topics)


def _let_go(player: Player, *names: str) -> None:
    for name in names:
        player.client(name).let_go()


def _die(player: Player, name: str) -> None:
    player.client(name).is_gone = True


def _coordinator(player: Player, number: str) -> None:
    player.number = int(number)
    player.group.load(player.number)


def _lose(player: Player) -> None:
    player.group.begin_store(player.number)
    player.group.end_store(player.number, loses_answers=True)


def _commit(player: Player, name: str) -> None:
    client = player.client(name)
    machine = player.group.coordinators[player.number].machine
    done = player.group.commit(client, player.number)
    if not done and machine.stored_state.version != player.group.truth.version:
        player.said.append("commit fails: somebody else has stored a state")
        return
    errors = machine.check_commit(client.id, client.epoch, client.owned)
    for partition, error in sorted(errors.items()):
        player.said.append(f"commit {partition}: {'done' if error is None else error.name}")


_COMMANDS: dict[str, Callable[..., object]] = {
    "topic": _topic,
    "join": _join,
    "beat": _beat,
    "unheard": lambda p, name: p.group.beat(p.client(name), p.number, is_lost=True),
    "subscribe": _subscribe,
    "let_go": _let_go,
    "leave": lambda p, name: p.group.leave(p.client(name), p.number),
    "away": lambda p, name: p.group.leave(p.client(name), p.number, for_a_while=True),
    "die": _die,
    "copy": lambda p, name: p.group.late.append(p.client(name).request()),
    "deliver": lambda p: p.group.deliver_late(p.group.late.pop(0), p.number),
    "coordinator": _coordinator,
    "notice": lambda p, number: p.group.notice(int(number)),
    "store": lambda p: p.group.store(p.number),
    "begin": lambda p: p.group.begin_store(p.number),
    "end": lambda p: p.group.end_store(p.number),
    "fail": lambda p: p.group.end_store(p.number, fails=True),
    "lose": _lose,
    "wait": lambda p, milliseconds: p.group.pass_time(int(milliseconds)),
    "commit": _commit,
}


def _names(word: str) -> tuple[str, ...]:
    return () if word == "-" else tuple(word.split(","))


def _list(partitions: Partitions) -> str:
    return " ".join(map(str, sorted(partitions))) or "nothing"


def _client(client: Client) -> str:
    if client.refused is not None and client.epoch == 0:
        return f"  {client.id} is refused: {client.refused.name}"
    to_let_go = client.owned - client.assignment
    more = f", has to let go of {_list(to_let_go)}" if to_let_go else ""
    return f"  {client.id} at {client.epoch} consumes {_list(client.owned)}{more}"


def _member(member: Member) -> str:
    place = f" ({member.instance_id}{', away' if member.is_away else ''})"
    waits = member.target - member.held
    return (
        f"{member.id}{place if member.instance_id else ''}"
        f"{'' if member.is_away else f' at {member.epoch}'} holds {_list(member.held)}"
        f"{f' (not {_list(member.to_release)})' if member.to_release else ''}"
        f"{f' waits for {_list(waits)}' if waits else ''}"
    )
