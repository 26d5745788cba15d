"""Settings that are each right but do not fit together."""

from kafkalite.config.http_keys import ANY_ORIGIN
from kafkalite.config.keys import HIGHEST_GIVEN_BROKER_ID, BrokerSettings
from kafkalite.config.names import key_of
from kafkalite.config.views import FlushPolicy

_OF_POLICY_INTERVAL = (
    "log_flush_interval_messages",
    "log_flush_interval_ms",
    "log_flush_scheduler_interval_ms",
)


def contradictions(settings: BrokerSettings) -> list[tuple[str, str]]:
    """Why `settings` cannot be used, as (key, reason)."""
    found = []
    if settings.broker_id_generation_enable and settings.broker_id > HIGHEST_GIVEN_BROKER_ID:
        found.append(
            (
                "broker.id",
                f"{settings.broker_id} is too large, ids above {HIGHEST_GIVEN_BROKER_ID} are "
                "generated; write a smaller one, or broker.id.generation.enable=false",
            )
        )
    if not settings.broker_id_generation_enable and settings.broker_id < 0:
        found.append(("broker.id", "is required when broker.id.generation.enable is false"))
    if settings.message_max_bytes > settings.socket_request_max_bytes:
        found.append(
            (
                "message.max.bytes",
                f"{settings.message_max_bytes} is larger than socket.request.max.bytes "
                f"({settings.socket_request_max_bytes}): such a batch could not be sent",
            )
        )
    if settings.group_min_session_timeout_ms > settings.group_max_session_timeout_ms:
        found.append(
            (
                "group.min.session.timeout.ms",
                f"{settings.group_min_session_timeout_ms} is larger than "
                f"group.max.session.timeout.ms ({settings.group_max_session_timeout_ms})",
            )
        )
    origins = settings.http_cors_allowed_origins or ()
    if settings.http_cors_allow_credentials and ANY_ORIGIN in origins:
        found.append(
            (
                "http.cors.allow.credentials",
                "must be false with http.cors.allowed.origins=*: any site could act as whoever "
                "looks at it; name the origins",
            )
        )
    return found


def without_effect(settings: BrokerSettings) -> list[tuple[str, str]]:
    """What was set but changes nothing beside the other settings, as (key, reason)."""
    found = []
    if settings.log_flush_policy is not FlushPolicy.INTERVAL:
        reason = f"has no effect with log.flush.policy={settings.log_flush_policy}"
        found += [
            (key_of(name), reason)
            for name in _OF_POLICY_INTERVAL
            if name in settings.model_fields_set
        ]
    if settings.log_dirs is not None and "log_dir" in settings.model_fields_set:
        found.append(("log.dir", "has no effect beside log.dirs"))
    return found
