"""Puts the consumer endpoints of one broker together."""

from kafkalite.api.rest.consumer_bodies import ConsumerDefaults
from kafkalite.api.rest.endpoint import ConsumersEndpoint
from kafkalite.api.rest.operations import ConsumerOperations, ConsumerOptions
from kafkalite.broker.broker import Broker


def consumers_endpoint(broker: Broker) -> ConsumersEndpoint:
    """What answers below `/consumers`."""

    def options() -> ConsumerOptions:
        settings = broker.settings
        return ConsumerOptions(
            ConsumerDefaults(settings.rest_dialect, settings.rest_auto_offset_reset),
            settings.consumer_request_timeout_ms,
            settings.rest_consumer_name_takeover,
        )

    return ConsumersEndpoint(
        ConsumerOperations(broker.consumers, broker.view, options),
        broker.group_routing,
        is_running=lambda: broker.state == "running",
        advertised_url=lambda: broker.settings.rest_advertised_url,
        max_body_bytes=broker.settings.socket_request_max_bytes,
    )
