"""What docker-compose.yml and the Dockerfile tell a broker is what a broker understands."""

import re
from pathlib import Path

import pytest

from kafkalite.config.keys import BrokerSettings
from kafkalite.config.load import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SHARED = dict(re.findall(r"^  (KAFKALITE_\w+): (.+)$", COMPOSE, re.MULTILINE))
BROKERS = re.findall(r"^  (broker-\d):\n((?:    .*\n)+)", COMPOSE, re.MULTILINE)


def settings_of(service: str) -> BrokerSettings:
    own = dict(re.findall(r'^      (KAFKALITE_\w+): "?([^"\n]+)"?$', service, re.MULTILINE))
    file = ROOT / "configs" / "server-container.properties"
    loaded = load_settings(file, environ=SHARED | own)
    assert loaded.warnings == []
    return loaded.settings


def test_there_are_three_brokers_with_numbers_of_their_own() -> None:
    assert [settings_of(service).broker_id for _, service in BROKERS] == [0, 1, 2]


@pytest.mark.parametrize(("name", "service"), BROKERS)
def test_broker_is_known_by_its_host_and_published_port(name: str, service: str) -> None:
    settings = settings_of(service)
    advertised = settings.advertised_listener(settings.listeners.port)
    assert advertised == (name, settings.listeners.port)
    assert f'ports: ["{advertised.port}:{advertised.port}"]' in service
    assert f"hostname: {name}\n" in service


@pytest.mark.parametrize(("name", "service"), BROKERS)
def test_logs_are_in_the_volume(name: str, service: str) -> None:
    (directory,) = settings_of(service).log_directories
    assert f'volumes: ["{name}:{directory}"]' in service
    assert f"VOLUME {directory}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_server_of_the_ensemble_is_connected_to() -> None:
    servers = re.findall(r"server\.\d=([\w-]+):", COMPOSE)
    hosts = SHARED["KAFKALITE_ZOOKEEPER_CONNECT"].partition("/")[0].split(",")
    assert hosts == [f"{server}:2181" for server in servers]
    assert len(servers) == 3
