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

from tidemill.settings import KafkaSettings, LogSettings, Settings, StreamSettings
from tidemill.spark.conf import (
    REDACTION_REGEX,
    SINGLE_THREADED_ARROW,
    context_conf,
    launch_conf,
    merge_user_conf,
    session_conf,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _java_and_spark(make_java: Callable[..., Path], spark_jars: Path) -> Iterator[None]:
    """Have a Java, and a Spark that holds the connector; put the environment back."""
    make_java()
    (spark_jars / "spark-sql-kafka-0-10_2.13-4.2.0.jar").touch()
    with mock.patch.dict(os.environ):
        yield


class TestRuntimeOptions:
    """What a running session is told."""

    def test_from_settings(self) -> None:
        """Batch size and time-out of a worker come from the settings; times are UTC."""
        stream = StreamSettings(arrow_batch_size=32, udf_idle_timeout=45)
        options = session_conf(Settings(stream=stream))
        assert options["spark.sql.execution.arrow.maxRecordsPerBatch"] == "32"
        assert options["spark.sql.execution.pyspark.udf.idleTimeoutSeconds"] == "45"
        assert options["spark.sql.execution.pyspark.udf.killOnIdleTimeout"] == "true"
        assert options["spark.sql.session.timeZone"] == "UTC"


class TestContextOptions:
    """What a new context is told."""

    def test_threads(self) -> None:
        """The threads of numeric libraries, on every executor."""
        options = context_conf(Settings(stream=StreamSettings(worker_threads=3)))
        assert options["spark.executorEnv.OMP_NUM_THREADS"] == "3"

    def test_no_thread_of_arrow(self) -> None:
        """Arrow, as it is installed here, obeys what executors are told, and starts no thread."""
        told = {
            name.removeprefix("spark.executorEnv."): value
            for name, value in context_conf(Settings()).items()
        }
        count = "import os, pyarrow; print(len(os.listdir('/proc/self/task')))"
        for without, threads in ((), 1), (SINGLE_THREADED_ARROW, 2):
            environment = {name: told[name] for name in told.keys() - without} | {"PATH": ""}
            printed = subprocess.check_output([sys.executable, "-c", count], env=environment)
            assert int(printed) == threads

    def test_token_endpoint(self) -> None:
        """The token endpoint is allowed on executors too."""
        kafka = KafkaSettings(oauth_token_url="https://id/token")
        options = context_conf(Settings(kafka=kafka))
        assert options["spark.executor.extraJavaOptions"] == (
            "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=https://id/token"
        )

    def test_no_token_endpoint(self) -> None:
        """Where there is none, executors have no options of ours."""
        assert "spark.executor.extraJavaOptions" not in context_conf(Settings())


class TestLaunchOptions:
    """What a new Java is told."""

    def test_local(self) -> None:
        """By default it runs here, tries a failed task again, and listens here only."""
        options = launch_conf(Settings())
        assert re.fullmatch(r"local\[\*,[2-9]\]", options["spark.master"])
        assert options["spark.driver.host"] == options["spark.driver.bindAddress"] == "127.0.0.1"

    def test_cluster(self) -> None:
        """A cluster's workers must reach the driver: its address is not set; nor is their memory.

        Both are for whoever runs the cluster to say.
        """
        options = launch_conf(Settings(spark={"spark.master": "k8s://https://c"}))
        assert "spark.driver.host" not in options
        assert "spark.executor.pyspark.memory" not in options
        assert "spark.python.daemon.module" not in options

    @pytest.mark.parametrize(
        ("master", "location", "ours"),
        [
            ("local[2]", ".tidemill/checkpoints", True),
            ("local[2]", "file:/var/checkpoints", True),
            ("local-cluster[2,1,1024]", "/var/checkpoints", True),
            ("local[2]", "hdfs://h/checkpoints", False),
            ("local[2]", "nowhere://h/checkpoints", False),
            ("yarn", "/var/checkpoints", False),
        ],
    )
    def test_checkpoint_files(self, master: str, location: str, ours: bool) -> None:
        """They are renamed in Java on a local file system, and nowhere else.

        On a cluster a path may be of any file system.
        """
        stream = StreamSettings(checkpoint_location=location)
        options = launch_conf(Settings(spark={"spark.master": master}, stream=stream))
        assert ("spark.sql.streaming.checkpointFileManagerClass" in options) == ours

    def test_models(self) -> None:
        """Workers here are forked from a process that has the models of the settings' file."""
        options = launch_conf(Settings(models=Path("some.yaml")))
        assert options["spark.python.daemon.module"] == "tidemill.spark.daemon"
        assert Path(options["spark.executorEnv.TIDEMILL_PRELOAD"]) == Path("some.yaml").absolute()

    def test_sockets(self) -> None:
        """A task's few rows do not wait for TCP on their way to a worker; nobody else sees them."""
        options = launch_conf(Settings())
        assert options["spark.python.unix.domain.socket.enabled"] == "true"
        folder = Path(options["spark.python.unix.domain.socket.dir"])
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_no_room_for_sockets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A socket's path has a hundred bytes; where they do not do, TCP does."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
        assert "spark.python.unix.domain.socket.enabled" not in launch_conf(Settings())

    def test_worker_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker here has a limit, and few of glibc's arenas, which would count."""
        monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
        options = launch_conf(Settings())
        assert int(options["spark.executor.pyspark.memory"].removesuffix("m")) >= 4096
        assert int(os.environ["MALLOC_ARENA_MAX"]) < 8

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_log_layout(self, log_format: str) -> None:
        """Java's log follows the format, by a file that is there."""
        settings = Settings(log=LogSettings(format=log_format))
        java = launch_conf(settings)["spark.driver.extraJavaOptions"]
        found = re.search(r"-Dlog4j2\.configurationFile=file://(\S+)", java)
        assert found
        assert Path(found[1]).is_file()
        assert log_format in found[1]

    @pytest.mark.parametrize(("level", "noise"), [("INFO", "off"), ("DEBUG", "info")])
    def test_log_level(self, level: str, noise: str) -> None:
        """Spark's own lines come at level DEBUG only."""
        settings = Settings(log=LogSettings(level=level))
        java = launch_conf(settings)["spark.driver.extraJavaOptions"]
        assert f"-Dtidemill.spark.level={noise}" in java

    def test_token_endpoint(self) -> None:
        """The token endpoint is allowed, and no other: Kafka's client refuses all by default."""
        kafka = KafkaSettings(oauth_token_url="https://id/token")
        java = launch_conf(Settings(kafka=kafka))["spark.driver.extraJavaOptions"]
        assert java.endswith("allowed.urls=https://id/token")

    @pytest.mark.parametrize("name", ["spark.jars", "spark.jars.packages"])
    def test_own_jars(self, name: str) -> None:
        """Whoever names the connector's jars is left alone."""
        assert launch_conf(Settings(spark={name: "x"})).get("spark.jars", "x") == "x"


class TestOwn:
    """What the user sets wins."""

    def test_wins(self) -> None:
        """A setting of one's own replaces the job's."""
        assert merge_user_conf(
            {"spark.master": "local", "a": "1"}, {"spark.master": "k8s://c"}
        ) == {
            "spark.master": "k8s://c",
            "a": "1",
        }

    @pytest.mark.parametrize("process", ["driver", "executor"])
    def test_java_options(self, process: str) -> None:
        """Options for Java come after the job's, and replace none."""
        name = f"spark.{process}.extraJavaOptions"
        assert merge_user_conf({name: "-Da=1"}, {name: "-Xss4m -Db=2"}) == {
            name: "-Da=1 -Xss4m -Db=2"
        }
        assert merge_user_conf({}, {name: "-Xss4m"}) == {name: "-Xss4m"}


class TestRedacted:
    """Spark shows no secret among its settings."""

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
        """Every setting that holds one is known."""
        assert re.search(REDACTION_REGEX, key)

    @pytest.mark.parametrize("key", ["kafka.bootstrap.servers", "spark.master"])
    def test_shown(self, key: str) -> None:
        """Other settings are shown."""
        assert not re.search(REDACTION_REGEX, key)
