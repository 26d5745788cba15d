"""The brokers as the commands see them: any one that is alive answers, leaders are looked up."""

import argparse
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from kafkalite.cli.answers import (
    AssignmentProposal,
    ClusterDescription,
    ClusterHealth,
    ConfigDescription,
    ConfigList,
    FoundOffset,
    LogDirList,
    LowWatermark,
    PartitionOutcomes,
    Problem,
    Reassignment,
    ReassignmentList,
    TopicDescription,
    TopicList,
    TopicSummary,
)
from kafkalite.cli.backoff import Backoff
from kafkalite.cli.broker_address import parse_bootstrap, reason, shown
from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.config.zookeeper_connect import check_zookeeper_connect
from kafkalite.model.errors import (
    LogError,
    NetworkError,
    NotLeaderOrFollowerError,
    UnknownTopicOrPartitionError,
    error_by_name,
)
from kafkalite.model.ids import TopicPartition

EARLIEST: Final = "earliest"
LATEST: Final = "latest"
MAX_TIMESTAMP: Final = "max-timestamp"

_CONNECT_TIMEOUT_S: Final = 5.0
_REQUEST_TIMEOUT_S: Final = 60.0
_ANOTHER_AFTER_S: Final = 10.0
"""How long one broker may take to answer a question that another one can answer as well."""
_IDLE_CONNECTION_S: Final = 2.0
_RETRY_FOR_S: Final = 10.0
"""How long a request is repeated that a broker refused with a retriable error."""
_DISCOVERY_TIMEOUT_S: Final = 10.0

_NO_HTTP: Final = (
    "closed the connection without an answer in HTTP; is it a broker's port, and not ZooKeeper's?"
)

_Answer = TypeVar("_Answer")


