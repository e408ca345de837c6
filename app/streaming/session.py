"""The Spark session, as the job needs it."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from app.streaming import daemon
from app.streaming.checkpoint import is_local
from app.streaming.failure import translate
from app.streaming.jars import connector_jars
from app.streaming.java import find_java
from app.streaming.memory import worker_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.settings import Settings

# More than one attempt at a task, which plain `local[*]` does not give.
LOCAL_MASTER = "local[*,4]"
MAX_BYTES_PER_ARROW_BATCH = 16 * 1024 * 1024
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# What spark-submit must know before there is a SparkContext.
AT_LAUNCH = ("spark.driver.", "spark.jars", "spark.master", "spark.submit.")
JAVA_OPTIONS = ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
LOOPBACK = "127.0.0.1"
# Bytes of a path: a socket's may have 107 (103 on macOS), of which 61 are our folder's and its own.
MOST_TEMPORARY = 40
# Said by every Java that Spark 4 starts, by the sketch that counts outcomes, and by every task of a
# worker with limited memory; no option turns them off.
NOISE = (
    b"WARNING: Using incubator modules",
    b"Warning: Java versions > Java 11 can only operate",
    b"Current mem limits: ",
    b"Setting mem limits to ",
)
# Spark's default asks the local file system through processes that it starts, 100 ms a micro-batch.
# This one writes and renames as that does, with the same checksums. Elsewhere, as on HDFS, only the
# default's rename is atomic.
CHECKPOINT_FILES = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
)
# Stands in the names of Spark's metrics where the application's id would, which changes.
METRICS_NAMESPACE = "tidemill"
SERVLET = "spark.metrics.conf.*.sink.prometheusServlet"
# What pyspark prints in JSON of an exception that it also raises.
NOISY = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
# Spark's default, and what holds a password here; it replaces the default when set.
REDACTED = r"(?i)secret|password|token|access[.]?key|sasl[.]jaas[.]config|ssl[.]keystore[.]key"


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
        JavaMissing: This process must start Java and finds none that fits.
        ArtifactsUnavailable: Spark's Kafka connector cannot be fetched.

    """
    if settings.log.level != "DEBUG":
        for name in NOISY:
            PySparkLogger.getLogger(name).setLevel("CRITICAL")
    options = runtime_options(settings)
    runs = _runs()
    java_runs = runs or "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started it
    if not runs:
        options |= context_options(settings)
    if not java_runs:
        options |= launch_options(settings)
    options = with_own(options, settings.spark)
    if not java_runs and SparkContext._gateway is None:  # noqa: SLF001 - of an earlier session
        _launch(options)
    builder = SparkSession.builder
    for name, value in options.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if "PYSPARK_GATEWAY_PORT" in os.environ and settings.log.level != "DEBUG":
        spark.sparkContext.setLogLevel("ERROR")  # that Java logs in its own way
    return spark


def _runs() -> bool:
    """Tell whether a session runs already."""
    return SparkSession.getActiveSession() is not None


def with_own(options: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """Let the user's own settings win; of Java's options both hold."""
    both = options.keys() & own.keys() & set(JAVA_OPTIONS)
    return options | own | {name: f"{options[name]} {own[name]}" for name in both}


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
        "spark.sql.streaming.metricsEnabled": "true",
        "spark.sql.redaction.options.regex": REDACTED,
    }


def context_options(settings: Settings) -> dict[str, str]:
    """Return what must be known before the SparkContext is made."""
    options = {
        "spark.app.name": f"tidemill-{settings.stream.group_id}",
        "spark.redaction.regex": REDACTED,
        "spark.metrics.namespace": METRICS_NAMESPACE,
        "spark.ui.prometheus.enabled": "true",
        f"{SERVLET}.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        f"{SERVLET}.path": "/metrics/prometheus",
        **{f"spark.executorEnv.{name}": value for name, value in _threads(settings).items()},
    }
    if allowed := _allowed_urls(settings):
        options["spark.executor.extraJavaOptions"] = allowed
    return options


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
        # The UI's address; and what the workers inherit where there are no executors.
        os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
        # Of glibc: each arena takes 64 MiB of addresses, and every thread would have one.
        os.environ.setdefault("MALLOC_ARENA_MAX", "4")
        os.environ.update(_threads(settings))
    return options


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


def _threads(settings: Settings) -> dict[str, str]:
    return dict.fromkeys(THREAD_VARIABLES, str(settings.stream.worker_threads))


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
