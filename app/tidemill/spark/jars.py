"""The jars of Spark's Kafka connector, fetched once and kept in the user's cache.

Spark could resolve `spark.jars.packages` by itself, but would do so at every start, over the
network, with a page of output, and would put second copies of its own jars on the classpath.
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
    """Return the connector's jars that Spark lacks; fetch them the first time.

    The list is empty where Spark's own jars hold the connector, as in an image. `report` is told
    each step of a download. Raises ArtifactsUnavailable and JavaNotFound.
    """
    spark_jars = spark_home() / "jars"
    if any(spark_jars.glob("spark-sql-kafka-*.jar")):
        return []
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    into = caches / "tidemill" / "jars" / CONNECTOR.split(":", 1)[1].replace(":", "-")
    return retrieve([CONNECTOR], into, exclude=modules(spark_jars), report=report)


def modules(folder: Path) -> list[str]:
    """Return the Maven modules that a folder's jars are named after: `lz4-java` for its 1.11.0."""
    names = (re.match(r"(.+)-\d+\.", jar.stem) for jar in folder.glob("*.jar"))
    return sorted({name[1] for name in names if name})
