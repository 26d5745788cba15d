"""A broker: what it consists of, and the order in which that starts and stops."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, Literal

from kafkalite.broker.append import AppendPath
from kafkalite.broker.consumers.instance import ConsumerWorld
from kafkalite.broker.consumers.instances import ConsumerInstances
from kafkalite.broker.consumers.messenger import Messengers
from kafkalite.broker.consumers.stream import StreamWorld
from kafkalite.broker.consumers.streams import GroupStreams
from kafkalite.broker.control.controller_client import ControllerClient
from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.control.reassignment import ReassignmentAdmin
from kafkalite.broker.control.topic_admin import TopicAdmin, TopicDefaults
from kafkalite.broker.control.topic_creation import TopicCreation
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.groups.coordinator import GroupCoordinator
from kafkalite.broker.groups.offset_reset import OffsetReset
from kafkalite.broker.groups.options import group_options
from kafkalite.broker.groups.routed_groups import RoutedGroups
from kafkalite.broker.groups.routing import GroupRouting
from kafkalite.broker.healing import Healing
from kafkalite.broker.housekeeping import Housekeeping
from kafkalite.broker.log_dirs import LogDirs
from kafkalite.broker.log_keeping import LogKeeping
from kafkalite.broker.membership import Membership
from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.ports import Peers
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.producer_ids import ProducerIds
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_streams import RecordStreams
from kafkalite.broker.remote_records import RemoteRecords
from kafkalite.broker.replication.leadership_proof import LeadershipProof
from kafkalite.broker.replication.replication import Replication
from kafkalite.broker.tails.tail import TailWorld
from kafkalite.broker.tails.tails import TopicTails
from kafkalite.config.broker_config import apply_dynamic
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.topic_config import TopicSettings, topic_settings
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model import cluster
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.recent_batches import RecentBudget
from kafkalite.wire.controller_messages import LeaveRequest

State = Literal["starting", "running", "stopping"]

_GENERATED_ID: Final = -1
_ALL_BROKERS: Final = "<default>"
_LEAVE_S: Final = 5.0
"""How long one request to leave may take."""
_FORWARDED_REQUESTS: Final = 1000
"""Sent on to other brokers at the same time; one more is answered 429."""
_FORWARDED_BYTES: Final = 256 << 20
"""What these, and the answers to them, may hold."""
_FAILOVER_MS: Final = 2_000
"""How long a request waits for a leader to be found: about as long as a failover takes."""

_log = logging.getLogger(__name__)


class IdentityError(Exception):
    """The broker may not start as who it says it is; a sentence for the operator."""


class Broker:
    """One member of the cluster: what it is made of, and in which order that starts and stops.

    `open()` reads what is on disk and in ZooKeeper; `join()` makes the broker known, from when on
    it leads partitions; `hand_over()`, `stop_waiting()` and `leave()` end that; `close()` makes all
    durable. Each
    is called once, in this order, by the composition root, on the loop that all of this lives on.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        view: MetadataView,
        directories: LogDirectories,
        clock: Clock,
        peers: Peers,
        make_membership: Callable[["Broker"], Membership],
    ) -> None:
        """Put the parts together.

        Args:
            settings: as the broker was started with.
            view: what it shall know of the cluster.
            directories: its log directories, locked.
            clock: the machine's.
            peers: how it talks to the other brokers; closed by whoever made them.
            make_membership: makes its session, which calls `on_suspended`, `on_lost` and
                `on_connected`.
        """
        self.state: State = "starting"
        self._has_settled = False
        """Whether it once led all that it is elected for, or has waited long enough for it."""
        self.id = BrokerId(settings.broker_id)
        """Given, or known once `open()` has returned."""
        self.view = view
        self.probe = DataProbe()
        self._static_settings = settings
        self.settings: BrokerSettings = apply_dynamic(settings, {}, {})
        """Those in force: what was set while running counts before what the file says."""
        self._directories = directories
        self._recent = RecentBudget()
        self._clock = clock
        self._membership = membership = make_membership(self)
        self.peers = peers

        def own_id() -> BrokerId:
            return self.id

        self._logs = LogKeeping(directories, settings, clock, self.probe)
        self.topics = TopicAdmin(
            view,
            membership.store,
            defaults=lambda: TopicDefaults(
                self.settings.num_partitions, self.settings.default_replication_factor
            ),
            deletes_topics=lambda: self.settings.delete_topic_enable,
            random=random.Random(),
        )
        creation = TopicCreation(self.topics, lambda: self.settings.auto_create_topics_enable)
        self.partitions = PartitionTable(
            view,
            directories,
            creation,
            own_epoch=lambda: membership.epoch,
            make_partition=self._make_partition,
            retire=self._logs.retire,
            settings_of=self._settings_of,
            on_role=self._role_changed,
        )
        self.controller = ControllerDriver(
            view,
            membership.controller_store,
            own_id,
            clock=clock,
            policy=self._controller_policy,
            peers=peers,
        )
        self.controller_client = ControllerClient(
            view, peers, self.controller, membership.controller_store, own_id
        )
        self.forwarding = Forwarding(
            view,
            peers,
            own_id=own_id,
            on_refused=self.controller_client.suspect,
            max_requests=_FORWARDED_REQUESTS,
            max_bytes=_FORWARDED_BYTES,
            patience_ms=_FAILOVER_MS,
        )
        self.group_routing = GroupRouting(
            view,
            peers,
            own_id=own_id,
            on_refused=self.controller_client.suspect,
            max_requests=_FORWARDED_REQUESTS,
            max_bytes=_FORWARDED_BYTES,
        )
        self.groups = GroupCoordinator(
            view,
            membership.group_store,
            clock,
            own_id,
            group_options(settings),
            is_here=self.group_routing.is_here,
            look=self.group_routing.look,
            catch_up=membership.store.catch_up,
        )
        self.offset_lookup = OffsetLookup(self.partitions, self.forwarding)
        self.offset_reset = OffsetReset(self.groups, self.offset_lookup, view)
        self.append_path = AppendPath(self.partitions, self.forwarding, self.probe)
        self.record_append_path = RecordAppendPath(
            self.partitions,
            RemoteRecords(self.append_path, clock, self._batch_bytes),
            self.forwarding,
            clock,
            self.probe,
        )
        self.fetch_path = FetchPath(
            self.partitions,
            self.forwarding,
            LeadershipProof(membership.store.catch_up, clock),
            clock,
            self.probe,
            max_bytes=settings.fetch_max_bytes,
            max_wait_ms=settings.fetch_max_wait_ms,
        )
        self.consumers = ConsumerInstances(
            ConsumerWorld(
                self.groups,
                self.fetch_path,
                self.offset_lookup,
                view,
                Messengers(view, peers),
                settings.group_consumer_session_timeout_ms,
            ),
            membership.group_store,
            clock,
            is_ours=self.group_routing.is_here,
            instance_timeout_ms=lambda: self.settings.consumer_instance_timeout_ms,
        )
        self.streams = GroupStreams(
            StreamWorld(
                RoutedGroups(self.groups, self.group_routing),
                self.fetch_path,
                self.offset_lookup,
                view,
                own_id,
                settings.group_consumer_session_timeout_ms,
            ),
            lambda: self.settings.group_max_streams,
        )
        self.tails = TopicTails(
            TailWorld(self.fetch_path, self.offset_lookup, view),
            lambda: self.settings.topic_max_streams,
        )
        self.record_streams = RecordStreams(lambda: self.settings.produce_max_streams)
        self.replication = Replication(
            self.partitions,
            view,
            membership.store,
            peers,
            clock,
            settings=lambda: self.settings,
            own_id=own_id,
            on_refused=self.controller_client.suspect,
        )
        self._healing = Healing(self.partitions, view, self.controller_client.ask, own_id)
        self.producer_ids = ProducerIds(lambda: membership.store.claim_producer_ids(self.id))
        self.reassignments = ReassignmentAdmin(view, membership.store, random.Random())
        self.log_dirs = LogDirs(directories, self.partitions)
        self._housekeeping = Housekeeping(self._logs.chores(self.partitions))

    def not_ready_reasons(self) -> list[str]:
        """Why the broker should not be sent requests; empty when it should."""
        reasons = []
        if self.state != "running":
            reasons.append(f"the broker is {self.state}")
        elif not self._membership.is_connected:
            reasons.append("there is no connection to ZooKeeper")
        elif not self.partitions.is_settled:
            reasons.append("partitions are still being opened")
        elif not self._has_settled:
            reasons.append("partitions are still waiting for their leaders")
        return reasons

    # -- life -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect to ZooKeeper and open the logs that are on disk.

        Raises:
            IdentityError: the log directories are another broker's or cluster's.
        """
        await self._membership.start()
        cluster_id = await self._membership.cluster_id()
        self.id = await self._choose_id()
        await asyncio.to_thread(self._directories.assign, self.id, cluster_id)
        await self._membership.load_view()
        self._take_dynamic_settings()
        self.partitions.own_id = self.id
        await self._logs.open(self.partitions, self.view, self.id, self._settings_of)

    async def join(self, host: str, port: int) -> None:
        """Make the broker known as `host:port` and lead what it is elected for."""
        self.view.subscribe(self._on_change)
        self._take_dynamic_settings()  # opening the logs took its time
        await self._membership.register(
            cluster.Broker(
                self.id,
                host,
                port,
                self.settings.broker_rack,
                timestamp_ms=self._clock.wall_ms(),
            )
        )
        self.partitions.start()
        self.replication.start()
        self._healing.start()
        self.controller.start()
        self.group_routing.start()
        self.groups.start()
        self.consumers.start()
        self.tails.start()
        self._housekeeping.start()
        self.state = "running"

    async def wait_until_settled(self, timeout_s: float) -> None:
        """Wait a while until there is a controller, and a leader for each partition of ours."""
        await self.view.wait_until(self._is_settled, timeout_s)
        self._has_settled = True

    async def hand_over(self) -> None:
        """Have others lead what this broker leads, and count no more on it, while it serves on."""
        settings = self.settings
        if not (settings.controlled_shutdown_enable and self.state == "running"):
            return
        # First, or leaders would take it for in sync again that the controller has just taken out.
        await self.replication.stop_following()
        for attempt in range(1 + settings.controlled_shutdown_max_retries):
            own = self.view.brokers.get(self.id)
            if own is None or not self._membership.is_connected:
                break
            reply = await self.controller_client.ask(LeaveRequest(self.id, own.epoch), _LEAVE_S)
            if not reply.error_code and not reply.remaining:
                break
            _log.warning(
                "%s",
                reply.message or f"{reply.remaining} partitions have no other in-sync replica yet",
            )
            if attempt < settings.controlled_shutdown_max_retries:
                await asyncio.sleep(settings.controlled_shutdown_retry_backoff_ms / 1000)

    def stop_waiting(self) -> None:
        """Say that it is about to go, and answer those who wait for records with what there is."""
        self.state = "stopping"
        self.streams.stop_waiting()
        self.consumers.stop_waiting()
        self.tails.stop_waiting()
        self.record_streams.stop_waiting()
        self.fetch_path.stop_waiting()
        self.groups.stop_waiting()
        self.replication.stop_waiting()

    async def leave(self) -> None:
        """Step down, once nobody asks for anything any more."""
        self.state = "stopping"
        await self._housekeeping.stop()
        await self.streams.stop()
        await self.consumers.stop()
        await self.groups.stop()
        await self.group_routing.stop()
        await self.replication.stop()
        await self._healing.stop()
        await self.controller_client.stop()
        await self.controller.stop()
        await self.partitions.stop()

    async def close(self) -> None:
        """Flush the logs, then end the session; also after an `open()` that failed."""
        self.fetch_path.close()
        await self._logs.close(self.partitions)
        await self._membership.stop()

    # -- the session ----------------------------------------------------------------------------

    def on_suspended(self) -> None:
        """The connection to ZooKeeper broke: the cluster is not changed until it is back."""
        self.controller.suspend()
        self.replication.suspend()
        self.groups.suspend()

    def on_lost(self) -> None:
        """The session is gone: others may lead by now."""
        self.consumers.let_go()
        self.partitions.step_down()

    def on_connected(self) -> None:
        """The session is there, and the view is up to date."""
        if self.state == "stopping":
            return
        self.controller.resume()
        self.replication.resume()
        self.groups.resume()
        self.partitions.refresh()

    # -- settings -------------------------------------------------------------------------------

    def _on_change(self, change: MetadataChange) -> None:
        if change.configs:
            self._take_dynamic_settings()
            self.partitions.reconfigure()

    def _take_dynamic_settings(self) -> None:
        configs = self.view.broker_configs
        self.settings = apply_dynamic(
            self._static_settings, configs.get(_ALL_BROKERS, {}), configs.get(str(self.id), {})
        )

    def _settings_of(self, topic: Topic) -> TopicSettings:
        return topic_settings(self.settings, topic.config)

    def _batch_bytes(self, name: str) -> int:
        """About how large a batch of records for a topic becomes, wherever it is led."""
        topic = self.view.topics.get(name)
        config = {} if topic is None else topic.config
        return topic_settings(self.settings, config).batch_target_bytes

    def _controller_policy(self) -> ControllerPolicy:
        settings = self.settings
        return ControllerPolicy(
            deletes_topics=settings.delete_topic_enable,
            elects_unclean=settings.unclean_leader_election_enable,
            rebalances_leaders=settings.auto_leader_rebalance_enable,
            imbalance_check_interval_ms=settings.leader_imbalance_check_interval_seconds * 1000,
            imbalance_percentage=settings.leader_imbalance_per_broker_percentage,
        )

    def _make_partition(self, log: Log, settings: TopicSettings) -> Partition:
        return Partition(
            log,
            settings,
            PartitionOptions(
                self.settings.log_flush_policy,
                self.settings.replica_lag_time_max_ms,
                self.probe.append_seconds,
                self._recent,
            ),
            self.id,
            self._clock,
            initial_high_watermark=self._logs.high_watermark(log),
            on_append=self._logs.appended,
            on_isr_due=self.replication.isr_due,
        )

    def _role_changed(self, partition: Partition) -> None:
        self.replication.role_changed(partition)
        self._healing.look(partition)

    async def _choose_id(self) -> BrokerId:
        stored, given = self._directories.broker_id, self._static_settings.broker_id
        if stored is not None and given not in {_GENERATED_ID, stored}:
            raise IdentityError(
                f"broker.id is {given}, but log.dirs hold the logs of broker {stored} "
                "(meta.properties). Correct the one or the other."
            )
        if given != _GENERATED_ID:
            return BrokerId(given)
        if stored is not None:
            return BrokerId(stored)
        if not self._static_settings.broker_id_generation_enable:
            raise IdentityError("broker.id is not set, and broker.id.generation.enable is false.")
        return BrokerId(await self._membership.generate_broker_id())

    def _is_settled(self) -> bool:
        states = self.view.states
        return self.view.controller is not None and all(
            partition.follows(states.get(partition.topic_partition))
            for partition in self.partitions
        )
