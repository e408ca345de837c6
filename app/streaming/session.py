"""The Spark session, as the job needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from app.streaming.jars import connector_jars, find_java

if TYPE_CHECKING:
    from app.settings import Settings

# More than one attempt at a task, which plain `local[*]` does not give.
LOCAL_MASTER = "local[*,4]"
MAX_BYTES_PER_ARROW_BATCH = 16 * 1024 * 1024
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Spark's default, and what holds a password here; it replaces the default when set.
REDACTED = r"(?i)secret|password|token|access[.]?key|sasl[.]jaas[.]config|ssl[.]keystore[.]key"


def create(settings: Settings) -> SparkSession:
    """Return a new session, or the one that runs already, as on Databricks.

    Raises:
        JavaMissing: This process must start Java and finds none that fits.
        ArtifactsUnavailable: Spark's Kafka connector cannot be fetched.

    """
    options = {**runtime_options(settings), **settings.spark}
    builder = SparkSession.builder.appName(f"tidemill-{settings.stream.group_id}")
    if not _started_by_spark():
        options = {**launch_options(settings), **options}
        threads = {name: str(settings.stream.worker_threads) for name in THREAD_VARIABLES}
        os.environ.update(threads)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if options["spark.master"].startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def runtime_options(settings: Settings) -> dict[str, str]:
    """Return what may be set on any session, before or after its start."""
    stream = settings.stream
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(stream.arrow_batch_size),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(MAX_BYTES_PER_ARROW_BATCH),
        "spark.sql.execution.pyspark.udf.idleTimeoutSeconds": str(stream.udf_idle_timeout),
        "spark.sql.execution.pyspark.udf.killOnIdleTimeout": "true",
        "spark.sql.streaming.stopTimeout": "30s",
        "spark.sql.redaction.options.regex": REDACTED,
    }


def launch_options(settings: Settings) -> dict[str, str]:
    """Return what must be known before Java starts; under spark-submit its own command says it."""
    find_java()
    level = settings.log.level
    layout = Path(__file__).with_name(f"log4j2-{settings.log.format}.properties")
    java = [
        f"-Dlog4j2.configurationFile={layout.as_uri()}",
        f"-Dtidemill.spark.level={'info' if level == 'DEBUG' else 'off'}",
        f"-Dtidemill.spark.trace={'full' if level == 'DEBUG' else '0'}",
    ]
    if url := settings.kafka.oauth_token_url:
        java.append(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}")
    options = {
        "spark.master": LOCAL_MASTER,
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.redaction.regex": REDACTED,
        "spark.ui.showConsoleProgress": "false",
    }
    options |= {
        f"spark.executorEnv.{name}": str(settings.stream.worker_threads)
        for name in THREAD_VARIABLES
    }
    if not {"spark.jars", "spark.jars.packages"} & set(settings.spark):
        options["spark.jars"] = ",".join(str(jar) for jar in connector_jars())
    options |= settings.spark
    if options["spark.master"].startswith("local"):
        options = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"} | options
    return options


def _started_by_spark() -> bool:
    """Tell whether spark-submit (or a notebook) has started Java already."""
    return "PYSPARK_GATEWAY_PORT" in os.environ or SparkSession.getActiveSession() is not None
