from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import StreamingQueryException

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
    """What pyspark is made of, as far as a session needs it; it remembers what it is told."""

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
        """Start Java, which prints."""
        self.launched, self.popen = dict(conf.getAll()), popen_kwargs
        os.write(popen_kwargs["stderr"], self.prints)
        return "gateway"

    def __call__(self, conf: Any, gateway: object) -> None:  # noqa: ANN401 - SparkConf
        """Make the context."""
        self.context = dict(conf.getAll())
        assert gateway == "gateway"

    def getActiveSession(self) -> object:  # noqa: N802 - Spark's name
        """Return the session that runs already."""
        return self.active

    def config(self, name: str, value: str) -> Spark:
        """Set an option of the session."""
        self.session[name] = value
        return self

    def getOrCreate(self) -> Any:  # noqa: ANN401, N802 - Spark's name
        """Return the session."""
        return SimpleNamespace(
            sparkContext=SimpleNamespace(setLogLevel=self.log_levels.append, _jvm=self.java)
        )


@pytest.fixture
def spark(
    monkeypatch: pytest.MonkeyPatch, make_java: Callable[..., Path], spark_jars: Path
) -> Iterator[Spark]:
    """Put a pyspark that starts nothing in place of the real one."""
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
    """Java's command line, which everybody can read, holds only what must be there."""

    def test_at_launch(self, spark: Spark) -> None:
        """The master, jars and the driver's own options."""
        own = {"spark.driver.memory": "2g", "spark.submit.deployMode": "client", "spark.jars": "x"}
        session.create(Settings(spark={**OWN, **own}))
        assert own.items() <= spark.launched.items()
        assert {"spark.master", "spark.driver.extraJavaOptions"} <= spark.launched.keys()

    def test_nothing_else(self, spark: Spark) -> None:
        """Neither secrets nor what can come later."""
        session.create(Settings(spark=OWN))
        for name, value in spark.launched.items():
            assert name.startswith(AT_LAUNCH)
            assert CANARY not in value

    def test_later(self, spark: Spark) -> None:
        """The context and the session get all of it."""
        session.create(Settings(spark=OWN))
        assert OWN.items() <= spark.context.items()
        assert spark.launched.items() <= spark.context.items()
        assert spark.context == spark.session

    def test_signals(self, spark: Spark) -> None:
        """Signals for the job's group are not for Java."""
        session.create(Settings())
        assert spark.popen["start_new_session"] is True


class TestOwnOptions:
    """The user's options win, but where the job's must stay too."""

    def test_driver(self, spark: Spark) -> None:
        """Options of the driver's Java are joined."""
        session.create(Settings(spark={"spark.driver.extraJavaOptions": "-Dx=1"}))
        for told in (spark.launched, spark.context, spark.session):
            assert "log4j2" in told["spark.driver.extraJavaOptions"]
            assert told["spark.driver.extraJavaOptions"].endswith(" -Dx=1")

    def test_executors(self, spark: Spark) -> None:
        """So are those of the executors', which fetch tokens too."""
        kafka = KafkaSettings(oauth_token_url="https://id/token")
        session.create(Settings(kafka=kafka, spark={"spark.executor.extraJavaOptions": "-Dx=1"}))
        told = spark.context["spark.executor.extraJavaOptions"].split()
        assert sorted(told) == [
            "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=https://id/token",
            "-Dx=1",
        ]

    def test_others(self, spark: Spark) -> None:
        """Any other replaces the job's."""
        session.create(Settings(spark={"spark.master": "local[3]", "spark.app.name": "mine"}))
        assert spark.launched["spark.master"] == "local[3]"
        assert spark.context["spark.app.name"] == "mine"


