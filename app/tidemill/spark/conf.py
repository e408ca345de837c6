"""What Spark is told before it starts, and while it runs."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.spark import daemon
from tidemill.spark.filesystem import is_local
from tidemill.spark.jars import connector_jars
from tidemill.spark.java import find_java
from tidemill.spark.worker_memory import worker_memory

if TYPE_CHECKING:
    from tidemill.settings import Settings

# More than one attempt at a task, which plain `local[*]` does not give.
LOCAL_MASTER = "local[*,4]"
MAX_BYTES_PER_ARROW_BATCH = 16 * 1024 * 1024
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Arrow's allocator would start a thread. With one alone, C++ counts references without atomic
# operations, which take a sixth of spaCy's time; and a fork may have what was loaded before it.
SINGLE_THREADED_ARROW = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
JAVA_OPTIONS = ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
LOOPBACK = "127.0.0.1"
# Bytes of a path: a socket's may have 107 (103 on macOS), of which 61 are our folder's and its own.
MOST_TEMPORARY = 40
# Spark's default asks the local file system through processes that it starts, 100 ms a micro-batch.
# This one writes and renames as that does, with the same checksums. Elsewhere, as on HDFS, only the
# default's rename is atomic.
CHECKPOINT_FILES = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
)
# Stands in the names of Spark's metrics where the application's id would, which changes.
METRICS_NAMESPACE = "tidemill"
LOG_FILE = "log4j2.configurationFile"  # log4j's own property
SERVLET = "spark.metrics.conf.*.sink.prometheusServlet"
# Spark's default, and what holds a password here; it replaces the default when set.
REDACTION_REGEX = (
    r"(?i)secret|password|token|access[.]?key|sasl[.]jaas[.]config|ssl[.]keystore[.]key"
)


def merge_user_conf(options: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """Let the user's own settings win; of Java's options both hold."""
    both = options.keys() & own.keys() & set(JAVA_OPTIONS)
    return options | own | {name: f"{options[name]} {own[name]}" for name in both}


def session_conf(settings: Settings) -> dict[str, str]:
    """Return what may be set on any session, running or not."""
    stream = settings.stream
    simplified = settings.log.level != "DEBUG"  # without the cause, which is where a model failed
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
    """Return what must be known before the SparkContext is made."""
    options = {
        "spark.app.name": f"tidemill-{settings.stream.group_id}",
        "spark.redaction.regex": REDACTION_REGEX,
        "spark.metrics.namespace": METRICS_NAMESPACE,
        "spark.ui.prometheus.enabled": "true",
        f"{SERVLET}.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        f"{SERVLET}.path": "/metrics/prometheus",
        **{f"spark.executorEnv.{name}": value for name, value in _of_workers(settings).items()},
    }
    if allowed := _allowed_urls(settings):
        options["spark.executor.extraJavaOptions"] = allowed
    return options


def launch_conf(settings: Settings) -> dict[str, str]:
    """Return what must be known before Java starts; spark-submit takes it on its command line."""
    find_java()
    # Spark prints pages for what comes back to us as one error.
    java = [f"-D{name}={value}" for name, value in logging(settings, quiet="off").items()]
    if allowed := _allowed_urls(settings):
        java.append(allowed)
    options = {
        "spark.master": LOCAL_MASTER,
        "spark.driver.extraJavaOptions": " ".join(java),
        "spark.ui.showConsoleProgress": "false",
    }
    if not {"spark.jars", "spark.jars.packages"} & set(settings.spark):
        options["spark.jars"] = ",".join(str(jar) for jar in connector_jars())
    if settings.spark.get("spark.master", LOCAL_MASTER).startswith("local"):
        options |= {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
        options |= worker_memory(settings.spark) | _sockets()
        options |= {
            "spark.python.daemon.module": daemon.__name__,
            f"spark.executorEnv.{daemon.MODELS}": str(settings.models.absolute()),
        }
        if is_local(settings.stream.checkpoint_location):
            options["spark.sql.streaming.checkpointFileManagerClass"] = CHECKPOINT_FILES
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)  # the UI's address
        # Of glibc: each arena takes 64 MiB of addresses, and every thread would have one.
        os.environ.setdefault("MALLOC_ARENA_MAX", "4")
    return options


def logging(settings: Settings, quiet: str) -> dict[str, str]:
    """Return the properties by which Java logs like the job: at level `quiet`, unless at DEBUG."""
    debug = settings.log.level == "DEBUG"
    return {
        LOG_FILE: Path(__file__).with_name(f"log4j2-{settings.log.format}.properties").as_uri(),
        "tidemill.spark.level": "info" if debug else quiet,
        "tidemill.spark.trace": "full" if debug else "0",
    }


def _allowed_urls(settings: Settings) -> str | None:
    """Return the option without which Kafka's client fetches no token."""
    url = settings.kafka.oauth_token_url
    return f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}" if url else None


def _sockets() -> dict[str, str]:
    """Return what makes Java and its workers talk through Unix sockets, that only this user sees.

    Over TCP the second of two short writes, as a task and its few rows are, waits 40 ms for the
    first to be acknowledged. None where the temporary folder's path leaves a socket's no room.
    """
    if len(os.fsencode(tempfile.gettempdir())) > MOST_TEMPORARY:
        return {}
    folder = tempfile.mkdtemp(prefix="tidemill-")  # whoever reaches a socket may give orders
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.unix.domain.socket.dir": folder,
    }


def _of_workers(settings: Settings) -> dict[str, str]:
    """Return what the workers' environment says of threads."""
    threads = dict.fromkeys(THREAD_VARIABLES, str(settings.stream.worker_threads))
    return threads | SINGLE_THREADED_ARROW
