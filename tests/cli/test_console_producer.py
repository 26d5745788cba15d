"""The console producer: what it stores, what it says, and how it ends."""

import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from tests.cli.command import (
    COMMAND,
    DEADLINE_S,
    RunningCommand,
    run_command,
)
from tests.cli.conftest import MakeTopic
from tests.cli.console import Console

pytestmark = pytest.mark.slow


def test_a_line_without_key_separator_ends_the_producer_and_the_lines_before_are_there(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    sent = console.produce(topic, "k\tv\nnokey\nk\tw\n", "--property", "parse.key=true")
    assert sent == (1, "", "No key separator found on line number 2: 'nokey'\n")
    end = run_command("get-offsets", *console.bootstrap, "--topic", topic)
    assert end.out == f"{topic}:0:1\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--sync",),
        ("--request-required-acks", "0"),
        ("--request-required-acks", "1"),
        ("--batch-size", "10"),
        ("--timeout", "50"),
        ("--producer-property", "linger.ms=5", "--producer-property", "acks=all"),
        ("--compression-codec",),
    ],
)
def test_every_way_of_sending_stores_the_lines(
    console: Console, make_topic: MakeTopic, options: tuple[str, ...]
) -> None:
    topic = make_topic()
    assert console.produce(topic, "a\nb\nc\n", *options) == (0, "", "")
    assert console.consume(topic, 3).out == "a\nb\nc\n"


def test_a_topic_that_does_not_exist_is_created_by_the_brokers(console: Console) -> None:
    assert console.produce("made-by-producing", "a\n") == (0, "", "")
    assert console.consume("made-by-producing", 1).out == "a\n"


def test_a_record_that_is_too_large_is_named_and_the_others_are_stored(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic(config={"max.message.bytes": "1000"})
    lines = [f"small {number}" for number in range(50)]
    lines[20] = "x" * 5000
    sent = console.produce(topic, "\n".join(lines))
    first, last = sent.err.splitlines()
    assert sent.exit_code == 1
    assert first.startswith("Line 21: MESSAGE_TOO_LARGE: ")
    assert last == "1 of 50 records were not stored (MESSAGE_TOO_LARGE 1)."
    del lines[20]
    assert console.consume(topic, 49).out.splitlines() == lines


def test_a_line_that_does_not_fit_in_memory_is_named_and_the_others_are_stored(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    sent = console.produce(topic, f"a\n{'x' * 5000}\nb\n", "--max-memory-bytes", "1000")
    assert sent.exit_code == 1
    assert sent.err.startswith("Line 2: MESSAGE_TOO_LARGE: ")
    assert console.consume(topic, 2).out == "a\nb\n"


def test_records_that_fail_again_and_again_are_counted(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic(config={"min.insync.replicas": "2"})
    sent = console.produce(topic, "a\nb\n", "--retry-backoff-ms", "1")
    first, last = sent.err.splitlines()
    assert sent.exit_code == 1
    assert first.startswith(f"Lines 1 to 2 (2 records for {topic}-0): NOT_ENOUGH_REPLICAS: ")
    assert last == "2 of 2 records were not stored (NOT_ENOUGH_REPLICAS 2)."
    assert console.produce(topic, "c\n", "--request-required-acks", "1").exit_code == 0


def test_ctrl_c_ends_a_producer_that_waits_for_a_broker() -> None:
    topic = ("--topic", "t", "--bootstrap-server", "127.0.0.1:1")
    with RunningCommand("console-producer", *topic) as producer:
        producer.wait_for_err("Trying again")
        producer.signal(signal.SIGINT)
        assert producer.wait().exit_code == 130


def test_brokers_that_cannot_be_reached_are_named() -> None:
    sent = run_command(
        *("console-producer", "--bootstrap-server", "127.0.0.1:1", "--topic", "t"),
        *("--max-block-ms", "100"),
        stdin="a\n",
    )
    assert sent == (
        1,
        "",
        "No broker can be reached: Nobody listens at 127.0.0.1:1. "
        "Trying again for 0.1 s (max.block.ms).\n"
        "The partitions of topic 't' were not known within max.block.ms (100): "
        "No broker can be reached: Nobody listens at 127.0.0.1:1\n",
    )


def test_ctrl_c_ends_the_producer_and_keeps_what_was_typed(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    with RunningCommand(
        "console-producer", "--topic", topic, *console.bootstrap, "--timeout", "60000"
    ) as producer:
        producer.write("kept\n")
        producer.wait_until_read()
        producer.signal(signal.SIGINT)
        assert producer.wait() == (130, "", "")
    assert console.consume(topic, 1).out == "kept\n"


def test_the_producer_has_a_prompt_on_a_terminal_only(
    console: Console, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    controller, terminal = pty.openpty()
    producer = subprocess.Popen(
        [*COMMAND, "console-producer", *console.bootstrap, "--topic", topic],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    screen = b""
    while not screen.endswith(b">"):
        screen += os.read(controller, 100)
    os.write(controller, b"typed\n")
    while screen.count(b">") < 2:
        screen += os.read(controller, 100)
    os.write(controller, b"\x04")  # Ctrl-D
    assert producer.wait(DEADLINE_S) == 0
    os.close(controller)
    assert screen == b">typed\r\n>"
    assert console.consume(topic, 1).out == "typed\n"


def test_a_file_has_a_progress_bar_on_a_terminal(
    console: Console, make_topic: MakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "lines"
    file.write_text("line\n" * 1000)
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with file.open("rb") as stdin:
        producer = subprocess.Popen(
            [*COMMAND, "console-producer", *console.bootstrap, "--topic", make_topic()],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        screen = b""
        while b"100%" not in screen:
            screen += os.read(controller, 1000)
        assert producer.wait(DEADLINE_S) == 0
    os.close(controller)
    assert b"4.88k/4.88k" in screen


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), 'Missing required argument "[topic]"'),
        (("--topic", "a b"), "Topic name is invalid: 'a b' contains"),
        (("--topic", "t", "--compression-codec", "rar"), "Unknown compression 'rar'"),
        (("--topic", "t", "--property", "parse.kee=true"), "Unknown property parse.kee"),
        (("--topic", "t", "--producer-property", "transactional.id=x"), "transactional.id is not"),
        (("--topic", "t", "--request-required-acks", "2"), "argument --request-required-acks"),
    ],
)
def test_a_producers_command_line_that_makes_no_sense_is_one_sentence(
    bootstrap: tuple[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = run_command("console-producer", *bootstrap, *arguments)
    assert (outcome.exit_code, outcome.out) == (1, "")
    assert outcome.err.startswith(sentence)