class TestRunningAlready:
    """Where Java or a session runs already, none is started."""

    @pytest.mark.parametrize("how", ["session", "spark-submit", "gateway"])
    def test_not_launched(self, spark: Spark, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a notebook, under spark-submit, or after an earlier session."""
        if how == "session":
            spark.active = object()
        elif how == "gateway":
            monkeypatch.setattr(spark, "_gateway", object())
        else:
            monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        session.create(Settings(spark={"spark.x": "1"}))
        assert (spark.launched, spark.context) == ({}, {})
        assert spark.session["spark.x"] == "1"


class TestLog:
    """Spark's lines come in the job's format, and no more of them than the job's level wants."""

    @pytest.mark.parametrize(
        ("level", "sparks"), [("INFO", "ERROR"), ("ERROR", "ERROR"), ("DEBUG", "INFO")]
    )
    @pytest.mark.parametrize("layout", ["console", "json"])
    def test_spark_submit(
        self, layout: str, level: str, sparks: str, spark: Spark, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the start of the SparkContext on, which would print pages."""
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        session.create(Settings(log=LogSettings.model_validate({"format": layout, "level": level})))
        assert spark.session["spark.log.level"] == sparks
        told = dict(call.args for call in spark.java.System.setProperty.call_args_list)
        assert told["tidemill.spark.level"].upper() == sparks
        assert told["log4j2.configurationFile"].endswith(f"/log4j2-{layout}.properties")
        configurator = spark.java.org.apache.logging.log4j.core.config.Configurator
        configurator.reconfigure.assert_called_once()

    def test_own(self, spark: Spark, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the user sets stays: a level of Spark's own, a configuration of log4j."""
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        session.create(Settings(spark={"spark.log.level": "WARN"}))
        assert spark.session["spark.log.level"] == "WARN"
        spark.java.System.setProperty.assert_any_call("tidemill.spark.level", "WARN")
        spark.java.reset_mock()
        spark.java.System.getProperty.return_value = "file:/mine.properties"
        session.create(Settings())
        spark.java.System.setProperty.assert_not_called()

    def test_session_of_others(self, spark: Spark, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a session that runs already, as on Databricks, only the level is changed."""
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        spark.active = object()
        session.create(Settings())
        assert spark.log_levels == ["ERROR"]
        assert "spark.log.level" not in spark.session
        spark.java.System.setProperty.assert_not_called()


class TestOutput:
    """What Java prints is handed on, but for noise."""

    def test_handed_on(self, spark: Spark, capsys: pytest.CaptureFixture[str]) -> None:
        """Line by line, whatever its bytes, the last one unfinished."""
        spark.prints = (
            b"WARNING: Using incubator modules: jdk.incubator.vector\na\n"
            b"Current mem limits: -1 of max -1\n\nb\xff\nend"
        )
        session.create(Settings())
        said, deadline = "", time.monotonic() + 60
        while "end" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().err
            time.sleep(0.01)
        assert said == "a\nb\ufffd\nend"


class Session:
    """A session that can be stopped, or not any more."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.stops = 0

    def stop(self) -> None:
        """End it."""
        self.stops += 1
        if self.error:
            raise self.error


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return the session that is made."""
    made = Session()
    monkeypatch.setattr(session, "create", lambda _: made)
    return made


class TestRunning:
    """A session is ended, and what Spark raises gets its name."""

    SETTINGS = Settings(stream=StreamSettings(checkpoint_location="/data/c"))

    def test_ends(self, made: Session) -> None:
        """When all is done."""
        with session.running(self.SETTINGS) as spark:
            assert spark is made  # type: ignore[comparison-overlap]
            assert made.stops == 0
        assert made.stops == 1

    @pytest.mark.parametrize(
        ("error", "named"),
        [
            (StreamingQueryException("x"), QueryFailed),
            (StreamingQueryException("failOnDataLoss"), DataLoss),
            (Py4JError("x"), QueryFailed),
            (Py4JNetworkError("x"), JvmExited),
            (ConnectionRefusedError("x"), JvmExited),
        ],
    )
    def test_named(self, made: Session, error: Exception, named: type) -> None:
        """The error of Spark is behind it, and the session is ended."""
        with pytest.raises(named) as caught, session.running(self.SETTINGS):
            raise error
        assert type(caught.value) is named
        assert caught.value.__cause__ is error
        assert made.stops == 1

    def test_checkpoint(self, made: Session) -> None:
        """Lost data is told with the checkpoint's place."""
        with pytest.raises(DataLoss, match="/data/c"), session.running(self.SETTINGS):
            raise StreamingQueryException("failOnDataLoss")

    def test_not_ours(self, made: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """A session that ran before, as on Databricks, runs on."""
        monkeypatch.setattr(session.SparkSession, "getActiveSession", lambda: made)
        with session.running(self.SETTINGS):
            pass
        assert made.stops == 0

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("x"), QueryFailed("x")])
    def test_others(self, made: Session, error: BaseException) -> None:
        """What is not Spark's comes out as it is."""
        with pytest.raises(type(error)) as caught, session.running(self.SETTINGS):
            raise error
        assert caught.value is error
        assert made.stops == 1

    @pytest.mark.parametrize(
        "error", [Py4JNetworkError("x"), ConnectionRefusedError("x"), Py4JError("x")]
    )
    def test_java_gone(self, made: Session, error: Exception) -> None:
        """Java that is gone cannot be stopped: that hides no other error, and is none itself."""
        made.error = error
        with session.running(self.SETTINGS):
            pass
        with pytest.raises(ValueError, match="own"), session.running(self.SETTINGS):
            raise ValueError("own")
