"""Puts REST Proxy's version 3 of one broker together."""

from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.groups.listing import groups_everywhere
from kafkalite.api.groups.reading import group_anywhere
from kafkalite.api.v3.endpoint import V3Endpoint
from kafkalite.api.v3.group_reads import V3Groups
from kafkalite.api.v3.metadata import V3Metadata
from kafkalite.api.v3.produce import V3Produce
from kafkalite.api.v3.topic_admin import V3TopicAdmin
from kafkalite.broker.broker import Broker
from kafkalite.config.topic_config import describe_topic_config


def v3_endpoint(broker: Broker, slots: ProduceSlots) -> V3Endpoint:
    """What answers below `/v3`.

    Args:
        broker: the broker.
        slots: of produce requests, by whatever way they come.
    """
    view = broker.view

    def stamps_append_time(name: str) -> bool:
        # Of each request that brings records: the settings of the topic as a whole would take long.
        topic = view.topics.get(name)
        own = None if topic is None else topic.config.get("message.timestamp.type")
        in_force = broker.settings.log_message_timestamp_type if own is None else own.strip()
        return in_force == "LogAppendTime"

    metadata = V3Metadata(
        view,
        broker.partitions,
        broker.offset_lookup,
        lambda topic: describe_topic_config(broker.settings, topic.config),
    )
    return V3Endpoint(
        metadata,
        V3Groups(lambda: groups_everywhere(broker), lambda name: group_anywhere(broker, name)),
        V3TopicAdmin(broker.topics, broker.partitions, metadata),
        V3Produce(
            broker.partitions,
            broker.record_append_path,
            broker.record_streams,
            slots,
            stamps_append_time=stamps_append_time,
            # JSON may take twice the bytes that it stands for.
            max_object_bytes=2 * broker.settings.message_max_bytes,
            max_body_bytes=broker.settings.socket_request_max_bytes,
        ),
        cluster_id=lambda: view.cluster_id,
        is_running=lambda: broker.state == "running",
        takes_records=lambda: broker.settings.rest_producer_enabled,
        advertised_url=lambda: broker.settings.rest_advertised_url,
    )
