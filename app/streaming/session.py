"""The Spark session, as the job needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from app.streaming.jars import connector_jars
from app.streaming.java import find_java

if TYPE_CHECKING:
    from app.settings import Settings

# More than one attempt at a task, which plain `local[*]` does not give.
LOCAL_MASTER = "local[*,4]"
MAX_BYTES_PER_ARROW_BATCH = 16 * 1024 * 1024
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
LOOPBACK = "127.0.0.1"
# Said by every Java that Spark 4 starts; no option turns it off.
NOISE = b"WARNING: Using incubator modules"
# Spark's default, and what holds a password here; it replaces the default when set.
REDACTED = r"(?i)secret|password|token|access[.]?key|sasl[.]jaas[.]config|ssl[.]keystore[.]key"


def create(settings: Settings) -> SparkSession:
    """Return a new session, or the one that runs already, as in a notebook or on Databricks.

    Raises:
        JavaMissing: This process must start Java and finds none that fits.
        ArtifactsUnavailable: Spark's Kafka connector cannot be fetched.

    """
    options = runtime_options(settings) | settings.spark
    if SparkSession.getActiveSession() is None:
        options = context_options(settings) | options
        if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else spark-submit has started Java
            options |= launch_options(settings)
            if SparkContext._gateway is None:  # noqa: SLF001 - else Java runs from an earlier session
                _launch(options)
    builder = SparkSession.builder
    for name, value in options.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if "PYSPARK_GATEWAY_PORT" in os.environ and settings.log.level != "DEBUG":
        spark.sparkContext.setLogLevel("ERROR")  # that Java logs in its own way
    return spark


def runtime_options(settings: Settings) -> dict[str, str]:
    """Return what may be set on any session, running or not."""
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


def context_options(settings: Settings) -> dict[str, str]:
    """Return what must be known before the SparkContext is made."""
    return {
        "spark.app.name": f"tidemill-{settings.stream.group_id}",
        "spark.redaction.regex": REDACTED,
        **{f"spark.executorEnv.{name}": value for name, value in _threads(settings).items()},
    }


def launch_options(settings: Settings) -> dict[str, str]:
    """Return what must be known before Java starts; spark-submit takes it on its command line."""
    find_java()
    debug = settings.log.level == "DEBUG"
    layout = Path(__file__).with_name(f"log4j2-{settings.log.format}.properties")
    java = [
        f"-Dlog4j2.configurationFile={layout.as_uri()}",
        # Spark prints pages for what comes back to us as one error.
        f"-Dtidemill.spark.level={'info' if debug else 'off'}",
        f"-Dtidemill.spark.trace={'full' if debug else '0'}",
    ]
    if url := settings.kafka.oauth_token_url:
        java.append(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}")
    if more := settings.spark.get(JAVA_OPTIONS):
        java.append(more)
    options = {"spark.master": LOCAL_MASTER, "spark.ui.showConsoleProgress": "false"}
    if not {"spark.jars", "spark.jars.packages"} & set(settings.spark):
        options["spark.jars"] = ",".join(str(jar) for jar in connector_jars())
    if settings.spark.get("spark.master", LOCAL_MASTER).startswith("local"):
        options |= {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
        # The UI's address; and what the workers inherit where there are no executors.
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
        os.environ.update(_threads(settings))
    return options | settings.spark | {JAVA_OPTIONS: " ".join(java)}


def _threads(settings: Settings) -> dict[str, str]:
    return dict.fromkeys(THREAD_VARIABLES, str(settings.stream.worker_threads))


def _launch(options: dict[str, str]) -> None:
    """Start Java and the SparkContext, with what Java prints freed from noise."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf().setAll(list(options.items()))
    gateway = launch_gateway(conf, popen_kwargs={"stderr": subprocess.PIPE})
    threading.Thread(target=_forward, args=(gateway.proc.stderr,), daemon=True).start()
    SparkContext(conf=conf, gateway=gateway)


def _forward(lines: IO[bytes]) -> None:
    for line in lines:
        if not line.startswith(NOISE):
            sys.stderr.write(line.decode(errors="replace"))
            sys.stderr.flush()
