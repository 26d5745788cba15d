"""A broker: what it consists of, and the order in which that starts and stops."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, Literal

from kafkalite.broker.append import AppendPath
from kafkalite.broker.controller_driver import ControllerDriver
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.housekeeping import Housekeeping
from kafkalite.broker.log_keeping import LogKeeping
from kafkalite.broker.membership import Membership
from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.topic_admin import TopicAdmin, TopicDefaults
from kafkalite.broker.topic_creation import TopicCreation
from kafkalite.config.broker_config import apply_dynamic
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.topic_config import TopicSettings, topic_settings
from kafkalite.model import cluster
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories

State = Literal["starting", "running", "stopping"]

_GENERATED_ID: Final = -1
_ALL_BROKERS: Final = "<default>"

_log = logging.getLogger(__name__)


class IdentityError(Exception):
    """The broker may not start as who it says it is; a sentence for the operator."""


class Broker:
    """One member of the cluster: what it is made of, and in which order that starts and stops.

    `open()` reads what is on disk and in ZooKeeper; `join()` makes the broker known, from when on
    it leads partitions; `stop_waiting()` and `leave()` end that; `close()` makes all durable. Each
    is called once, in this order, by the composition root, on the loop that all of this lives on.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        view: MetadataView,
        directories: LogDirectories,
        clock: Clock,
        make_membership: Callable[["Broker"], Membership],
    ) -> None:
        """Put the parts together.

        Args:
            settings: as the broker was started with.
            view: what it shall know of the cluster.
            directories: its log directories, locked.
            clock: the machine's.
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
        self._clock = clock
        self._membership = membership = make_membership(self)
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
            make_partition=self._make_partition,
            retire=self._logs.retire,
            settings_of=self._settings_of,
        )
        self.append_path = AppendPath(self.partitions, self.probe)
        self.record_append_path = RecordAppendPath(self.partitions, clock, self.probe)
        self.fetch_path = FetchPath(
            self.partitions,
            clock,
            self.probe,
            max_bytes=settings.fetch_max_bytes,
            max_wait_ms=settings.fetch_max_wait_ms,
        )
        self._housekeeping = Housekeeping(self._logs.chores(self.partitions))
        self._controller: ControllerDriver | None = None

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
        self._controller = ControllerDriver(
            self.view,
            self._membership.controller_store,
            self.id,
            clock=self._clock,
            deletes_topics=lambda: self.settings.delete_topic_enable,
        )
        self._controller.start()
        self._housekeeping.start()
        self.state = "running"

    async def wait_until_settled(self, timeout_s: float) -> None:
        """Wait a while until there is a controller, and a leader for each partition of ours."""
        await self.view.wait_until(self._is_settled, timeout_s)
        self._has_settled = True

    def stop_waiting(self) -> None:
        """Say that it is about to go, and answer those who wait for records with what there is."""
        self.state = "stopping"
        self.fetch_path.stop_waiting()

    async def leave(self) -> None:
        """Step down, once nobody asks for anything any more."""
        self.state = "stopping"
        await self._housekeeping.stop()
        if self._controller is not None:
            await self._controller.stop()
        await self.partitions.stop()

    async def close(self) -> None:
        """Flush the logs, then end the session; also after an `open()` that failed."""
        self.fetch_path.close()
        await self._logs.close(self.partitions)
        await self._membership.stop()

    # -- the session ----------------------------------------------------------------------------

    def on_suspended(self) -> None:
        """The connection to ZooKeeper broke: no more controller work until it is back."""
        if self._controller is not None:
            self._controller.suspend()

    def on_lost(self) -> None:
        """The session is gone: others may lead by now."""
        self.partitions.step_down()

    def on_connected(self) -> None:
        """The session is there, and the view is up to date."""
        if self.state == "stopping":
            return
        if self._controller is not None:
            self._controller.resume()
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

    def _make_partition(self, log: Log, settings: TopicSettings) -> Partition:
        return Partition(
            log,
            settings,
            PartitionOptions(self.settings.log_flush_policy, self.settings.replica_lag_time_max_ms),
            self.id,
            self._clock,
            initial_high_watermark=self._logs.high_watermark(log),
            on_append=self._logs.appended,
            on_isr_due=lambda _: None,
        )

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
