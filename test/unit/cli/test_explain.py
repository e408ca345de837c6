"""`tidemill explain` shows what becomes of one message, and tells it by its exit code."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from dev import PYTHONPATH, ROOT
from tidemill.cli import cli
from tidemill.errors import InputUnreadable, NoLine

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[..., Result]

DOUBLES = ROOT / "test" / "doubles"
MODELS = """
models:
  - name: doubler
    version: 1
    adapter: tried_models:Doubler
    match: {lang: en}
    payload: [km]
    sample: {km: 1}
    options: {api_key: hunter2}
  - name: down
    version: 1
    adapter: example_models:Upper
    match: {lang: down}
    payload: text
    sample: raise
  - name: gone
    version: 1
    adapter: example_models:Gone
    match: {lang: gone}
    sample: a
"""
LINES = rb"""{"lang": "en", "km": 2}
{"lang": "en", "km": "2"}
{"lang": "en", "km": null}
{"lang": "down", "text": "raise [bold]\u001b[31m"}
{"lang": "gone"}

no JSON
"""


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """Return what runs the command on the lines: `invoke("--line", "2")`."""
    (tmp_path / "models.yaml").write_text(MODELS, "utf-8")
    (tmp_path / "c.yaml").write_text("models: models.yaml", "utf-8")
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(LINES)

    def run(*arguments: str, source: Path = lines, stdin: bytes = b"") -> Result:
        command = ["explain", "--config", str(tmp_path / "c.yaml"), "--input", str(source)]
        return CliRunner().invoke(cli, [*command, *arguments], input=stdin)

    return run


class TestExitCode:
    """The exit code tells a program what became of the message."""

    @pytest.mark.parametrize(
        ("line", "code", "outcome", "failed"),
        [
            (1, 0, "result", None),
            (2, 0, "result", None),  # Python doubles texts, too
            (3, 3, "dead letter", "model"),
            (4, 1, "no outcome", "model"),
            (5, 2, "no outcome", "model"),
            (7, 3, "dead letter", "decode"),
        ],
    )
    def test_code(
        self, invoke: Invoke, line: int, code: int, outcome: str, failed: str | None
    ) -> None:
        """0 with a result, 3 with a dead letter, and that of the error if the model is down."""
        done = invoke("--line", str(line), "--json")
        assert done.exit_code == code, done.output
        shown = json.loads(done.stdout)
        assert (shown["outcome"], shown["failed_step"]) == (outcome, failed)
        assert "hunter2" not in done.stdout

    def test_traceback_of_outage(self, invoke: Invoke) -> None:
        """If the model is down, the traceback is shown, and nothing controls the terminal."""
        done = invoke("--line", "4")
        assert "ValueError: asked to raise" in done.stdout
        assert "· encode" in done.stdout
        assert "raise [bold]\\x1b[31m" in done.stdout
        assert "\x1b" not in done.stdout


class TestSource:
    """A message comes from a file, from standard input, or from a topic."""

    def test_stdin(self, invoke: Invoke, tmp_path: Path) -> None:
        """One message, without --line."""
        done = invoke("--json", source=Path("-"), stdin=b'{"lang": "en", "km": 2.50}')
        facts = json.loads(done.stdout)["steps"]["record"]
        assert facts["source"] == "line 1 of standard input"
        assert facts["value"] == '{"lang": "en", "km": 2.50}'

    def test_gzip(self, invoke: Invoke, tmp_path: Path) -> None:
        """A line of a compressed file is the same message."""
        compressed = tmp_path / "lines.jsonl.gz"
        compressed.write_bytes(gzip.compress(LINES))
        done = invoke("--line", "7", "--json", source=compressed)
        assert json.loads(done.stdout)["steps"]["record"]["value"] == "no JSON"

    def test_no_line(self, invoke: Invoke, tmp_path: Path) -> None:
        """A blank line, a missing line and a missing file are errors."""
        assert isinstance(invoke("--line", "6").exception, NoLine)
        assert isinstance(invoke("--line", "8").exception, NoLine)
        assert isinstance(invoke(source=tmp_path / "absent").exception, InputUnreadable)

    @pytest.mark.parametrize("more", [["--topic", "t"], ["--partition", "1"], ["--offset", "1"]])
    def test_both(self, invoke: Invoke, more: list[str]) -> None:
        """A file and a part of a place in Kafka exclude each other."""
        done = invoke(*more)
        assert done.exit_code == 2
        assert "name a record with --topic" in done.output

    def test_neither(self) -> None:
        """A place in Kafka has three parts."""
        for arguments in ([], ["--topic", "t"], ["--topic", "t", "--offset", "1"]):
            assert CliRunner().invoke(cli, ["explain", *arguments]).exit_code == 2


class TestOutput:
    """Standard output has the explanation alone."""

    def test_models_on_stderr(self, tmp_path: Path) -> None:
        """What a model prints goes to standard error; a file needs no Kafka client."""
        (tmp_path / "models.yaml").write_text(
            "models: [{name: loud, version: 1, adapter: 'tried_models:Loud', sample: a}]", "utf-8"
        )
        blocked = (
            "import sys; sys.modules.update(dict.fromkeys(('kafka','confluent_kafka','pyarrow')))"
        )
        program = f"{blocked}; from tidemill.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, "explain", "--input", "-", "--json"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": f"{DOUBLES}:{PYTHONPATH}"},
            input=b"any text",
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outcome"] == "result"
        assert b"loading" in done.stderr