class Cluster:
    """Administrative requests to a cluster, each one over any broker that is alive.

    Owned by one command, single-threaded. An error that a broker answers is raised as its class of
    `model.errors`; when no broker can be reached NoBrokerError says which were tried. Requests that
    only read go to the next broker when one fails on the way; others only when it is certain
    that the first one did not get them.
    """

    def __init__(self, urls: Sequence[str], *, retry_for_s: float = _RETRY_FOR_S) -> None:
        self._urls = list(urls)
        self._answered: set[str] = set()
        self._retry_for_s = retry_for_s
        # No proxies: brokers are reached directly, and `localhost` is this machine's.
        self._http = httpx.Client(
            trust_env=False,
            # Given up before a broker does it, so that no request meets a closing connection.
            limits=httpx.Limits(keepalive_expiry=_IDLE_CONNECTION_S),
            # Plain HTTP only: a context that trusts nobody spares loading the certificate store.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    @classmethod
    def from_arguments(cls, args: argparse.Namespace, *, retry_for_s: float = _RETRY_FOR_S) -> Self:
        """The cluster that `--bootstrap-server` or `--zookeeper` names.

        `retry_for_s` is how long a request is repeated that a broker cannot serve at the moment;
        0 for commands that have their own idea of it.

        Raises:
            CommandError: an address is malformed, or ZooKeeper knows no broker.
        """
        if args.bootstrap_server is not None:
            return cls(parse_bootstrap(args.bootstrap_server), retry_for_s=retry_for_s)
        return cls(_find_through_zookeeper(args.zookeeper), retry_for_s=retry_for_s)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def broker_urls(self) -> dict[int, str]:
        """Where each live broker is, by its id; they are tried too from now on."""
        found = self._get("/v1/cluster", ClusterDescription)
        urls = {broker.id: broker.url for broker in found.brokers}
        self._urls.extend(url for url in urls.values() if url not in self._urls)
        return urls

    @property
    def known_urls(self) -> tuple[str, ...]:
        """Brokers to try, the one that answered last first."""
        return tuple(self._urls)

    def topics(self) -> list[TopicSummary]:
        """All topics, sorted by name."""
        return self._get("/v1/topics", TopicList).topics

    def topic(self, name: str) -> TopicDescription:
        """One topic; raises UnknownTopicOrPartitionError."""
        return self._get(_topic_path(name), TopicDescription)

    def create_topic(
        self,
        name: str,
        *,
        partitions: int | None,
        replication_factor: int | None,
        assignment: Sequence[Sequence[int]] | None,
        config: Mapping[str, str],
    ) -> None:
        """Create a topic; what is None is the brokers' choice."""
        body: dict[str, object] = {"name": name, "config": dict(config)}
        if partitions is not None:
            body["partitions"] = partitions
        if replication_factor is not None:
            body["replication_factor"] = replication_factor
        if assignment is not None:
            body["replica_assignment"] = assignment
        self._request("POST", "/v1/topics", body)

    def add_partitions(
        self, name: str, count: int, assignment: Sequence[Sequence[int]] | None
    ) -> None:
        """Raise a topic's partitions to `count`; `assignment` is that of the new ones."""
        body: dict[str, object] = {"partition_count": count}
        if assignment is not None:
            body["replica_assignment"] = assignment
        self._request("PATCH", _topic_path(name), body)

    def delete_topic(self, name: str) -> None:
        self._request("DELETE", _topic_path(name))

    def topic_config(self, name: str, *, include_all: bool) -> list[ConfigDescription]:
        """A topic's overrides, or all of its settings."""
        return self._get(f"{_topic_path(name)}/config{_all(include_all)}", ConfigList).config

    def alter_topic_config(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Set overrides of a topic; None removes one."""
        self._request("PATCH", _topic_path(name), {"config": dict(changes)})

    def broker_config(
        self, entity: str, *, include_all: bool, url: str | None = None
    ) -> list[ConfigDescription]:
        """Settings of the broker with id `entity`, or those of `default`.

        All of a broker's settings are known to itself only, at `url`.
        """
        path = f"/v1/brokers/{quote(entity, safe='')}/config{_all(include_all)}"
        return self._get(path, ConfigList, url).config

    def alter_broker_config(self, entity: str, changes: Mapping[str, str | None]) -> None:
        """Set dynamic settings of a broker, or of all (`default`); None removes one."""
        path = f"/v1/brokers/{quote(entity, safe='')}/config"
        self._request("PATCH", path, {"config": dict(changes)})

    def offset(self, topic: str, partition: int, at: str, url: str | None = None) -> FoundOffset:
        """Where a partition stands `at` earliest, latest, max-timestamp or a time in ms.

        `url` is the partition's leader, where the caller knows it.
        """
        path = f"{_topic_path(topic)}/partitions/{partition}/offsets?{urlencode({'at': at})}"
        return self._get(path, FoundOffset, url)

    def delete_records(self, topic: str, partition: int, before: int, url: str | None) -> int:
        """Delete records below `before` (-1: all that are readable); gives the low watermark."""
        path = f"{_topic_path(topic)}/partitions/{partition}/delete-records"
        answer = self._request("POST", path, {"before_offset": before}, url)
        return _decode(answer, LowWatermark).low_watermark

    def health(self) -> ClusterHealth:
        """The cluster in a few numbers, as the broker sees it that answers."""
        return self._get("/v1/cluster/health", ClusterHealth)

    def log_dirs(self, broker: int, topics: Iterable[str] = ()) -> LogDirList:
        """A broker's log directories, with the partitions of `topics` (none: all)."""
        query = urlencode([("topic", topic) for topic in topics])
        path = f"/v1/brokers/{broker}/log-dirs"
        return self._get(f"{path}?{query}" if query else path, LogDirList)

    def reassignments(self) -> list[Reassignment]:
        """The partitions on the move, sorted by name."""
        return self._get("/v1/reassignments", ReassignmentList).reassignments

    def reassign(
        self, targets: Mapping[TopicPartition, Sequence[int]]
    ) -> dict[TopicPartition, LogError | None]:
        """Begin to move partitions; gives why each one was refused, None: it was not."""
        named = [{**_named(found), "replicas": list(ids)} for found, ids in targets.items()]
        return self._request_of_partitions("/v1/reassignments", {"partitions": named})

    def cancel_reassignments(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, LogError | None]:
        """Move partitions back; gives why each one was refused, None: it was not."""
        named = [_named(found) for found in partitions]
        return self._request_of_partitions("/v1/reassignments/cancel", {"partitions": named})

    def propose_assignment(
        self, topics: Sequence[str], brokers: Sequence[int], *, rack_aware: bool
    ) -> AssignmentProposal:
        """Where topics are, and where they would be if they were created on `brokers`."""
        body = {"topics": topics, "brokers": brokers, "rack_aware": rack_aware}
        answer = self._request("POST", "/v1/reassignments/proposal", body)
        return _decode(answer, AssignmentProposal)

    def elect_leaders(
        self, kind: str, partitions: Iterable[TopicPartition] | None
    ) -> dict[TopicPartition, LogError | None]:
        """Have `preferred` or `unclean` leaders elected; gives why not, of each partition.

        None: of all partitions; those that needed none are then left out.
        """
        body: dict[str, object] = {"kind": kind}
        if partitions is not None:
            body["partitions"] = [_named(found) for found in partitions]
        return self._request_of_partitions("/v1/leader-elections", body)

    def ask(
        self,
        method: str,
        path: str,
        kind: type[_Answer],
        body: object = None,
        *,
        url: str | None = None,
        timeout_s: float = _REQUEST_TIMEOUT_S,
    ) -> _Answer:
        """Any other request, sent to `url` first where it is given."""
        return _decode(self._request(method, path, body, url, timeout_s=timeout_s), kind)

    def tell(self, method: str, path: str) -> None:
        """A request that is answered with nothing."""
        self._request(method, path)

    def _request_of_partitions(
        self, path: str, body: object
    ) -> dict[TopicPartition, LogError | None]:
        results = _decode(self._request("POST", path, body), PartitionOutcomes).results
        return {
            TopicPartition(found.topic, found.partition): (
                error_by_name(found.error)(found.message or None) if found.error else None
            )
            for found in results
        }

    def _get(self, path: str, kind: type[_Answer], url: str | None = None) -> _Answer:
        return _decode(self._request("GET", path, url=url), kind)

    def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        url: str | None = None,
        *,
        timeout_s: float = _REQUEST_TIMEOUT_S,
    ) -> httpx.Response:
        """Send to `url` first, where given, else to any broker; repeat what may succeed later."""
        deadline = time.monotonic() + self._retry_for_s
        backoff = Backoff()
        while True:
            try:
                return self._send_to_any(method, path, body, url, timeout_s)
            except LogError as error:
                # A topic that does not exist is an answer: nobody wants to wait for it here.
                final = not error.retriable or isinstance(error, UnknownTopicOrPartitionError)
                if final or isinstance(error, NetworkError):
                    raise
                pause = backoff.next_pause()
                if time.monotonic() + pause > deadline:
                    raise
                if isinstance(error, NotLeaderOrFollowerError):
                    url = str(error.extra.get("leader_url") or "") or None
                time.sleep(pause)

    def _send_to_any(
        self, method: str, path: str, body: object, first: str | None, longest_s: float
    ) -> httpx.Response:
        failures: list[str] = []
        urls = [first] if first is not None else []
        urls += [url for url in self._urls if url != first]
        for url in urls:
            # A broker that hangs must not keep a question from the others for long.
            may_ask_another = method == "GET" and url != urls[-1]
            timeout_s = min(_ANOTHER_AFTER_S, longest_s) if may_ask_another else longest_s
            try:
                response = self._send(method, url + path, body, timeout_s)
            except httpx.ConnectError as error:
                failures.append(f"{shown(url)} ({reason(error)})")
            except httpx.TimeoutException:
                failures.append(f"{shown(url)} (no answer in time)")
                if method != "GET":
                    raise NetworkError(f"{shown(url)} did not answer in time") from None
            except httpx.TransportError as error:
                why = reason(error)
                if url not in self._answered and isinstance(
                    error, httpx.RemoteProtocolError | httpx.ReadError
                ):
                    why = _NO_HTTP
                failures.append(f"{shown(url)} ({why})")
                if method != "GET":
                    raise NetworkError(f"The request to {shown(url)} failed: {why}") from None
            else:
                self._answered.add(url)
                self._prefer(url)
                return _checked(response, url)
        raise NoBrokerError(f"No broker can be reached: {', '.join(failures)}.")

    def _send(self, method: str, url: str, body: object, timeout_s: float) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"content-type": "application/json"}
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
        return self._http.request(method, url, content=content, headers=headers, timeout=timeout)

    def _prefer(self, url: str) -> None:
        """Ask the broker that answered first from now on."""
        if url in self._urls and self._urls[0] != url:
            self._urls.remove(url)
            self._urls.insert(0, url)


