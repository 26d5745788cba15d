"""Apache Kafka from Maven Central, fetched once."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "3.9.1"
_ARTIFACTS: Final = ("kafka_2.13", "kafka-tools")
_FETCH_TIMEOUT_S: Final = 900.0
_SHOWN_CHARACTERS: Final = 3000


def why_no_kafka() -> str | None:
    """Why Kafka cannot be run here, in a sentence, or None when it can."""
    if shutil.which("java") is None:
        return "Apache Kafka needs java (17 or later), which is not on the PATH"
    if shutil.which("mvn") is None and not _is_fetched(_cache()):
        return "Apache Kafka is fetched with Maven, and mvn is not on the PATH"
    return None


def fetch_kafka() -> Path:
    """The directory with Kafka's jars and those that they need.

    Raises:
        RuntimeError: Maven could not get them.
    """
    directory = _cache()
    if _is_fetched(directory):
        return directory
    print(f"Fetching Apache Kafka {KAFKA_VERSION} with Maven into {directory}", flush=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as name:
        project = Path(name) / "pom.xml"
        project.write_text(_pom())
        done = subprocess.run(
            [
                *("mvn", "--batch-mode", "--quiet", "--file", str(project)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={name}/jars"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise RuntimeError(f"Maven failed:\n{(done.stdout + done.stderr)[-_SHOWN_CHARACTERS:]}")
        shutil.rmtree(directory, ignore_errors=True)
        (Path(name) / "jars").rename(directory)
    return directory


def _is_fetched(directory: Path) -> bool:
    return (directory / f"{_ARTIFACTS[0]}-{KAFKA_VERSION}.jar").exists()


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "kafkalite-benchmarks" / f"kafka-{KAFKA_VERSION}"


def _pom() -> str:
    dependencies = "".join(
        f"<dependency><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{KAFKA_VERSION}</version></dependency>"
        for artifact in _ARTIFACTS
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>benchmarks</groupId><artifactId>peer</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
