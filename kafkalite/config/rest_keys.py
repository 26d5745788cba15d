"""Settings of REST Proxy's API; a section of `keys.py`, where all of them come together."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from kafkalite.config.setting import Boolean, NotNegative, Positive, Section, Text, setting


def _absolute(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not a URL such as https://kafka.example.com/rest")
    return url


_Url = Annotated[Text, AfterValidator(_absolute)]


class RestKeys(Section):
    """Consumers over HTTP (REST Proxy, version 2)"""

    rest_advertised_url: _Url | None = setting(
        None,
        "Where clients reach the cluster, for the base_uri of a consumer instance; not set: as the "
        "headers Forwarded and X-Forwarded-* say, or Host.",
        ours=True,
    )
    rest_consumer_enabled: Boolean = setting(
        True,
        "Whether there are consumers over HTTP below /consumers; without them 503 says that they "
        "are switched off.",
        scope="cluster",
        ours=True,
    )
    rest_producer_enabled: Boolean = setting(
        True,
        "Whether records are taken by POST below /topics and /v3; where not, 503 says that "
        "this is switched off.",
        scope="cluster",
        ours=True,
    )
    rest_dialect: Literal["confluent", "strimzi"] = setting(
        "confluent",
        "Whose rules hold for a consumer instance that does not show whose client made it: whether "
        "committing offset N stores N + 1 (confluent) or N (strimzi), and what is answered.",
        scope="cluster",
        ours=True,
    )
    rest_default_format: Literal["binary", "json", "text"] = setting(
        "binary",
        "How keys and values stand in records whose Content-Type does not say it (application/json "
        "or none): binary is base64, as REST Proxy's clients expect.",
        scope="cluster",
        ours=True,
    )
    rest_auto_offset_reset: Literal["earliest", "latest", "none"] = setting(
        "latest",
        "Where a consumer instance begins that says nothing, in a partition of which its group has "
        "committed nothing.",
        scope="cluster",
        ours=True,
    )
    rest_consumer_name_takeover: Boolean = setting(
        False,
        "Whether creating a consumer instance again, just the same, takes its name over instead of "
        "being refused.",
        scope="cluster",
        ours=True,
    )
    consumer_request_timeout_ms: NotNegative = setting(
        1_000,
        "How long a request for records waits where neither it nor its instance says.",
        live=True,
        ours=True,
    )
    consumer_instance_timeout_ms: Positive = setting(
        300_000,
        "After so long without a request a consumer instance leaves its group; it joins again with "
        "the next one.",
        live=True,
        ours=True,
    )
