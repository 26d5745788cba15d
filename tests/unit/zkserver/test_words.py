"""The four-letter words: which are answered, and in ZooKeeper's form."""

import dataclasses
from pathlib import Path

import pytest

from kafkalite.zkserver import words
from kafkalite.zkserver.config import ZooKeeperConfig
from kafkalite.zkserver.machine import Limits, Machine
from kafkalite.zkserver.traffic import Traffic
from kafkalite.zkserver.words import ConnectionView, View


@pytest.fixture
def view() -> View:
    config = ZooKeeperConfig(Path("/data"), four_letter_words=frozenset("*"))
    connections = [
        ConnectionView("127.0.0.1:4000", 0x1AB, 0, 3, 2),
        ConnectionView("127.0.0.1:4001", 0, 1, 1, 0),
    ]
    machine = Machine(Limits(2000, 4000, 40_000), lambda: b"p" * 16)
    return View(config, 2181, 1234, machine, Traffic(), connections)


def _allowing(view: View, *allowed: str) -> View:
    config = dataclasses.replace(view.config, four_letter_words=frozenset(allowed))
    return view._replace(config=config)


def test_nothing_is_answered_when_the_bytes_are_no_word(view: View) -> None:
    assert words.answer("\0\0\0\x2d", view) is None
    assert words.answer("RUOK", view) is None


def test_word_is_answered_only_when_it_is_allowed(view: View) -> None:
    assert words.answer("ruok", _allowing(view, "ruok")) == "imok"
    refusal = "stat is not executed because it is not in the whitelist.\n"
    assert words.answer("stat", _allowing(view, "ruok")) == refusal


@pytest.mark.parametrize("word", ["ruok", "isro", "srvr", "stat", "cons", "mntr", "conf", "envi"])
def test_star_allows_every_word(view: View, word: str) -> None:
    text = words.answer(word, view)
    assert text
    assert "whitelist" not in text


def test_srvr_shows_the_state_of_the_server(view: View) -> None:
    view.machine.zxid = 0x1F
    view.traffic.received, view.traffic.sent, view.traffic.outstanding = 6, 4, 1
    for latency_ms in (0, 5, 2):
        view.traffic.answered(latency_ms)
        view.traffic.outstanding += 1
    assert words.answer("srvr", view) == (
        f"Zookeeper version: {words.VERSION}\n"
        "Latency min/avg/max: 0/2.3333/5\n"
        "Received: 6\nSent: 4\nConnections: 2\nOutstanding: 1\n"
        "Zxid: 0x1f\nMode: standalone\nNode count: 4\n"
    )


def test_stat_and_cons_list_the_connections(view: View) -> None:
    lines = (
        " /127.0.0.1:4000[1](queued=0,recved=3,sent=2,sid=0x1ab)\n"
        " /127.0.0.1:4001[0](queued=1,recved=1,sent=0)\n"
    )
    assert words.answer("cons", view) == lines + "\n"
    assert f"Clients:\n{lines}\nLatency" in (words.answer("stat", view) or "")


def test_mntr_is_a_table_of_names_and_values(view: View) -> None:
    text = words.answer("mntr", view) or ""
    figures = dict(line.split("\t") for line in text.splitlines())
    assert figures["zk_server_state"] == "standalone"
    assert (figures["zk_znode_count"], figures["zk_watch_count"]) == ("4", "0")
    assert (figures["zk_num_alive_connections"], figures["zk_uptime"]) == ("2", "1234")
    assert figures["zk_avg_latency"] == "0.0"


def test_conf_shows_the_settings_as_they_are_granted(view: View) -> None:
    assert words.answer("conf", view) == (
        "clientPort=2181\nsecureClientPort=-1\ndataDir=/data\ntickTime=2000\nmaxClientCnxns=60\n"
        "minSessionTimeout=4000\nmaxSessionTimeout=40000\nserverId=0\n"
    )