def _find_through_zookeeper(connect: str) -> list[str]:
    # kazoo is only loaded by those who ask for it.
    from kafkalite.coordination.discovery import find_brokers  # noqa: PLC0415
    from kafkalite.coordination.errors import CoordinationError  # noqa: PLC0415

    try:
        brokers = find_brokers(check_zookeeper_connect(connect), _DISCOVERY_TIMEOUT_S)
    except ValueError as error:
        raise CommandError(f"Invalid --zookeeper: {error}") from None
    except CoordinationError as error:
        raise NoBrokerError(str(error)) from None
    return [broker.url for broker in brokers]


def _named(partition: TopicPartition) -> dict[str, object]:
    return {"topic": partition.topic, "partition": partition.partition}


def _topic_path(name: str) -> str:
    return f"/v1/topics/{quote(name, safe='')}"


def _all(include_all: bool) -> str:
    return "?all=true" if include_all else ""


def _checked(response: httpx.Response, url: str) -> httpx.Response:
    """`response`, unless it is a refusal, which is raised as its class of the error table."""
    if response.is_success:
        return response
    raise refusal(response.content, response.status_code, url)


def refusal(body: bytes, status: int, url: str) -> Exception:
    """The exception for an answer that is no success."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
        extra: dict[str, Any] = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return CommandError(
            f"{shown(url)} is not a broker of kafkalite: it answered with status {status}."
        )
    members = {name: extra[name] for name in ("leader_id", "leader_url") if name in extra}
    return error_by_name(problem.error)(problem.detail or None, **members)


def _decode(response: httpx.Response, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError:
        raise CommandError(
            f"{shown(str(response.url.copy_with(raw_path=b'/')))} is not a broker of kafkalite: "
            "its answer cannot be read."
        ) from None
