"""Puts the consumer endpoints of one broker together."""

from kafkalite.api.rest.consumer_bodies import ConsumerDefaults
from kafkalite.api.rest.endpoint import ConsumersEndpoint
from kafkalite.api.rest.operations import ConsumerOperations, ConsumerOptions
from kafkalite.broker.broker import Broker
from kafkalite.broker.consumers.messenger import Messenger


def consumers_endpoint(broker: Broker) -> ConsumersEndpoint:
    """What answers below `/consumers`."""

    def options() -> ConsumerOptions:
        settings = broker.settings
        return ConsumerOptions(
            ConsumerDefaults(settings.rest_dialect, settings.rest_auto_offset_reset),
            settings.consumer_request_timeout_ms,
            settings.rest_consumer_name_takeover,
        )

    def own_messenger() -> Messenger:
        registered = broker.view.brokers.get(broker.id)
        return Messenger(broker.id, -1 if registered is None else registered.epoch)

    return ConsumersEndpoint(
        ConsumerOperations(broker.consumers, broker.view, options),
        broker.group_routing,
        own_messenger=own_messenger,
        is_running=lambda: broker.state == "running",
        advertised_url=lambda: broker.settings.rest_advertised_url,
        max_body_bytes=broker.settings.socket_request_max_bytes,
    )
