"""How a command ends when it cannot do what it was asked."""

from typing import Final

EXIT_FAILURE: Final = 1
EXIT_INTERRUPTED: Final = 130
"""What shells show after Ctrl-C: 128 + SIGINT."""


class CommandError(Exception):
    """Ends a command with one sentence for the user and an exit code."""

    def __init__(self, sentence: str, exit_code: int = EXIT_FAILURE) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class NoBrokerError(CommandError):
    """None of the brokers that we know can be reached; the sentence says which and why."""
