"""Blocks that are marked to run do so, with the files that the quickstart and their page show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dev import PYTHONPATH, ROOT
from dev.docs.blocks import Block, blocks, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNING = [page for page in pages() if any(block.check == "run" for block in blocks(page))]
QUICKSTART = ROOT / "docs" / "quickstart.md"
DEPLOY = ROOT / "docs" / "deploy"
RUNNERS = {"python": [sys.executable, "-c"], "sh": ["sh", "-ec"]}
COMMANDS = {"tidemill": "tidemill", "pytest": "pytest -p tidemill.testing.plugin"}
TIMES = ("ts_start", "ts_end", "process_time", "seconds")


def expected(following: list[Block]) -> Iterator[Any]:
    """Yield what the JSON blocks right after a command show."""
    for block in following:
        if block.language != "json" or block.title:
            return
        yield json.loads(block.text)


def timeless(outcome: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a result or dead letter without what differs in each run: times, and the folder."""
    if isinstance(outcome, dict):
        return {
            name: os.path.basename(value) if name.endswith("file") else timeless(value)  # noqa: PTH119
            for name, value in outcome.items()
            if name not in TIMES
        }
    return outcome


class TestRuns:
    """A reader who follows a page gets what it shows."""

    @pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(ROOT)))
    def test_page(self, page: Path, tmp_path: Path) -> None:
        """The files are written, the blocks run, and print what is shown after them."""
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith("TIDEMILL__")},
            "PATH": f"{programs(tmp_path)}:{os.environ['PATH']}",
            "PYTHONPATH": PYTHONPATH,
            "PYSPARK_PYTHON": sys.executable,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        folder = ROOT if DEPLOY in page.parents else tmp_path
        shown = list(blocks(page))
        for block in (*blocks(QUICKSTART), *shown):
            if block.title and folder != ROOT:
                (folder / block.title).write_text(block.text, "utf-8")
        for number, block in enumerate(shown):
            if block.check == "run":
                done = subprocess.run(
                    [*RUNNERS[block.language], block.text],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=600,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                lines = [line for line in done.stdout.splitlines() if line.startswith('{"')]
                printed = [timeless(json.loads(line)) for line in lines]
                for outcome in expected(shown[number + 1 :]):
                    assert timeless(outcome) in printed


def programs(folder: Path) -> Path:
    """Write the commands `tidemill` and `pytest` of this environment; return their folder.

    An environment that was installed before the plugin existed has no entry point for it.
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for command, arguments in COMMANDS.items():
        script = bin_folder / command
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {arguments} "$@"\n')
        script.chmod(0o755)
    return bin_folder
