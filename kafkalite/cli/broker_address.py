"""Where brokers live: as people type it, or as ZooKeeper knows it."""

import argparse
from typing import Final

from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import ConfigError
from kafkalite.config.zookeeper_connect import check_zookeeper_connect

_DISCOVERY_TIMEOUT_S: Final = 10.0


def brokers_of(args: argparse.Namespace) -> list[str]:
    """The URLs of the brokers that `--bootstrap-server` or `--zookeeper` names.

    Raises:
        CommandError: an address is malformed, or ZooKeeper knows no broker.
    """
    if args.bootstrap_server is not None:
        return parse_bootstrap(args.bootstrap_server)
    return _find_through_zookeeper(args.zookeeper)


def parse_bootstrap(text: str) -> list[str]:
    """The URLs in a bootstrap list `host:port[,..]`; port 9092 where none is given.

    Raises:
        CommandError: a part of it is no address.
    """
    try:
        return [BrokerAddress.parse(part).url for part in text.split(",")]
    except ConfigError as error:
        raise CommandError(error.detail) from None


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


def shown(url: str) -> str:
    """`host:port` of `url`."""
    return url.removeprefix("http://").rstrip("/")
