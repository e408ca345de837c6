from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from dev import ROOT
from tidemill import bootstrap, errors, logs, run, settings
from tidemill.errors import (
    BrokerUnreachable,
    ConfigurationError,
    DataLoss,
    InvalidModels,
    InvalidTopics,
    JavaNotFound,
    JvmExited,
    KafkaAuthFailed,
    ModelLoadFailed,
    ModelUnavailable,
    NoValueColumn,
    QueryFailed,
    TidemillError,
    TimestampOverflow,
)
from tidemill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a logger that no other test has used: one keeps the configuration it first had."""
    monkeypatch.setattr(run, "log", structlog.get_logger("tidemill.run"))


class TestExitCode:
    """The exit code tells a wrong configuration from a fault worth a restart."""

    @pytest.mark.parametrize(
        "error",
        [
            InvalidTopics(["x"]),
            JavaNotFound("none"),
            InvalidModels("m.yaml", "x"),
            KafkaAuthFailed("k:1", "x"),
            NoValueColumn([]),
            ConfigurationError("x"),
        ],
    )
    def test_misconfigured(self, error: Exception) -> None:
        """2: a restart cannot help."""
        assert run.report(error) == run.exit_code(error) == run.MISCONFIGURED == 2

    @pytest.mark.parametrize(
        "error",
        [
            BrokerUnreachable("k:1", "x"), DataLoss("c"), QueryFailed("x"),
            ModelUnavailable("m", "x"), ModelLoadFailed("m", OSError()), JvmExited(),
            TimestampOverflow(), TidemillError("x"), OSError("disk full"), KeyError("x"),
        ],
    )  # fmt: skip
    def test_fault(self, error: Exception) -> None:
        """1: it may, an error without a name here too."""
        assert run.report(error) == run.exit_code(error) == run.FAULT == 1

    def test_every_error(self) -> None:
        """Just the wrong configurations are 2."""
        for leaf in vars(errors).values():
            if isinstance(leaf, type) and issubclass(leaf, TidemillError):
                error = leaf.__new__(leaf, "said")
                assert run.report(error) == (2 if issubclass(leaf, ConfigurationError) else 1)


def failed(message: str) -> Exception:
    """Return an error with a trace and a cause."""
    try:
        try:
            int("inner cause")
        except ValueError as cause:
            raise QueryFailed(message) from cause
    except QueryFailed as error:
        return error
    raise AssertionError("nothing was raised")


class TestReport:
    """A failure is a message of one line, and a hint."""

    @pytest.mark.parametrize("log_format", ["console", "json"])
    @pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR"])
    def test_one_line(
        self, capsys: pytest.CaptureFixture[str], log_format: str, level: str
    ) -> None:
        """A message, a hint and no traceback, however many lines the error has."""
        logs.configure(log_format, level)
        run.report(failed("a page\n\tof many\r\nlines"))
        captured = capsys.readouterr()
        if log_format == "console":
            line, hint = captured.err.splitlines()
            assert hint == "  hint: Set log.level to DEBUG to see the whole traceback."
        else:
            (line,) = captured.err.splitlines()
            assert json.loads(line)["hint"].startswith("Set log.level to DEBUG")
        assert "the Spark query failed: a page of many lines" in line
        assert "Traceback" not in captured.err
        assert "inner cause" not in captured.err
        assert captured.out == ""

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_debug(self, capsys: pytest.CaptureFixture[str], log_format: str) -> None:
        """The trace and the cause come at level DEBUG."""
        logs.configure(log_format, "DEBUG")
        run.report(failed("x"))
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert "ValueError: invalid literal" in said

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A machine finds the kind of error in a field."""
        logs.configure("json", "INFO")
        run.report(failed("x"))
        record = json.loads(capsys.readouterr().err)
        assert (record["level"], record["kind"]) == ("error", "QueryFailed")

    @pytest.mark.parametrize(
        ("error", "said"), [(KeyError("x"), "KeyError: 'x'"), (OSError(), "OSError")]
    )
    def test_foreign_error(
        self, capsys: pytest.CaptureFixture[str], error: Exception, said: str
    ) -> None:
        """An error of others is told with its type."""
        logs.configure("console", "INFO")
        run.report(error)
        assert said in capsys.readouterr().err


class TestStream:
    """The program ends with an exit code, never with a trace."""

    @pytest.mark.parametrize("content", ["stream: {group_id: 5x, nope: 1}", "stream: [", None])
    def test_broken_config(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
    ) -> None:
        """A configuration that cannot be read is named in the message."""
        path = tmp_path / "broken.yaml"
        if content is not None:
            path.write_text(content, "utf-8")
        assert run.stream(path) == 2
        line, hint = capsys.readouterr().err.splitlines()
        assert "broken.yaml" in line
        assert hint.startswith("  hint: ")

    def test_broken_models(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """So are models that cannot be, before anything is started."""
        (tmp_path / "c.yaml").write_text("models: m.yaml", "utf-8")
        (tmp_path / "m.yaml").write_text("models: []", "utf-8")
        assert run.stream(tmp_path / "c.yaml") == 2
        assert "m.yaml" in capsys.readouterr().err

    def test_log_settings(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What comes after the settings is logged as they say."""
        (tmp_path / "c.yaml").write_text("models: m.yaml\nlog: {format: json}", "utf-8")
        run.stream(tmp_path / "c.yaml")
        assert json.loads(capsys.readouterr().err)["kind"] == "SettingsFileUnreadable"

    def test_success(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """0 where the job was asked to stop, or has nothing left to do."""
        (tmp_path / "c.yaml").write_text("log: {level: ERROR}", "utf-8")
        ran: list[str] = []
        monkeypatch.setattr(bootstrap, "stream", lambda loaded: ran.append(loaded.log.level))
        assert run.stream(tmp_path / "c.yaml") == 0
        assert ran == ["ERROR"]

    def test_interrupted(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second Ctrl-C ends it with 130, and one line says what that means."""
        (tmp_path / "c.yaml").touch()

        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(bootstrap, "stream", interrupt)
        assert run.stream(tmp_path / "c.yaml") == run.INTERRUPTED == 130
        (line,) = capsys.readouterr().err.splitlines()
        assert "interrupted: the next run repeats" in line

    def test_main(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """spark-submit passes the settings' path."""
        monkeypatch.setattr(sys, "argv", ["run.py", "--config", str(tmp_path / "none.yaml")])
        assert run.main() == 2


class TestOnDatabricks:
    """Databricks runs the text of a file, which then has no path, and no process of its own."""

    @pytest.fixture
    def perform(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        """What runs it so, with a job that ends at once."""
        monkeypatch.setattr(settings, "load", lambda _: Settings())
        monkeypatch.setattr(sys, "argv", ["run.py"])
        text = compile((ROOT / "app" / "run.py").read_text(), "run.py", "exec")
        return lambda: exec(text, {"__name__": "__main__"})  # noqa: S102 - as it does

    def test_end(self, perform: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """A job that ends well raises nothing: SystemExit would be a failure there, even with 0."""
        monkeypatch.setattr(bootstrap, "stream", lambda _: None)
        path = list(sys.path)
        perform()
        assert sys.path == path

    def test_failure(self, perform: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """One that fails does."""

        def fail(_: object) -> None:
            raise JvmExited

        monkeypatch.setattr(bootstrap, "stream", fail)
        with pytest.raises(SystemExit) as caught:
            perform()
        assert caught.value.code == 1
