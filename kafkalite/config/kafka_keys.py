"""Kafka's broker keys that are not ours: some may stand in a file, the others are refused.

A setting without effect is refused here, since who wrote it relies on it. The exception are keys
that tune the JVM's threads and sockets, or internal topics that do not exist here: no promise
rests on them, and nearly every server.properties has them, so they are named in a warning.
"""

_THREADS = "threads are not configured here: a broker is one event loop"
_SOCKETS = "the operating system sizes socket buffers"
_OFFSETS = "offsets are kept in ZooKeeper, not in a topic"
_TRANSACTIONS = "there is no topic for the state of transactions"

WITHOUT_EFFECT: dict[str, str] = {
    "num.network.threads": _THREADS,
    "num.io.threads": _THREADS,
    "background.threads": _THREADS,
    "num.replica.alter.log.dirs.threads": _THREADS,
    "socket.send.buffer.bytes": _SOCKETS,
    "socket.receive.buffer.bytes": _SOCKETS,
    "socket.listen.backlog.size": _SOCKETS,
    "offsets.topic.replication.factor": _OFFSETS,
    "offsets.topic.num.partitions": _OFFSETS,
    "offsets.topic.segment.bytes": _OFFSETS,
    "offsets.topic.compression.codec": _OFFSETS,
    "offsets.load.buffer.size": _OFFSETS,
    "transaction.state.log.replication.factor": _TRANSACTIONS,
    "transaction.state.log.min.isr": _TRANSACTIONS,
    "transaction.state.log.num.partitions": _TRANSACTIONS,
    "transaction.state.log.segment.bytes": _TRANSACTIONS,
    "transaction.state.log.load.buffer.size": _TRANSACTIONS,
    "group.initial.rebalance.delay.ms": "it delays the first rebalance of a group, nothing else",
}
"""Keys that may stand in a file, each with why it changes nothing."""

WRITE_INSTEAD: dict[str, str] = {
    "host.name": "listeners=HTTP://host:port",
    "port": "listeners=HTTP://host:port",
    "advertised.host.name": "advertised.listeners=HTTP://host:port",
    "advertised.port": "advertised.listeners=HTTP://host:port",
    "node.id": "broker.id",
    "log.message.timestamp.difference.max.ms": (
        "log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"
    ),
}
"""Keys of other versions of Kafka, each with what says the same here."""

_REFUSED = """
process.roles
controller.quorum.voters controller.quorum.bootstrap.servers controller.listener.names
controller.socket.timeout.ms controller.quota.window.num controller.quota.window.size.seconds
metadata.log.dir inter.broker.listener.name inter.broker.protocol.version
security.inter.broker.protocol listener.security.protocol.map control.plane.listener.name
early.start.listeners authorizer.class.name principal.builder.class super.users
allow.everyone.if.no.acl.found security.providers
connections.max.reauth.ms connection.failed.authentication.delay.ms
max.connection.creation.rate
request.timeout.ms queued.max.request.bytes compression.gzip.level compression.lz4.level
compression.zstd.level create.topic.policy.class.name alter.config.policy.class.name
delete.records.purgatory.purge.interval.requests fetch.purgatory.purge.interval.requests
producer.purgatory.purge.interval.requests max.incremental.fetch.session.cache.slots
log.cleaner.enable log.cleaner.threads log.cleaner.backoff.ms log.cleaner.dedupe.buffer.size
log.cleaner.delete.retention.ms log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size
log.cleaner.io.max.bytes.per.second log.cleaner.max.compaction.lag.ms
log.cleaner.min.cleanable.ratio log.cleaner.min.compaction.lag.ms
log.dir.failure.timeout.ms log.local.retention.bytes log.local.retention.ms
log.message.downconversion.enable log.message.format.version log.preallocate log.roll.jitter.hours
log.roll.jitter.ms num.replica.fetchers replica.fetch.min.bytes replica.lag.max.messages
replica.selector.class replica.socket.receive.buffer.bytes reserved.broker.max.id
replica.alter.log.dirs.io.max.bytes.per.second replication.quota.window.num
replication.quota.window.size.seconds alter.log.dirs.replication.quota.window.num
alter.log.dirs.replication.quota.window.size.seconds quota.consumer.default
quota.producer.default quota.window.num quota.window.size.seconds
client.quota.callback.class group.coordinator.new.enable
group.coordinator.rebalance.protocols group.coordinator.threads group.consumer.assignors
group.consumer.max.heartbeat.interval.ms
group.consumer.max.session.timeout.ms group.consumer.max.size
group.consumer.migration.policy group.consumer.min.heartbeat.interval.ms
group.consumer.min.session.timeout.ms offsets.commit.required.acks offsets.commit.timeout.ms
offsets.storage
dual.commit.enabled transactional.id.expiration.ms
transaction.max.timeout.ms transaction.abort.timed.out.transaction.cleanup.interval.ms
transaction.partition.verification.enable
transaction.remove.expired.transaction.cleanup.interval.ms unstable.api.versions.enable
zookeeper.max.in.flight.requests zookeeper.metadata.migration.enable zookeeper.set.acl
zookeeper.sync.time.ms zookeeper.clientCnxnSocket auto.include.jmx.reporter
metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
kafka.metrics.polling.interval.secs kafka.metrics.reporters telemetry.max.bytes
client.quota.max.throttle.time.ms broker.heartbeat.interval.ms broker.session.timeout.ms
initial.broker.registration.timeout.ms delegation.token.secret.key
delegation.token.master.key delegation.token.max.lifetime.ms delegation.token.expiry.time.ms
delegation.token.expiry.check.interval.ms eligible.leader.replicas.enable
"""

_REFUSED_PREFIXES = (
    "ssl.",
    "sasl.",
    "zookeeper.ssl.",
    "listener.name.",
    "remote.log.",
    "password.encoder.",
)

_REFUSED_TOPIC = """
min.cleanable.dirty.ratio delete.retention.ms min.compaction.lag.ms max.compaction.lag.ms
preallocate segment.jitter.ms message.downconversion.enable message.format.version
message.timestamp.difference.max.ms remote.storage.enable local.retention.bytes
local.retention.ms compression.gzip.level compression.lz4.level compression.zstd.level
"""

_REFUSED_KEYS = frozenset(_REFUSED.split())
_REFUSED_TOPIC_KEYS = frozenset(_REFUSED_TOPIC.split())


def refusal(key: str) -> str | None:
    """Why a broker's key of Kafka is refused; None for one that Kafka does not have either."""
    if key in WRITE_INSTEAD:
        return f"is a setting of Kafka that kafkalite does not have; write {WRITE_INSTEAD[key]}"
    if key in _REFUSED_KEYS or key.startswith(_REFUSED_PREFIXES):
        return "is a setting of Kafka that kafkalite does not have yet"
    return None


def topic_refusal(key: str) -> str | None:
    """Why a topic's key of Kafka is refused; None for one that Kafka does not have either."""
    if key in _REFUSED_TOPIC_KEYS:
        return "is a setting of Kafka that kafkalite does not have yet"
    return None
