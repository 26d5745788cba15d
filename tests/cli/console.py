"""The two console tools against a broker."""

from tests.cli.command import Outcome, run_command


class Console:
    """The two console tools against the shared broker."""

    def __init__(self, bootstrap: tuple[str, str]) -> None:
        self.bootstrap = bootstrap
        self.url = f"http://{bootstrap[1]}"

    def produce(self, topic: str, stdin: str | bytes, *arguments: str) -> Outcome:
        return run_command(
            "console-producer", *self.bootstrap, "--topic", topic, *arguments, stdin=stdin
        )

    def consume(self, topic: str, count: int, *arguments: str) -> Outcome:
        """Read `count` records from the beginning, and print as `arguments` ask."""
        limit = ("--from-beginning", "--max-messages", str(count))
        return run_command(
            "console-consumer", *self.bootstrap, "--topic", topic, *limit, *arguments
        )


def printing(**switches: str) -> list[str]:
    """`--property print.x=true` arguments."""
    return [part for key in switches for part in ("--property", f"print.{key}={switches[key]}")]
