"""Who leads what, in one request: for clients that go to the leaders themselves."""

from fastapi import APIRouter, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.schemas import MetadataBody
from kafkalite.api.serving import RunningBroker
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.model.errors import InvalidTopicError, LogError, UnknownTopicOrPartitionError
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.model.topic_name import check_topic_name
from kafkalite.wire.metadata_messages import (
    BrokerPlace,
    MetadataResponse,
    PartitionLeader,
    TopicLeaders,
)

router = APIRouter(prefix="/v1/metadata", tags=["cluster"])

_UNKNOWN = PartitionLeader()


@router.post("", summary="Find brokers and leaders", responses=replies(MetadataResponse))
async def find_leaders(broker: RunningBroker, body: MetadataBody) -> Response:
    """The live brokers, and who leads the partitions of the topics that are named, or of all.

    Answers 200 whatever is wrong with a topic: that is in its entry.
    """
    view = broker.view
    names = sorted(view.topics) if body.topics is None else dict.fromkeys(body.topics)
    controller = view.controller
    return answer(
        MetadataResponse(
            cluster_id=view.cluster_id,
            controller=NO_LEADER if controller is None else controller,
            brokers=[
                BrokerPlace(each.id, each.host, each.port, each.url, each.rack)
                for _, each in sorted(view.brokers.items())
            ],
            topics=[_leaders(name, view) for name in names],
        )
    )


def _leaders(name: str, view: MetadataView) -> TopicLeaders:
    topic = view.topics.get(name)
    if topic is None:
        error = _why_unknown(name)
        return TopicLeaders(name, error_code=error.code, error=error.name, message=error.detail)
    leaders = []
    for number in range(topic.partition_count):
        state = view.states.get(TopicPartition(name, number))
        leaders.append(
            _UNKNOWN if state is None else PartitionLeader(state.leader, state.leader_epoch)
        )
    return TopicLeaders(name, topic.topic_id, partitions=leaders)


def _why_unknown(name: str) -> LogError:
    try:
        check_topic_name(name)
    except InvalidTopicError as error:
        return error
    return UnknownTopicOrPartitionError(f"Topic '{name}' does not exist.")
