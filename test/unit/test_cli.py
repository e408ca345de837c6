from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest
import structlog
from typer.testing import CliRunner

import tidemill
from tidemill import run
from tidemill.check import CheckResult
from tidemill.cli import cli, main
from tidemill.errors import (
    BrokerUnreachable,
    InvalidTopics,
    JavaNotFound,
    ModelLoadFailed,
    Problem,
    StopNotAcknowledged,
)
from tidemill.streaming.checkpoint.stop_marker import StopMarker

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()
COMMANDS = ("stream", "batch", "check", "stop", "lag", "health", "dlq", "version")


@pytest.fixture(autouse=True)
def _own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a new logger, because a logger keeps the configuration of its first use."""
    monkeypatch.setattr(run, "log", structlog.get_logger("tidemill.run"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a settings file with a checkpoint next to it."""
    path = tmp_path / "c.yaml"
    path.write_text(f"stream: {{checkpoint_location: {tmp_path}/checkpoints}}", "utf-8")
    return path


class TestVersion:
    """The version is printed."""

    def test_printed(self) -> None:
        """Nothing else is printed."""
        result = runner.invoke(cli, ["version"])
        assert (result.exit_code, result.output) == (0, f"{tidemill.__version__}\n")


class TestHelp:
    """The command line has help."""

    def test_commands(self) -> None:
        """Without a command, the commands are listed."""
        result = runner.invoke(cli, [])
        for command in COMMANDS:
            assert command in result.output

    @pytest.mark.parametrize("command", COMMANDS)
    def test_command(self, command: str) -> None:
        """Each command has help."""
        assert runner.invoke(cli, [command, "--help"]).exit_code == 0

    def test_unknown(self) -> None:
        """An unknown command is a usage error."""
        assert runner.invoke(cli, ["strem"]).exit_code == 2


class TestStop:
    """`stop` asks a running job to stop by a marker file."""

    def test_no_job(self, config: Path, tmp_path: Path) -> None:
        """If no job takes the marker, that is an error, and no later job is stopped."""
        result = runner.invoke(cli, ["stop", "--config", str(config), "--timeout", "0"])
        assert isinstance(result.exception, StopNotAcknowledged)
        assert f"{tmp_path}/checkpoints.stop" in str(result.exception)
        assert not (tmp_path / "checkpoints.stop").exists()

    def test_job(self, config: Path, tmp_path: Path) -> None:
        """If a job takes the marker, the command reports it."""
        marker = StopMarker.for_checkpoint(f"{tmp_path}/checkpoints")
        over = threading.Event()

        def job() -> None:
            while not over.wait(0.01):
                marker.remove()

        thread = threading.Thread(target=job)
        thread.start()
        result = runner.invoke(cli, ["stop", "--config", str(config), "--timeout", "60"])
        over.set()
        thread.join()
        assert (result.exit_code, result.output) == (0, "the job is stopping\n")


class TestBrokenConfig:
    """Every command reports an invalid configuration."""

    @pytest.mark.parametrize(
        "command",
        [["stream"], ["check"], ["stop"], ["batch", "--input", "in", "--output", "out"]],
        ids=lambda command: command[0],
    )
    @pytest.mark.parametrize("content", ["stream: {nope: 1}", "- a", None])
    def test_exit_code(
        self,
        command: list[str],
        content: str | None,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The error is one line without a traceback, and the exit code is 2."""
        path = tmp_path / "broken.yaml"
        if content is not None:
            path.write_text(content, "utf-8")
        monkeypatch.setattr(sys, "argv", ["tidemill", *command, "--config", str(path)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        printed = capsys.readouterr()
        lines = (printed.err + printed.out).splitlines()
        assert len([line for line in lines if "broken.yaml" in line]) == 1

    def test_check(self, tmp_path: Path) -> None:
        """`check` prints all that is wrong with the settings, a line each."""
        (tmp_path / "c.yaml").write_text("log: {level: LOUD}\nmore: 1", "utf-8")
        result = runner.invoke(cli, ["check", "--config", str(tmp_path / "c.yaml")])
        first, *problems, hint = result.output.splitlines()
        assert first.startswith("✗ settings: 2 problems")
        assert {line[:6] for line in problems} == {"  - lo", "  - mo"}
        assert hint.startswith("  hint: ")


class TestCheck:
    """`check` reports problems, and its exit code tells their kind."""

    FAULT = CheckResult("kafka k:1", "no answer", BrokerUnreachable("k:1", "x"))
    LOAD = CheckResult("model m:1", "no memory", ModelLoadFailed("m:1", MemoryError()))
    TOPICS = CheckResult("topics", "[too] small", InvalidTopics([Problem("x")]))
    JAVA = CheckResult("java", "none", JavaNotFound("none"))
    WELL = CheckResult("java", "/usr/bin/java")

    @pytest.mark.parametrize(
        ("findings", "code"),
        [
            ([], 0),
            ([WELL], 0),
            ([WELL, FAULT], 1),
            ([LOAD, WELL, FAULT], 1),
            ([JAVA], 2),
            ([JAVA, FAULT], 2),
            ([FAULT, TOPICS, WELL], 2),
        ],
    )
    def test_exit_code(
        self, config: Path, findings: list[CheckResult], code: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is 2 with any configuration error, otherwise 1 with any fault, otherwise 0."""
        monkeypatch.setattr("tidemill.check.check", lambda _: iter(findings))
        assert runner.invoke(cli, ["check", "--config", str(config)]).exit_code == code

    def test_subject(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A message that begins with its subject does not repeat it; a file keeps its name."""
        found = [CheckResult("models", "models.yaml: bad"), CheckResult("java", "java: none")]
        monkeypatch.setattr("tidemill.check.check", lambda _: iter(found))
        result = runner.invoke(cli, ["check", "--config", str(config)])
        assert result.output.splitlines()[1:] == ["✓ models: models.yaml: bad", "✓ java: none"]

    def test_printed(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every result is a line with a sign; brackets are kept."""
        monkeypatch.setattr("tidemill.check.check", lambda _: iter([self.WELL, self.TOPICS]))
        result = runner.invoke(cli, ["check", "--config", str(config)])
        assert result.output.splitlines() == [
            f"✓ settings: {config}",
            "✓ java: /usr/bin/java",
            "✗ topics: [too] small",
        ]


class TestMain:
    """The program ends with an exit code."""

    def test_success(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is 0 after success."""
        monkeypatch.setattr(sys, "argv", ["tidemill", "version"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0

    def test_fault(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is 1 for a fault that is not a configuration error."""
        argv = ["tidemill", "stop", "--config", str(config), "--timeout", "0"]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1

    def test_wrong_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is 2 for a usage error."""
        monkeypatch.setattr(sys, "argv", ["tidemill", "stop", "--timeout", "soon"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
