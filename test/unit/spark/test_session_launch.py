from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from tidemill.errors import DataLoss, JvmExited, QueryFailed
from tidemill.settings import KafkaSettings, LogSettings, Settings, StreamSettings
from tidemill.spark import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY = "canary-7d1f"
OWN = {
    "spark.hadoop.fs.s3a.secret.key": CANARY,
    "spark.executorEnv.TOKEN": CANARY,
    "spark.sql.shuffle.partitions": "2",
}
AT_LAUNCH = ("spark.driver.", "spark.jars", "spark.master", "spark.submit.")


class Spark:
    """The parts of pyspark that create a session; it records its arguments."""

    def __init__(self) -> None:
        self.launched: dict[str, str] = {}
        self.popen: dict[str, Any] = {}
        self.context: dict[str, str] = {}
        self.session: dict[str, str] = {}
        self.active: object = None
        self.prints = b""
        self.log_levels: list[str] = []
        self.java = mock.MagicMock()
        self.java.System.getProperty.return_value = None
        self._gateway: object = None
        self.builder = self

    def launch_gateway(self, conf: Any, popen_kwargs: dict[str, Any]) -> str:  # noqa: ANN401
        """Start the JVM, which prints."""
        self.launched, self.popen = dict(conf.getAll()), popen_kwargs
        os.write(popen_kwargs["stderr"], self.prints)
        return "gateway"

    def __call__(self, conf: Any, gateway: object) -> None:  # noqa: ANN401 - SparkConf
        """Create the context."""
        self.context = dict(conf.getAll())
        assert gateway == "gateway"

    def getActiveSession(self) -> object:  # noqa: N802 - Spark's name
        """Return the running session."""
        return self.active

    def config(self, name: str, value: str) -> Spark:
        """Record a setting of the session."""
        self.session[name] = value
        return self

    def getOrCreate(self) -> Any:  # noqa: ANN401, N802 - Spark's name
        """Return a session."""
        return SimpleNamespace(
            sparkContext=SimpleNamespace(setLogLevel=self.log_levels.append, _jvm=self.java)
        )


@pytest.fixture
def spark(
    monkeypatch: pytest.MonkeyPatch, make_java: Callable[..., Path], spark_jars: Path
) -> Iterator[Spark]:
    """Replace pyspark with a double that starts nothing."""
    make_java()
    (spark_jars / "spark-sql-kafka-0-10_2.13-4.2.0.jar").touch()
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    double = Spark()
    monkeypatch.setattr(session, "launch_gateway", double.launch_gateway)
    monkeypatch.setattr(session, "SparkContext", double)
    monkeypatch.setattr(session, "SparkSession", double)
    with mock.patch.dict(os.environ):
        yield double


class TestCommandLine:
    """Java's command line, which any user can read, has only the necessary settings."""

    def test_at_launch(self, spark: Spark) -> None:
        """The master, the jars and the driver's options are there."""
        own = {"spark.driver.memory": "2g", "spark.submit.deployMode": "client", "spark.jars": "x"}
        session.create(Settings(spark={**OWN, **own}))
        assert own.items() <= spark.launched.items()
        assert {"spark.master", "spark.driver.extraJavaOptions"} <= spark.launched.keys()

    def test_nothing_else(self, spark: Spark) -> None:
        """There are no secrets, and no settings that can come later."""
        session.create(Settings(spark=OWN))
        for name, value in spark.launched.items():
            assert name.startswith(AT_LAUNCH)
            assert CANARY not in value

    def test_later(self, spark: Spark) -> None:
        """The context and the session get all settings."""
        session.create(Settings(spark=OWN))
        assert OWN.items() <= spark.context.items()
        assert spark.launched.items() <= spark.context.items()
        assert spark.context == spark.session

    def test_signals(self, spark: Spark) -> None:
        """The JVM does not receive the signals to the job's process group."""
        session.create(Settings())
        assert spark.popen["start_new_session"] is True


class TestUserConf:
    """The user's settings take precedence; Java options are merged."""

    def test_driver(self, spark: Spark) -> None:
        """Java options of the driver are appended to the job's."""
        session.create(Settings(spark={"spark.driver.extraJavaOptions": "-Dx=1"}))
        for conf in (spark.launched, spark.context, spark.session):
            assert "log4j2" in conf["spark.driver.extraJavaOptions"]
            assert conf["spark.driver.extraJavaOptions"].endswith(" -Dx=1")

    def test_executors(self, spark: Spark) -> None:
        """Java options of executors, which fetch tokens too, are appended to the job's."""
        kafka = KafkaSettings(oauth_token_url="https://id/token")
        session.create(Settings(kafka=kafka, spark={"spark.executor.extraJavaOptions": "-Dx=1"}))
        options = spark.context["spark.executor.extraJavaOptions"].split()
        assert sorted(options) == [
            "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=https://id/token",
            "-Dx=1",
        ]

    def test_others(self, spark: Spark) -> None:
        """Any other setting replaces the job's."""
        session.create(Settings(spark={"spark.master": "local[3]", "spark.app.name": "mine"}))
        assert spark.launched["spark.master"] == "local[3]"
        assert spark.context["spark.app.name"] == "mine"


