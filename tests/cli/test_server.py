"""kafkalite server: what it refuses before it starts anything."""

from pathlib import Path

from tests.cli.command import run_command


def test_daemon_is_refused_when_nobody_could_know_its_port(tmp_path: Path) -> None:
    config = tmp_path / "server.properties"
    logs = tmp_path / "logs"
    config.write_text(
        f"listeners=HTTP://127.0.0.1:0\nlog.dirs={logs}\nzookeeper.connect=127.0.0.1:1\n"
    )
    code, printed, said = run_command("server", "start", "-daemon", str(config))
    assert (code, printed) == (1, "")
    assert "HTTP://127.0.0.1:0" in said
    assert not logs.exists()
