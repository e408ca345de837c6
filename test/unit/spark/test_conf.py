from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from tidemill.models.pool.launch import NO_BACKGROUND_THREADS
from tidemill.settings import KafkaSettings, LogSettings, Settings, StreamSettings
from tidemill.spark.conf import (
    REDACTION_REGEX,
    context_conf,
    launch_conf,
    merge_user_conf,
    session_conf,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _java_and_spark(make_java: Callable[..., Path], spark_jars: Path) -> Iterator[None]:
    """Provide a Java, and a Spark with the connector; restore the environment afterwards."""
    make_java()
    (spark_jars / "spark-sql-kafka-0-10_2.13-4.2.0.jar").touch()
    with mock.patch.dict(os.environ):
        yield


class TestSessionConf:
    """Settings for any session."""

    def test_from_settings(self) -> None:
        """A worker's batch size and timeout come from the settings, and the time zone is UTC."""
        stream = StreamSettings(arrow_batch_size=32, udf_idle_timeout=45)
        options = session_conf(Settings(stream=stream))
        assert options["spark.sql.execution.arrow.maxRecordsPerBatch"] == "32"
        assert options["spark.sql.execution.pyspark.udf.idleTimeoutSeconds"] == "45"
        assert options["spark.sql.execution.pyspark.udf.killOnIdleTimeout"] == "true"
        assert options["spark.sql.session.timeZone"] == "UTC"


class TestContextConf:
    """Settings for a new context."""

    def test_threads(self) -> None:
        """Numeric libraries have a limited number of threads on every executor."""
        options = context_conf(Settings(stream=StreamSettings(worker_threads=3)))
        assert options["spark.executorEnv.OMP_NUM_THREADS"] == "3"

    def test_no_thread_of_arrow(self) -> None:
        """The installed Arrow starts no thread in the environment of an executor."""
        environment = {
            name.removeprefix("spark.executorEnv."): value
            for name, value in context_conf(Settings()).items()
        }
        count = "import os, pyarrow; print(len(os.listdir('/proc/self/task')))"
        for without, threads in ((), 1), (NO_BACKGROUND_THREADS, 2):
            env = {name: environment[name] for name in environment.keys() - without} | {"PATH": ""}
            printed = subprocess.check_output([sys.executable, "-c", count], env=env)
            assert int(printed) == threads

    def test_token_endpoint(self) -> None:
        """Kafka's client may fetch tokens from the configured URL on executors too."""
        kafka = KafkaSettings(oauth_token_url="https://id/token")
        options = context_conf(Settings(kafka=kafka))
        assert options["spark.executor.extraJavaOptions"] == (
            "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=https://id/token"
        )

    def test_no_token_endpoint(self) -> None:
        """Without a token URL, executors get no Java options."""
        assert "spark.executor.extraJavaOptions" not in context_conf(Settings())


class TestLaunchConf:
    """Settings for a new JVM."""

    def test_local(self) -> None:
        """By default, Spark runs locally, retries failed tasks and listens on loopback only."""
        options = launch_conf(Settings())
        assert re.fullmatch(r"local\[\d+,[2-9]\]", options["spark.master"])
        assert options["spark.driver.host"] == options["spark.driver.bindAddress"] == "127.0.0.1"

    def test_more_tasks_than_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two more tasks than cores run, because the pool computes what others wait for."""
        monkeypatch.setattr("tidemill.spark.conf.cores", lambda: 6)
        assert launch_conf(Settings())["spark.master"].startswith("local[8,")

    def test_cluster(self) -> None:
        """On a cluster, the driver's address, the workers' memory and their daemon are not set."""
        options = launch_conf(Settings(spark={"spark.master": "k8s://https://c"}))
        assert "spark.driver.host" not in options
        assert "spark.executor.pyspark.memory" not in options
        assert "spark.python.daemon.module" not in options

    @pytest.mark.parametrize(
        ("master", "location", "expected"),
        [
            ("local[2]", ".tidemill/checkpoints", True),
            ("local[2]", "file:/var/checkpoints", True),
            ("local-cluster[2,1,1024]", "/var/checkpoints", True),
            ("local[2]", "hdfs://h/checkpoints", False),
            ("local[2]", "nowhere://h/checkpoints", False),
            ("yarn", "/var/checkpoints", False),
        ],
    )
    def test_checkpoint_files(self, master: str, location: str, expected: bool) -> None:
        """The faster checkpoint manager is used only for a local file system.

        On a cluster, a plain path may be on any file system.
        """
        stream = StreamSettings(checkpoint_location=location)
        options = launch_conf(Settings(spark={"spark.master": master}, stream=stream))
        assert ("spark.sql.streaming.checkpointFileManagerClass" in options) == expected

    def test_daemon(self) -> None:
        """Local workers are forked from a process that has imported what every worker needs."""
        assert launch_conf(Settings())["spark.python.daemon.module"] == "tidemill.spark.daemon"

    def test_sockets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Local workers are connected by Unix sockets in a private folder."""
        monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 - a short path, for a socket
        options = launch_conf(Settings())
        assert options["spark.python.unix.domain.socket.enabled"] == "true"
        folder = Path(options["spark.python.unix.domain.socket.dir"])
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_path_too_long_for_sockets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If the path of the temporary folder is too long for a socket, Spark uses TCP."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
        assert "spark.python.unix.domain.socket.enabled" not in launch_conf(Settings())

    def test_worker_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A local worker has a memory limit, and few glibc arenas, which count towards it."""
        monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
        options = launch_conf(Settings())
        assert int(options["spark.executor.pyspark.memory"].removesuffix("m")) >= 4096
        assert int(os.environ["MALLOC_ARENA_MAX"]) < 8

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_log_layout(self, log_format: str) -> None:
        """Spark logs in the job's format; the configuration file exists."""
        settings = Settings(log=LogSettings(format=log_format))
        java = launch_conf(settings)["spark.driver.extraJavaOptions"]
        match = re.search(r"-Dlog4j2\.configurationFile=file://(\S+)", java)
        assert match
        assert Path(match[1]).is_file()
        assert log_format in match[1]

    @pytest.mark.parametrize(("level", "spark_level"), [("INFO", "off"), ("DEBUG", "info")])
    def test_log_level(self, level: str, spark_level: str) -> None:
        """Spark logs only if the job's level is DEBUG."""
        settings = Settings(log=LogSettings(level=level))
        java = launch_conf(settings)["spark.driver.extraJavaOptions"]
        assert f"-Dtidemill.spark.level={spark_level}" in java

    def test_token_endpoint(self) -> None:
        """Kafka's client, which refuses all token URLs by default, may use the configured one."""
        kafka = KafkaSettings(oauth_token_url="https://id/token")
        java = launch_conf(Settings(kafka=kafka))["spark.driver.extraJavaOptions"]
        assert java.endswith("allowed.urls=https://id/token")

    @pytest.mark.parametrize("name", ["spark.jars", "spark.jars.packages"])
    def test_own_jars(self, name: str) -> None:
        """The connector's jars are not added if the user sets the jars."""
        assert "spark.jars" not in launch_conf(Settings(spark={name: "x"}))


class TestMergeUserConf:
    """The user's settings take precedence."""

    def test_wins(self) -> None:
        """A user's setting replaces the job's."""
        assert merge_user_conf(
            {"spark.master": "local", "a": "1"}, {"spark.master": "k8s://c"}
        ) == {
            "spark.master": "k8s://c",
            "a": "1",
        }

    @pytest.mark.parametrize("process", ["driver", "executor"])
    def test_java_options(self, process: str) -> None:
        """A user's Java options are appended to the job's."""
        name = f"spark.{process}.extraJavaOptions"
        assert merge_user_conf({name: "-Da=1"}, {name: "-Xss4m -Db=2"}) == {
            name: "-Da=1 -Xss4m -Db=2"
        }
        assert merge_user_conf({}, {name: "-Xss4m"}) == {name: "-Xss4m"}


class TestRedaction:
    """Spark redacts secrets when it shows its settings."""

    @pytest.mark.parametrize(
        "key",
        [
            "kafka.sasl.jaas.config",
            "kafka.ssl.keystore.key",
            "kafka.ssl.key.password",
            "kafka.ssl.truststore.password",
            "spark.hadoop.fs.s3a.secret.key",
            "spark.hadoop.fs.s3a.access.key",
            "spark.some.token",
        ],
    )
    def test_hidden(self, key: str) -> None:
        """Every setting that contains a secret is redacted."""
        assert re.search(REDACTION_REGEX, key)

    @pytest.mark.parametrize("key", ["kafka.bootstrap.servers", "spark.master"])
    def test_shown(self, key: str) -> None:
        """Other settings are not redacted."""
        assert not re.search(REDACTION_REGEX, key)
