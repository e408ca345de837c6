"""Apache Kafka itself: its jars, fetched once from Maven, and the commands that run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev import ROOT
from tidemill.spark.ivy import retrieve
from tidemill.spark.java import find_java

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = "4.3.1"
LIBS: Final = ROOT / ".tidemill" / f"kafka-{VERSION}" / "libs"
COORDINATES: Final = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    f"org.apache.kafka:kafka-tools:{VERSION}",
    # Kafka leaves the choice of a log library open; without one the broker would log nothing.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
# Kafka Connect is in the tools' dependencies, with a web server; leaving it out saves a third of
# the time that the download takes.
UNUSED: Final = ("connect-runtime", "connect-transforms", "maven-artifact")
LOG_CONFIG: Final = Path(__file__).with_name("log4j2.properties")
# Starts in seconds on two cores: no optimising compiler, one collector thread.
QUICK_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


def fetch_kafka(libs: Path = LIBS, report: Callable[[str], None] | None = None) -> Path:
    """Fill a folder with Kafka's jars unless it holds them already, and return it.

    Raises ArtifactsUnavailable and JavaNotFound.
    """
    retrieve(COORDINATES, libs, exclude=UNUSED, report=report)
    return libs


def java_command(
    libs: Path, main_class: str, *, heap: str = "256m", log: str = "WARN"
) -> list[str]:
    """Return the command that runs one of Kafka's main classes; its arguments come after it."""
    return [
        find_java(),
        f"-Xmx{heap}",
        *QUICK_JVM,
        f"-Dlog4j2.configurationFile={LOG_CONFIG}",
        f"-Dkafka.log.level={log}",
        *("-cp", f"{libs}/*"),
        main_class,
    ]
