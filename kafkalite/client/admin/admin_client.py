"""Administration for programs without an event loop."""

from collections.abc import Coroutine
from typing import Any, Never, Self, TypeVar

from kafkalite.client.admin.async_admin_client import AsyncAdminClient
from kafkalite.client.blocking import Blocking
from kafkalite.client.io_thread import IoThread
from kafkalite.client.settings import keywords_only

T = TypeVar("T")


class AdminClient:
    """Administers a cluster through any of its brokers.

        with AdminClient(bootstrap_servers="localhost:9092") as admin:
            admin.create_topic("flights", partitions=3)

    Has the methods of AsyncAdminClient; each waits for its outcome. Any thread may call them.
    """

    def __init__(self, *given: Never, **settings: Any) -> None:  # noqa: ANN401 - of many types
        """Check the settings, and have the process's I/O thread run.

        Raises:
            ConfigError: a setting is wrong.
        """
        keywords_only("AdminClient", given)
        self._begin(AsyncAdminClient(**settings), IoThread.shared())

    def _begin(self, core: AsyncAdminClient, io: IoThread) -> None:
        self._core = core
        self._io = io
        self._ticket = self._io.register(self.close)
        self._is_closed = False

    create_topic = Blocking(AsyncAdminClient.create_topic)
    create_topics = Blocking(AsyncAdminClient.create_topics)
    list_topics = Blocking(AsyncAdminClient.list_topics)
    describe_topic = Blocking(AsyncAdminClient.describe_topic)
    describe_topics = Blocking(AsyncAdminClient.describe_topics)
    add_partitions = Blocking(AsyncAdminClient.add_partitions)
    delete_topic = Blocking(AsyncAdminClient.delete_topic)
    delete_topics = Blocking(AsyncAdminClient.delete_topics)

    describe_topic_config = Blocking(AsyncAdminClient.describe_topic_config)
    alter_topic_config = Blocking(AsyncAdminClient.alter_topic_config)
    describe_broker_config = Blocking(AsyncAdminClient.describe_broker_config)
    alter_broker_config = Blocking(AsyncAdminClient.alter_broker_config)

    describe_offsets = Blocking(AsyncAdminClient.describe_offsets)
    list_offsets = Blocking(AsyncAdminClient.list_offsets)
    delete_records = Blocking(AsyncAdminClient.delete_records)
    elect_leaders = Blocking(AsyncAdminClient.elect_leaders)
    reassign_partitions = Blocking(AsyncAdminClient.reassign_partitions)
    list_reassignments = Blocking(AsyncAdminClient.list_reassignments)
    cancel_reassignments = Blocking(AsyncAdminClient.cancel_reassignments)
    propose_assignment = Blocking(AsyncAdminClient.propose_assignment)

    list_groups = Blocking(AsyncAdminClient.list_groups)
    describe_group = Blocking(AsyncAdminClient.describe_group)
    describe_groups = Blocking(AsyncAdminClient.describe_groups)
    delete_group = Blocking(AsyncAdminClient.delete_group)
    delete_groups = Blocking(AsyncAdminClient.delete_groups)
    list_group_offsets = Blocking(AsyncAdminClient.list_group_offsets)
    alter_group_offsets = Blocking(AsyncAdminClient.alter_group_offsets)
    reset_group_offsets = Blocking(AsyncAdminClient.reset_group_offsets)
    delete_group_offsets = Blocking(AsyncAdminClient.delete_group_offsets)
    delete_topic_offsets = Blocking(AsyncAdminClient.delete_topic_offsets)

    describe_cluster = Blocking(AsyncAdminClient.describe_cluster)
    cluster_health = Blocking(AsyncAdminClient.cluster_health)
    list_brokers = Blocking(AsyncAdminClient.list_brokers)
    describe_broker = Blocking(AsyncAdminClient.describe_broker)
    describe_log_dirs = Blocking(AsyncAdminClient.describe_log_dirs)

    @property
    def core(self) -> AsyncAdminClient:
        """What the methods are those of; it lives on the I/O thread."""
        return self._core

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have the I/O thread run one of the core's calls, and wait for it.

        Raises:
            ClosedError: the client is closed, or belongs to another process.
        """
        return self._io.run(coroutine)

    def close(self) -> None:
        """Close the connections; a second time it does nothing."""
        if self._is_closed or not self._io.is_usable:
            return
        self._is_closed = True
        try:
            self._io.run(self._core.close())
        finally:
            self._io.leave(self._ticket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
