"""Create the Spark session, or join a running one."""

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
    LOG4J_FILE,
    context_conf,
    launch_conf,
    log_properties,
    merge_user_conf,
    session_conf,
)
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.settings import Settings

# Prefixes of the settings that the JVM must have before there is a SparkContext.
LAUNCH_PREFIXES = ("spark.driver.", "spark.jars", "spark.master", "spark.submit.")
# Lines that no option turns off, from Java's start, from the sketch that counts outcomes, and from
# each task of a worker with limited memory.
IGNORED_LINES = (
    b"WARNING: Using incubator modules",
    b"Warning: Java versions > Java 11 can only operate",
    b"Current mem limits: ",
    b"Setting mem limits to ",
)
# Loggers of pyspark that print an exception as JSON and also raise it.
REDUNDANT_LOGGERS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")


@contextmanager
def running(settings: Settings) -> Iterator[SparkSession]:
    """Yield a session, and translate Spark's exceptions into Tidemill errors.

    Stop the session at the end, unless it ran before: Databricks requires that.

    Raises:
        TidemillError: The session cannot be created, or Spark failed while it ran.

    """
    owned = not _session_exists()
    spark = create(settings)
    try:
        yield spark
    except (PySparkException, Py4JError, ConnectionError) as error:
        raise translate(error, settings.stream.checkpoint_location) from error
    finally:
        if owned:
            with suppress(PySparkException, Py4JError, OSError):  # the JVM may have exited
                spark.stop()


def create(settings: Settings) -> SparkSession:
    """Return a new session, or the running one, as in a notebook or on Databricks.

    Raises:
        JavaNotFound: This process must start Java and finds no suitable version.
        ArtifactsUnavailable: Spark's Kafka connector cannot be fetched.

    """
    if settings.log.level != "DEBUG":
        for name in REDUNDANT_LOGGERS:
            PySparkLogger.getLogger(name).setLevel("CRITICAL")
    session_exists = _session_exists()
    gateway_exists = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started the JVM
    submitted = gateway_exists and not session_exists
    needs_jvm = not (gateway_exists or session_exists)
    conf = session_conf(settings)
    if not session_exists:
        conf |= context_conf(settings)
    if needs_jvm:
        conf |= launch_conf(settings)
    if submitted:
        conf["spark.log.level"] = "INFO" if settings.log.level == "DEBUG" else "ERROR"
    conf = merge_user_conf(conf, settings.spark)
    if needs_jvm and SparkContext._gateway is None:  # noqa: SLF001 - an earlier session may leave it
        _launch(conf)
    builder = SparkSession.builder
    for name, value in conf.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if submitted:
        _configure_log4j(spark, settings, conf["spark.log.level"])
    elif gateway_exists and settings.log.level != "DEBUG":
        spark.sparkContext.setLogLevel("ERROR")  # this JVM keeps a log format of its own
    return spark


def _session_exists() -> bool:
    return SparkSession.getActiveSession() is not None


def _configure_log4j(spark: SparkSession, settings: Settings, level: str) -> None:
    """Make the JVM of spark-submit log in the job's format.

    Do so after the SparkContext is created, which loads Spark's default configuration again. Keep a
    configuration that Java's command line names.
    """
    java: Any = spark.sparkContext._jvm  # noqa: SLF001 - the only access to log4j
    if java.System.getProperty(LOG4J_FILE):
        return
    properties = log_properties(settings, level)
    for name, value in properties.items():
        java.System.setProperty(name, value)
    with suppress(Py4JError, TypeError):  # this Spark may log through another library
        uri = java.java.net.URI(properties[LOG4J_FILE])
        java.org.apache.logging.log4j.core.config.Configurator.reconfigure(uri)


def _launch(conf: dict[str, str]) -> None:
    """Start the JVM and the SparkContext; forward the JVM's standard error without its noise."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    reader, writer = os.pipe()
    # Read before the JVM starts, as its first lines could fill the pipe.
    threading.Thread(target=_forward_lines, args=(reader,), daemon=True).start()
    try:
        gateway = launch_gateway(
            # Any user can read Java's command line, so everything else, secrets too, comes later.
            SparkConf().setAll([(k, v) for k, v in conf.items() if k.startswith(LAUNCH_PREFIXES)]),
            # In a process session of its own the JVM misses the signals to the job's group. It
            # exits when its standard input closes.
            popen_kwargs={"stderr": writer, "start_new_session": True},
        )
    finally:
        os.close(writer)
    SparkContext(conf=SparkConf().setAll(list(conf.items())), gateway=gateway)


def _forward_lines(reader: int) -> None:
    with os.fdopen(reader, "rb") as lines:
        for line in lines:
            if line.strip() and not line.startswith(IGNORED_LINES):
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()
