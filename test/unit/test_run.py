from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from dev import ROOT
from tidemill import errors, logs, run, settings
from tidemill.bootstrap import stream as program
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
    Problem,
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
    """Use a new logger: a logger keeps the configuration of its first use."""
    monkeypatch.setattr(run, "log", structlog.get_logger("tidemill.run"))


class TestExitCode:
    """The exit code distinguishes a wrong configuration from a fault worth a restart."""

    @pytest.mark.parametrize(
        "error",
        [
            InvalidTopics([Problem("x")]),
            JavaNotFound("none"),
            InvalidModels("m.yaml", "x"),
            KafkaAuthFailed("k:1", "x"),
            NoValueColumn([]),
            ConfigurationError("x"),
        ],
    )
    def test_misconfigured(self, error: Exception) -> None:
        """2: a restart cannot fix it."""
        assert run.report(error) == run.exit_code(error) == 2

    @pytest.mark.parametrize(
        "error",
        [
            BrokerUnreachable("k:1", "x"), DataLoss("c"), QueryFailed("x"),
            ModelUnavailable("m", "x"), ModelLoadFailed("m", OSError()), JvmExited(),
            TimestampOverflow(), TidemillError("x"), OSError("disk full"), KeyError("x"),
        ],
    )  # fmt: skip
    def test_fault(self, error: Exception) -> None:
        """1: a restart may fix it; the same holds for errors of other libraries."""
        assert run.report(error) == run.exit_code(error) == 1

    def test_every_error(self) -> None:
        """Only configuration errors are 2."""
        for leaf in vars(errors).values():
            if isinstance(leaf, type) and issubclass(leaf, TidemillError):
                error = leaf.__new__(leaf, "message")
                assert run.report(error) == (2 if issubclass(leaf, ConfigurationError) else 1)


def failed(message: str) -> Exception:
    """Return an error with a traceback and a cause."""
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
        """The traceback and the cause appear at level DEBUG."""
        logs.configure(log_format, "DEBUG")
        run.report(failed("x"))
        printed = capsys.readouterr().err
        assert "Traceback" in printed
        assert "ValueError: invalid literal" in printed

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """JSON logs have the error class in a field."""
        logs.configure("json", "INFO")
        run.report(failed("x"))
        record = json.loads(capsys.readouterr().err)
        assert (record["level"], record["error"]) == ("error", "QueryFailed")

    @pytest.mark.parametrize(
        ("error", "message"), [(KeyError("x"), "KeyError: 'x'"), (OSError(), "OSError")]
    )
    def test_foreign_error(
        self, capsys: pytest.CaptureFixture[str], error: Exception, message: str
    ) -> None:
        """An error of another library is logged with its type."""
        logs.configure("console", "INFO")
        run.report(error)
        assert message in capsys.readouterr().err


class TestStream:
    """The program ends with an exit code, never with a traceback."""

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
        assert "broken.yaml" in line + hint
        assert hint.startswith("  hint: ")

    def test_broken_models(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """An invalid models file is reported before anything starts."""
        (tmp_path / "c.yaml").write_text("models: m.yaml", "utf-8")
        (tmp_path / "m.yaml").write_text("models: []", "utf-8")
        assert run.stream(tmp_path / "c.yaml") == 2
        assert "m.yaml" in capsys.readouterr().err

    def test_log_settings(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Once the settings are loaded, the log follows them."""
        (tmp_path / "c.yaml").write_text("models: m.yaml\nlog: {format: json}", "utf-8")
        run.stream(tmp_path / "c.yaml")
        assert json.loads(capsys.readouterr().err)["error"] == "SettingsFileUnreadable"

    def test_success(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """0 if the job was asked to stop, or has nothing left to do."""
        (tmp_path / "c.yaml").write_text("log: {level: ERROR}", "utf-8")
        ran: list[str] = []
        monkeypatch.setattr(program, "stream", lambda loaded: ran.append(loaded.log.level))
        assert run.stream(tmp_path / "c.yaml") == 0
        assert ran == ["ERROR"]

    def test_interrupted(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second Ctrl-C ends it with 130, and one line explains the consequence."""
        (tmp_path / "c.yaml").touch()

        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(program, "stream", interrupt)
        assert run.stream(tmp_path / "c.yaml") == run.INTERRUPTED == 130
        (line,) = capsys.readouterr().err.splitlines()
        assert "interrupted; the next run will reprocess" in line

    def test_main(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """spark-submit passes the path of the settings file."""
        monkeypatch.setattr(sys, "argv", ["run.py", "--config", str(tmp_path / "none.yaml")])
        assert run.main() == 2


class TestOnDatabricks:
    """Databricks executes the source text: the script has no path and no own process."""

    @pytest.fixture
    def perform(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        """Run the script as Databricks does, with a job that ends at once."""
        monkeypatch.setattr(settings, "load", lambda _: Settings())
        monkeypatch.setattr(sys, "argv", ["run.py"])
        text = compile((ROOT / "app" / "run.py").read_text(), "run.py", "exec")
        return lambda: exec(text, {"__name__": "__main__"})  # noqa: S102 - as it does

    def test_end(self, perform: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """Success raises nothing: Databricks treats SystemExit as a failure, even with 0."""
        monkeypatch.setattr(program, "stream", lambda _: None)
        path = list(sys.path)
        perform()
        assert sys.path == path

    def test_failure(self, perform: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """A failed job raises SystemExit."""

        def fail(_: object) -> None:
            raise JvmExited

        monkeypatch.setattr(program, "stream", fail)
        with pytest.raises(SystemExit) as caught:
            perform()
        assert caught.value.code == 1
