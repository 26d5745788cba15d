"""Names of settings: Kafka's with dots, Python's with underscores, the nearest to a wrong one."""

from collections.abc import Iterable


def key_of(attribute: str) -> str:
    """The key that fills an attribute: no key of Kafka has an underscore."""
    return attribute.replace("_", ".")


def attribute_of(key: str) -> str:
    """The attribute that a key fills."""
    return key.replace(".", "_")


def nearest(key: str, known: Iterable[str]) -> str:
    """` (did you mean ...?)` if one of the `known` keys looks like `key`, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - for mistakes only

    close = get_close_matches(key, list(known), n=1, cutoff=0.7)
    return f" (did you mean {close[0]}?)" if close else ""
