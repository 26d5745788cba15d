"""Settings of clients: declared once, by Kafka's names, as keyword arguments or from a file.

A struct's field is a setting: `linger_ms` is Kafka's `linger.ms`, and both are taken. Its type and
bounds are msgspec's, its description says what it does and in which unit. Text is read as the type
asks (`"5"` is 5, `"true"` is True), so that properties files go the same way. Pydantic, as brokers
have it, would take half of the time that the import of the client may take.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args, get_origin

import msgspec
from msgspec import Meta

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import ConfigError
from kafkalite.config.names import attribute_of, key_of, nearest

_PLAIN_ONLY: Final = "clients speak plain HTTP, without TLS and SASL"
_NOT_HERE: Final = {
    "transactional.": "there are no transactions; with enable.idempotence, which is on unless it "
    "is switched off, each record is stored once and in order",
    "ssl.": _PLAIN_ONLY,
    "sasl.": _PLAIN_ONLY,
}
"""Settings of Kafka's, by how they begin, that somebody may look for; and why there are none."""
MAX_INT: Final = 2**31 - 1
MAX_LONG: Final = 2**63 - 1


def setting(
    doc: str,
    *,
    ge: int | None = None,
    le: int | None = None,
    words: Mapping[str, object] | None = None,
) -> Meta:
    """Describe a setting, as in `linger_ms: Annotated[int, setting("How long ...", ge=0)] = 5`.

    Args:
        doc: what it does, and its unit.
        ge: the least number that it takes.
        le: the largest.
        words: texts that stand for values, such as `{"all": -1}`.
    """
    return Meta(description=doc, ge=ge, le=le, extra={"words": dict(words or {})})


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every client can be told. Made with `of`, which says what is wrong with a setting.

    Subclasses add fields and may override `check`. A field whose type msgspec does not know, such
    as a callable, takes any value.
    """

    bootstrap_servers: Annotated[
        tuple[str, ...],
        setting(
            "Brokers to ask first, `host:port` each; any of them that is alive is enough, and all "
            "others are learnt from it."
        ),
    ] = ("localhost:9092",)
    client_id: Annotated[str, setting("The client's name, for people.")] = ""
    request_timeout_ms: Annotated[
        int, setting("How long a broker may take to answer.", ge=1, le=MAX_INT)
    ] = 30_000
    retry_backoff_ms: Annotated[
        int,
        setting(
            "Bound of the first pause before something is tried again; it doubles, and a pause is "
            "anything below it.",
            ge=0,
            le=MAX_INT,
        ),
    ] = 100
    retry_backoff_max_ms: Annotated[
        int, setting("The largest bound of such pauses.", ge=0, le=MAX_INT)
    ] = 1_000
    metadata_max_age_ms: Annotated[
        int,
        setting("After how long brokers are asked again who leads what.", ge=0, le=MAX_INT),
    ] = 300_000
    connections_max_idle_ms: Annotated[
        int,
        setting("After how long an unused connection is closed; -1: never.", ge=-1, le=MAX_LONG),
    ] = 540_000
    socket_connection_setup_timeout_ms: Annotated[
        int, setting("How long connecting to one address may take.", ge=1, le=MAX_INT)
    ] = 10_000
    security_protocol: Annotated[
        Literal["PLAINTEXT"], setting("Brokers are spoken to over plain HTTP.")
    ] = "PLAINTEXT"

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """The settings with what is `given`, by Kafka's names with dots or underscores.

        Raises:
            ConfigError: a name is not known, was given twice, or its value does not do.
        """
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            attribute = attribute_of(name)
            if attribute not in fields:
                known = fields if "_" in name or "." not in name else map(key_of, fields)
                raise ConfigError(
                    f"There is no setting {name!r}{nearest(name, known) or _why_not(name)}"
                )
            if attribute in values:
                raise ConfigError(f"{name!r} is set twice, as {key_of(attribute)!r}, too")
            values[attribute] = _converted(fields[attribute], value)
        settings = cls(**values)
        settings.check()
        return settings

    def check(self) -> None:
        """See that settings go with each other.

        Raises:
            ConfigError: they do not.
        """
        if not self.bootstrap_servers:
            raise ConfigError("bootstrap.servers needs at least one broker")
        for server in self.bootstrap_servers:
            BrokerAddress.parse(server)

    @property
    def bootstrap(self) -> tuple[BrokerAddress, ...]:
        """The brokers to ask first."""
        return tuple(map(BrokerAddress.parse, self.bootstrap_servers))


def keywords_only(client: str, given: Sequence[object]) -> None:
    """Refuse settings that come as a dictionary, as other clients of Kafka's take them.

    Args:
        client: what is made.
        given: the arguments without names.

    Raises:
        ConfigError: there are some.
    """
    if given:
        raise ConfigError(
            f"{client} takes settings by name: {client}(bootstrap_servers='localhost:9092'); those "
            f"of a dictionary as {client}(**settings), which may have dots in their names"
        )


def _why_not(name: str) -> str:
    """`: ...` if `name` is a setting of Kafka's of which people should know why there is none."""
    key = key_of(name)
    return next((f": {why}" for start, why in _NOT_HERE.items() if key.startswith(start)), "")


