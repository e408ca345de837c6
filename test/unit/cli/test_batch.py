"""`tidemill batch`, with real model processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from typer import BadParameter

from dev.pipeline.models import model_entry
from tidemill.cli.batch import _check_limit, is_exceeded
from tidemill.extras import MODULES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model and an input, half of which is bad."""
    entry = model_entry("Upper")
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    lines = [json.dumps({"text": text, "lang": "en"}) for text in ("a", "raise")]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    return tmp_path


def run(
    folder: Path, *options: str, without: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command, as if the modules of an extra were not installed."""
    hidden = MODULES[without] if without else ()
    # Other extras have it, too.
    hide = f"import sys; sys.modules |= dict.fromkeys({set(hidden) - {'pyarrow'}!r})\n"
    settings = {"TIDEMILL__MODELS": "models.yaml", "TIDEMILL__POOL__PROCESSES": "1"}
    return subprocess.run(
        [sys.executable, "-c", f"{hide}from tidemill.cli import main; main()", "batch",
         "--input", "in.jsonl", *options],
        cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_exit_codes(folder: Path) -> None:
    """Without a limit, dead letters are no error; with too many of them, the code is 3."""
    codes = [
        run(folder, "--output", str(number), *options).returncode
        for number, options in enumerate(
            ([], ["--max-dead-letters", "1"], ["--max-dead-letters", "49.9%"])
        )
    ]
    assert codes == [0, 0, 3]
    assert json.loads((folder / "2/summary.json").read_text())["dead_letters"] == 1


@pytest.mark.parametrize(
    ("extra", "options"),
    [("stream", ["--output", "out", "--engine", "spark"]), ("delta", ["--output", "delta:out"])],
)
def test_missing_extra(folder: Path, extra: str, options: list[str]) -> None:
    """An engine or format whose package is not installed is an error that names the extra."""
    done = run(folder, *options, without=extra)
    assert done.returncode == 2, done.stderr
    assert f'pip install "tidemill[{extra}]"' in done.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("limit", "dead_letters", "exceeded"),
    [(None, 9, False), ("0", 0, False), ("0", 1, True), ("5%", 5, False), ("5%", 6, True),
     ("100%", 100, False)],
)  # fmt: skip
def test_limit(limit: str | None, dead_letters: int, exceeded: bool) -> None:
    """A limit is the most dead letters of 100 messages, as a number or a percentage."""
    assert is_exceeded(_check_limit(limit), dead_letters, 100) is exceeded


@pytest.mark.parametrize("limit", ["", "-1", "5 %", "1.5", "x", "\u0665"])
def test_no_limit(limit: str) -> None:
    """Anything else is refused."""
    with pytest.raises(BadParameter):
        _check_limit(limit)
