"""Spark's settings, by the moment when each takes effect: launch, context or session."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.models.machine import cores
from tidemill.models.pool.launch import NO_BACKGROUND_THREADS, THREAD_VARIABLES
from tidemill.spark import daemon
from tidemill.spark.filesystem import is_local
from tidemill.spark.jars import connector_jars
from tidemill.spark.java import find_java
from tidemill.spark.worker_memory import worker_memory

if TYPE_CHECKING:
    from tidemill.settings import Settings

# On one machine, this many more tasks run than there are cores: while Java reads or writes for one
# task, the pool works for another.
MORE_TASKS_THAN_CORES = 2
MAX_FAILURES = 4  # of one task; with plain `local[*]`, Spark never retries a task
MAX_BYTES_PER_ARROW_BATCH = 16 * 1024 * 1024
JAVA_OPTIONS = ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
LOOPBACK = "127.0.0.1"
# In bytes. A socket's path may have 107 (103 on macOS); our folder and the socket's name take 61.
MAX_SOCKET_DIR = 40
# Spark's default manager starts processes to access local files, which takes 100 ms a micro-batch.
# This one writes, renames and checksums in the same way. On other file systems, such as HDFS, only
# the default manager's rename is atomic.
CHECKPOINT_FILE_MANAGER = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
)
# Replaces the application's id, which changes at each start, in the names of Spark's metrics.
METRICS_NAMESPACE = "tidemill"
LOG4J_FILE = "log4j2.configurationFile"  # log4j's own property
PROMETHEUS_SERVLET = "spark.metrics.conf.*.sink.prometheusServlet"
# Setting it replaces Spark's default, which is repeated here before Kafka's settings with secrets.
REDACTION_REGEX = (
    r"(?i)secret|password|token|access[.]?key|sasl[.]jaas[.]config|ssl[.]keystore[.]key"
)


def merge_user_conf(conf: dict[str, str], user_conf: dict[str, str]) -> dict[str, str]:
    """Override settings with the user's, but append the user's Java options to ours."""
    both = conf.keys() & user_conf.keys() & set(JAVA_OPTIONS)
    return conf | user_conf | {name: f"{conf[name]} {user_conf[name]}" for name in both}


def local_master() -> str:
    """Return the master that runs everything on this machine."""
    return f"local[{cores() + MORE_TASKS_THAN_CORES},{MAX_FAILURES}]"


def session_conf(settings: Settings) -> dict[str, str]:
    """Return the settings that any session takes, even one that is already running."""
    stream = settings.stream
    # A simplified traceback drops the cause, and with it the frames of a model that failed.
    simplified = settings.log.level != "DEBUG"
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(stream.arrow_batch_size),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(MAX_BYTES_PER_ARROW_BATCH),
        "spark.sql.execution.pyspark.udf.idleTimeoutSeconds": str(stream.udf_idle_timeout),
        "spark.sql.execution.pyspark.udf.killOnIdleTimeout": "true",
        "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": str(simplified).lower(),
        "spark.sql.streaming.stopTimeout": "30s",
        "spark.sql.streaming.metricsEnabled": "true",
        "spark.sql.redaction.options.regex": REDACTION_REGEX,
    }


def context_conf(settings: Settings) -> dict[str, str]:
    """Return the settings that must precede the SparkContext."""
    threads = dict.fromkeys(THREAD_VARIABLES, str(settings.stream.worker_threads))
    worker_env = threads | NO_BACKGROUND_THREADS
    conf = {
        "spark.app.name": f"tidemill-{settings.stream.group_id}",
        "spark.redaction.regex": REDACTION_REGEX,
        "spark.metrics.namespace": METRICS_NAMESPACE,
        "spark.ui.prometheus.enabled": "true",
        f"{PROMETHEUS_SERVLET}.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        f"{PROMETHEUS_SERVLET}.path": "/metrics/prometheus",
        **{f"spark.executorEnv.{name}": value for name, value in worker_env.items()},
    }
    if allow_token_url := _allow_token_url(settings):
        conf["spark.executor.extraJavaOptions"] = allow_token_url
    return conf


def launch_conf(settings: Settings) -> dict[str, str]:
    """Return the settings that must precede the JVM; spark-submit takes them as arguments."""
    find_java()
    # Spark logs pages about a failure that also reaches us as one exception.
    properties = log_properties(settings, level="off")
    java = [f"-D{name}={value}" for name, value in properties.items()]
    if allow_token_url := _allow_token_url(settings):
        java.append(allow_token_url)
    conf = {
        "spark.master": local_master(),
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.ui.showConsoleProgress": "false",
    }
    if not {"spark.jars", "spark.jars.packages"} & set(settings.spark):
        conf["spark.jars"] = ",".join(str(jar) for jar in connector_jars())
    if settings.spark.get("spark.master", "local").startswith("local"):
        conf |= {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
        conf |= worker_memory(settings.spark) | _unix_sockets()
        conf["spark.python.daemon.module"] = daemon.__name__
        if is_local(settings.stream.checkpoint_location):
            conf["spark.sql.streaming.checkpointFileManagerClass"] = CHECKPOINT_FILE_MANAGER
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)  # the address of Spark's UI
        # glibc gives every thread an arena, which reserves 64 MiB of addresses.
        os.environ.setdefault("MALLOC_ARENA_MAX", "4")
    return conf


def log_properties(settings: Settings, level: str) -> dict[str, str]:
    """Return the JVM properties that make Spark log in the job's format, at `level` or DEBUG."""
    debug = settings.log.level == "DEBUG"
    return {
        LOG4J_FILE: Path(__file__).with_name(f"log4j2-{settings.log.format}.properties").as_uri(),
        "tidemill.spark.level": "info" if debug else level,
        "tidemill.spark.trace": "full" if debug else "0",
    }


def _allow_token_url(settings: Settings) -> str | None:
    """Return the Java option without which Kafka's client refuses to fetch OAuth tokens."""
    url = settings.kafka.oauth_token_url
    return f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}" if url else None


def _unix_sockets() -> dict[str, str]:
    """Connect the JVM and its Python workers by Unix sockets in a folder that only this user reads.

    Over TCP, a task's few rows wait 40 ms until the peer acknowledges the write before them. Keep
    TCP if the path of the temporary folder is too long for a socket.
    """
    if len(os.fsencode(tempfile.gettempdir())) > MAX_SOCKET_DIR:
        return {}
    folder = tempfile.mkdtemp(prefix="tidemill-")  # private: a peer of a socket can run code
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.unix.domain.socket.dir": folder,
    }
