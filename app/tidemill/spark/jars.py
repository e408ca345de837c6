"""Provide the jars of Spark's Kafka connector from the user's cache.

With `spark.jars.packages` Spark would resolve them over the network at every start, print a page of
output, and put second copies of its own jars on the classpath.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyspark

from tidemill.spark.ivy import retrieve
from tidemill.spark.java import spark_home

if TYPE_CHECKING:
    from collections.abc import Callable


CONNECTOR: Final = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{pyspark.__version__}"


def connector_jars(report: Callable[[str], None] | None = None) -> list[Path]:
    """Return the connector's jars that Spark lacks; download them the first time.

    The list is empty if Spark's own folder has the connector, as in an image. `report` is called
    with each step of a download. Raises ArtifactsUnavailable and JavaNotFound.
    """
    spark_jars = spark_home() / "jars"
    if any(spark_jars.glob("spark-sql-kafka-*.jar")):
        return []
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "tidemill" / "jars" / CONNECTOR.split(":", 1)[1].replace(":", "-")
    return retrieve([CONNECTOR], folder, exclude=maven_modules(spark_jars), report=report)


def maven_modules(folder: Path) -> list[str]:
    """Return the Maven modules of a folder's jars: `lz4-java` for `lz4-java-1.11.0.jar`."""
    names = (re.match(r"(.+)-\d+\.", jar.stem) for jar in folder.glob("*.jar"))
    return sorted({name[1] for name in names if name})
