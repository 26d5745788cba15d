"""Known mistakes of replicated logs, planted in the product to see whether the checkers bite."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

Plant = Callable[[contextlib.ExitStack], None]

BUGS: Final[dict[str, Plant]] = {}


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """Within it the product makes the named mistake."""
    with contextlib.ExitStack() as stack:
        BUGS[name](stack)
        yield