class TestExistingJvm:
    """If a JVM or a session is running, none is started."""

    @pytest.mark.parametrize("origin", ["session", "spark-submit", "gateway"])
    def test_not_launched(self, spark: Spark, origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It comes from a notebook, from spark-submit, or from an earlier session."""
        if origin == "session":
            spark.active = object()
        elif origin == "gateway":
            monkeypatch.setattr(spark, "_gateway", object())
        else:
            monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        session.create(Settings(spark={"spark.x": "1"}))
        assert (spark.launched, spark.context) == ({}, {})
        assert spark.session["spark.x"] == "1"


class TestLog:
    """Spark logs in the job's format, at a level that depends on the job's."""

    @pytest.mark.parametrize(
        ("level", "spark_level"), [("INFO", "ERROR"), ("ERROR", "ERROR"), ("DEBUG", "INFO")]
    )
    @pytest.mark.parametrize("layout", ["console", "json"])
    def test_spark_submit(
        self,
        layout: str,
        level: str,
        spark_level: str,
        spark: Spark,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Under spark-submit, the level is set before the SparkContext starts, which logs pages."""
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        session.create(Settings(log=LogSettings.model_validate({"format": layout, "level": level})))
        assert spark.session["spark.log.level"] == spark_level
        properties = dict(call.args for call in spark.java.System.setProperty.call_args_list)
        assert properties["tidemill.spark.level"].upper() == spark_level
        assert properties["log4j2.configurationFile"].endswith(f"/log4j2-{layout}.properties")
        configurator = spark.java.org.apache.logging.log4j.core.config.Configurator
        configurator.reconfigure.assert_called_once()

    def test_user_conf(self, spark: Spark, monkeypatch: pytest.MonkeyPatch) -> None:
        """The user's log level and log4j configuration are kept."""
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        session.create(Settings(spark={"spark.log.level": "WARN"}))
        assert spark.session["spark.log.level"] == "WARN"
        spark.java.System.setProperty.assert_any_call("tidemill.spark.level", "WARN")
        spark.java.reset_mock()
        spark.java.System.getProperty.return_value = "file:/mine.properties"
        session.create(Settings())
        spark.java.System.setProperty.assert_not_called()

    def test_existing_session(self, spark: Spark, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a session that is already running, as on Databricks, only the level is changed."""
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        spark.active = object()
        session.create(Settings())
        assert spark.log_levels == ["ERROR"]
        assert "spark.log.level" not in spark.session
        spark.java.System.setProperty.assert_not_called()


class TestOutput:
    """The JVM's output is forwarded, without noise."""

    def test_forwarded(self, spark: Spark, capsys: pytest.CaptureFixture[str]) -> None:
        """Each line is forwarded, even if it is not UTF-8 or unfinished."""
        spark.prints = (
            b"WARNING: Using incubator modules: jdk.incubator.vector\na\n"
            b"Current mem limits: -1 of max -1\n\nb\xff\nend"
        )
        others = set(threading.enumerate())
        session.create(Settings())
        for forwarding in set(threading.enumerate()) - others:
            forwarding.join(60)
        assert capsys.readouterr().err == "a\nb\ufffd\nend"


class Session:
    """A session that counts its stops, and may fail to stop."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.stops = 0

    def stop(self) -> None:
        """Stop the session."""
        self.stops += 1
        if self.error:
            raise self.error


@pytest.fixture
def created(monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return the session that `create` returns."""
    created = Session()
    monkeypatch.setattr(session, "create", lambda _: created)
    return created


class TestRunning:
    """A session is stopped, and Spark's exceptions are translated."""

    SETTINGS = Settings(stream=StreamSettings(checkpoint_location="/data/c"))

    def test_stopped(self, created: Session) -> None:
        """The session is stopped at the end of the block."""
        with session.running(self.SETTINGS) as spark:
            assert spark is created  # type: ignore[comparison-overlap]
            assert created.stops == 0
        assert created.stops == 1

    @pytest.mark.parametrize(
        ("error", "translated"),
        [
            (StreamingQueryException("x"), QueryFailed),
            (StreamingQueryException("failOnDataLoss"), DataLoss),
            (Py4JError("x"), QueryFailed),
            (Py4JNetworkError("x"), JvmExited),
            (ConnectionRefusedError("x"), JvmExited),
        ],
    )
    def test_translated(self, created: Session, error: Exception, translated: type) -> None:
        """Spark's exception is the cause of the error, and the session is stopped."""
        with pytest.raises(translated) as caught, session.running(self.SETTINGS):
            raise error
        assert type(caught.value) is translated
        assert caught.value.__cause__ is error
        assert created.stops == 1

    def test_checkpoint(self, created: Session) -> None:
        """A loss of data names the checkpoint."""
        with pytest.raises(DataLoss, match="/data/c"), session.running(self.SETTINGS):
            raise StreamingQueryException("failOnDataLoss")

    def test_existing_session(self, created: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """A session that ran before, as on Databricks, is not stopped."""
        monkeypatch.setattr(SparkSession, "getActiveSession", lambda: created)
        with session.running(self.SETTINGS):
            pass
        assert created.stops == 0

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x"), QueryFailed("x")])
    def test_others(self, created: Session, error: BaseException) -> None:
        """Other exceptions pass unchanged."""
        with pytest.raises(type(error)) as caught, session.running(self.SETTINGS):
            raise error
        assert caught.value is error
        assert created.stops == 1

    @pytest.mark.parametrize(
        "error", [Py4JNetworkError("x"), ConnectionRefusedError("x"), Py4JError("x")]
    )
    def test_jvm_exited(self, created: Session, error: Exception) -> None:
        """If the JVM has exited, a failed stop is ignored and hides no other error."""
        created.error = error
        with session.running(self.SETTINGS):
            pass
        with pytest.raises(ValueError, match="own"), session.running(self.SETTINGS):
            raise ValueError("own")
