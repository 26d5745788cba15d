"""Methods of a client without asyncio, made of those of its asynchronous core."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

P = ParamSpec("P")
T = TypeVar("T")


class Face(Protocol):
    """A client without asyncio: it has a core, and can wait for what that does."""

    @property
    def core(self) -> Any: ...  # noqa: ANN401 - each face has its own

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have the core's loop run `coroutine`, and wait for it."""


class Blocking(Generic[P, T]):
    """A core's coroutine method as a method of its face, which waits for the outcome.

    So text, types and documentation exist once:

        class AdminClient:
            list_topics = Blocking(AsyncAdminClient.list_topics)
    """

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        """Wrap the core's `method`."""
        self._method = method
        functools.update_wrapper(self, method)

    @overload
    def __get__(self, face: None, owner: type) -> Self: ...
    @overload
    def __get__(self, face: Face, owner: type) -> Callable[P, T]: ...
    def __get__(self, face: Face | None, owner: type) -> "Self | Callable[P, T]":
        """Bound to a face; by itself on its class, where documentation looks for it."""
        if face is None:
            return self

        @functools.wraps(self._method)
        def bound(*args: P.args, **kwargs: P.kwargs) -> T:
            return face.run(self._method(face.core, *args, **kwargs))

        return bound

    def __call__(self, face: Face, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Called through the class: `AdminClient.list_topics(client)`."""
        return face.run(self._method(face.core, *args, **kwargs))