class AdminSettings(ClientSettings, frozen=True, kw_only=True):
    """What an AdminClient can be told."""

    default_api_timeout_ms: Annotated[
        int,
        setting("How long a call may take, tries again and pauses included.", ge=1, le=MAX_INT),
    ] = 60_000
    retries: Annotated[
        int, setting("How often a request is tried again that may go well then.", ge=0, le=MAX_INT)
    ] = MAX_INT


class DeclaredSetting(NamedTuple):
    """One setting, as documentation needs it."""

    key: str
    doc: str
    default: object
    is_required: bool


def declared(kind: type[ClientSettings]) -> Iterator[DeclaredSetting]:
    """The settings that `kind` takes, in the order of their declaration."""
    for field in msgspec.structs.fields(kind):
        meta = _meta(field.type)
        is_required = field.required
        yield DeclaredSetting(
            key_of(field.name),
            "" if meta is None else meta.description or "",
            None if is_required else field.default,
            is_required,
        )


def _meta(declared_type: object) -> Meta | None:
    for item in getattr(declared_type, "__metadata__", ()):
        if isinstance(item, Meta):
            return item
    return None


def words_of(declared_type: object) -> Mapping[str, object]:
    """The texts that stand for values of a setting, such as `{"all": -1}`."""
    meta = _meta(declared_type)
    if meta is None or meta.extra is None:
        return {}
    words: Mapping[str, object] = meta.extra["words"]
    return words


def _converted(field: msgspec.structs.FieldInfo, value: object) -> object:
    """`value` as the field's type; text is read."""
    words = words_of(field.type)
    if isinstance(value, str):
        value = value.strip()
        if value in words:
            return words[value]
        if _is_list(field.type):
            value = [part.strip() for part in value.split(",") if part.strip()]
        elif value.lower() in {"true", "false"}:
            value = value.lower()
    if not _is_plain(field.type):
        return value
    try:
        return msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        if get_origin(_bare(field.type)) is Literal:
            known = ", ".join(map(str, (*words, *get_args(_bare(field.type)))))
            why = f": {_PLAIN_ONLY}" if field.name == "security_protocol" else ""
            raise ConfigError(f"{key_of(field.name)}: {value!r} is none of {known}{why}") from None
        reason = str(error)[0].lower() + str(error)[1:]
        if words:
            reason += f", or one of {', '.join(words)}"
        raise ConfigError(f"{key_of(field.name)}: {value!r} does not do: {reason}") from None


def _is_list(declared_type: object) -> bool:
    return get_origin(_bare(declared_type)) in (tuple, list)


def _is_plain(declared_type: object) -> bool:
    """Whether msgspec can convert to it: numbers, text, words, and lists of these, or None."""
    bare = _bare(declared_type)
    if get_origin(bare) is Callable:
        return False
    if bare in (int, float, str, bool, bytes, type(None), Ellipsis) or get_origin(bare) is Literal:
        return True
    return bool(get_args(bare)) and all(map(_is_plain, get_args(bare)))


def _bare(declared_type: object) -> object:
    """The type behind `Annotated`."""
    while hasattr(declared_type, "__metadata__"):
        declared_type = get_args(declared_type)[0]
    return declared_type
