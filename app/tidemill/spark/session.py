"""The Spark session, as the job needs it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from tidemill.spark.conf import (
    LOG_FILE,
    context_conf,
    launch_conf,
    logging,
    merge_user_conf,
    session_conf,
)
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import Settings

# What spark-submit must know before there is a SparkContext.
AT_LAUNCH = ("spark.driver.", "spark.jars", "spark.master", "spark.submit.")
# Said by every Java that Spark 4 starts, by the sketch that counts outcomes, and by every task of a
# worker with limited memory; no option turns them off.
NOISE = (
    b"WARNING: Using incubator modules",
    b"Warning: Java versions > Java 11 can only operate",
    b"Current mem limits: ",
    b"Setting mem limits to ",
)
# What pyspark prints in JSON of an exception that it also raises.
NOISY = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")


@contextmanager
def running(settings: Settings) -> Iterator[SparkSession]:
    """Yield a session; what Spark raises comes out under its name here.

    A session that ran before is left running: Databricks asks for that.

    Raises:
        TidemillError: The session cannot be made, or Spark failed while it ran.

    """
    ours = not _runs()
    spark = create(settings)
    try:
        yield spark
    except (PySparkException, Py4JError, ConnectionError) as error:
        raise translate(error, settings.stream.checkpoint_location) from error
    finally:
        if ours:
            with suppress(PySparkException, Py4JError, OSError):  # Java may be gone
                spark.stop()


def create(settings: Settings) -> SparkSession:
    """Return a new session, or the one that runs already, as in a notebook or on Databricks.

    Raises:
        JavaNotFound: This process must start Java and finds none that fits.
        ArtifactsUnavailable: Spark's Kafka connector cannot be fetched.

    """
    if settings.log.level != "DEBUG":
        for name in NOISY:
            PySparkLogger.getLogger(name).setLevel("CRITICAL")
    options = session_conf(settings)
    runs = _runs()
    java_runs = runs or "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started it
    if not runs:
        options |= context_conf(settings)
    if not java_runs:
        options |= launch_conf(settings)
    submitted = java_runs and not runs
    if submitted:
        options["spark.log.level"] = "INFO" if settings.log.level == "DEBUG" else "ERROR"
    options = merge_user_conf(options, settings.spark)
    if not java_runs and SparkContext._gateway is None:  # noqa: SLF001 - of an earlier session
        _launch(options)
    builder = SparkSession.builder
    for name, value in options.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if submitted:
        _log_as_the_job(spark, settings, options["spark.log.level"])
    elif "PYSPARK_GATEWAY_PORT" in os.environ and settings.log.level != "DEBUG":
        spark.sparkContext.setLogLevel("ERROR")  # that Java logs in its own way
    return spark


def _runs() -> bool:
    """Tell whether a session runs already."""
    return SparkSession.getActiveSession() is not None


def _log_as_the_job(spark: SparkSession, settings: Settings, level: str) -> None:
    """Give the Java of spark-submit the job's log format.

    Not before the SparkContext is made, as that loads Spark's default configuration again. A
    configuration that the command line of Java names stays.
    """
    java: Any = spark.sparkContext._jvm  # noqa: SLF001 - the one way to log4j
    if java.System.getProperty(LOG_FILE):
        return
    properties = logging(settings, quiet=level)
    for name, value in properties.items():
        java.System.setProperty(name, value)
    with suppress(Py4JError, TypeError):  # a Spark that logs by another library
        where = java.java.net.URI(properties[LOG_FILE])
        java.org.apache.logging.log4j.core.config.Configurator.reconfigure(where)


def _launch(options: dict[str, str]) -> None:
    """Start Java and the SparkContext, with what Java prints freed from noise."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    reader, writer = os.pipe()
    # Read from before Java starts: what it prints early could fill the pipe.
    threading.Thread(target=_forward, args=(reader,), daemon=True).start()
    try:
        gateway = launch_gateway(
            # Java's command line can be seen by everybody: the rest, secrets among it, comes later.
            SparkConf().setAll([(k, v) for k, v in options.items() if k.startswith(AT_LAUNCH)]),
            # A session of its own: signals for the job's group are not for Java, which ends anyway
            # when its standard input closes.
            popen_kwargs={"stderr": writer, "start_new_session": True},
        )
    finally:
        os.close(writer)
    SparkContext(conf=SparkConf().setAll(list(options.items())), gateway=gateway)


def _forward(reader: int) -> None:
    with os.fdopen(reader, "rb") as lines:
        for line in lines:
            if line.strip() and not line.startswith(NOISE):
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()
