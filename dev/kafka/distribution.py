"""Download Apache Kafka's jars once from Maven, and build commands that run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev import ROOT, class_archives
from tidemill.spark.ivy import retrieve
from tidemill.spark.java import find_java

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = "4.3.1"
LIBS: Final = ROOT / ".tidemill" / f"kafka-{VERSION}" / "libs"
COORDINATES: Final = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    f"org.apache.kafka:kafka-tools:{VERSION}",
    # Kafka does not depend on a log library; without one the broker would log nothing.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
# The tools depend on Kafka Connect and its web server; without them the download takes a third less
# time.
UNUSED: Final = ("connect-runtime", "connect-transforms", "maven-artifact")
LOG_CONFIG: Final = Path(__file__).with_name("log4j2.properties")
# For a start in seconds on two cores: no optimising compiler, one collector thread.
QUICK_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


def fetch_kafka(libs: Path = LIBS, report: Callable[[str], None] | None = None) -> Path:
    """Download Kafka's jars into a folder, if they are missing, and return the folder.

    Raises:
        ArtifactsUnavailable: The download failed.
        JavaNotFound: There is no Java.

    """
    retrieve(COORDINATES, libs, exclude=UNUSED, report=report)
    return libs


def java_command(
    libs: Path, main_class: str, *, heap: str = "256m", log: str = "WARN"
) -> list[str]:
    """Return the command that runs one of Kafka's main classes, without arguments."""
    return [
        find_java(),
        f"-Xmx{heap}",
        *QUICK_JVM,
        *class_archives.use(libs),
        f"-Dlog4j2.configurationFile={LOG_CONFIG}",
        f"-Dkafka.log.level={log}",
        *("-cp", f"{libs}/*"),
        main_class,
    ]
