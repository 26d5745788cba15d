"""Which methods a path takes, as `Allow` and refusals say it."""

from collections.abc import Iterable

from kafkalite.model.errors import MethodNotAllowedError

_MAX_SHOWN = 20


def all_allowed(methods: Iterable[str]) -> str:
    """What stands in `Allow`, of a path with these methods of its own.

    HEAD is served wherever GET is, and OPTIONS everywhere: by the front, for every path.
    """
    own = tuple(methods)
    more = ("HEAD",) if "GET" in own else ()
    return ", ".join(dict.fromkeys((*own, *more, "OPTIONS")))


def method_not_allowed(path: str, method: str, methods: Iterable[str]) -> MethodNotAllowedError:
    """The refusal of `method`, which is none of the `methods` of `path`."""
    names = all_allowed(methods)
    return MethodNotAllowedError(
        f"{path} does not take {method[:_MAX_SHOWN]}; it takes {names}.", allow=names
    )
