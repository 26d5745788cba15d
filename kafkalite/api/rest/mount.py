"""Puts the endpoints of REST Proxy's API of one broker together."""

from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.http.options import cors_of
from kafkalite.api.rest.consumer_bodies import ConsumerDefaults
from kafkalite.api.rest.endpoint import ConsumersEndpoint
from kafkalite.api.rest.operations import ConsumerOperations, ConsumerOptions
from kafkalite.api.rest.topics_admin import RestTopicAdmin
from kafkalite.api.rest.topics_endpoint import TopicsEndpoint
from kafkalite.api.rest.topics_metadata import RestMetadata
from kafkalite.api.rest.topics_produce import ProduceOptions, RestProduce
from kafkalite.api.rest.topics_records import RestRecords
from kafkalite.broker.broker import Broker
from kafkalite.broker.consumers.messenger import Messenger
from kafkalite.config.topic_config import describe_topic_config
from kafkalite.model.cluster import Topic
from kafkalite.wire.rest_records import EmbeddedFormat


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
        is_enabled=lambda: broker.settings.rest_consumer_enabled,
        advertised_url=lambda: broker.settings.rest_advertised_url,
        max_body_bytes=broker.settings.socket_request_max_bytes,
        cors=cors_of(broker.settings),
    )


def topics_endpoint(broker: Broker, slots: ProduceSlots) -> TopicsEndpoint:
    """What answers for topics, brokers, administration and probes.

    Args:
        broker: the broker.
        slots: of produce requests, by whatever way they come.
    """

    def options() -> ProduceOptions:
        settings = broker.settings
        return ProduceOptions(
            EmbeddedFormat(settings.rest_default_format),
            settings.auto_create_topics_enable,
            settings.rest_producer_enabled,
        )

    def configs_of(topic: Topic) -> dict[str, str | None]:
        entries = describe_topic_config(broker.settings, topic.config)
        return {entry.name: entry.value for entry in entries}

    return TopicsEndpoint(
        RestProduce(
            broker.partitions,
            broker.view,
            broker.record_append_path,
            slots,
            options,
            broker.settings.socket_request_max_bytes,
        ),
        RestMetadata(broker.view, broker.partitions, broker.offset_lookup, configs_of),
        RestRecords(broker.fetch_path, broker.offset_lookup, lambda: options().default_format),
        RestTopicAdmin(broker.topics, broker.partitions),
        is_running=lambda: broker.state == "running",
        not_ready_reasons=broker.not_ready_reasons,
    )
