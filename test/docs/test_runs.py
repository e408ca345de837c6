"""Blocks that are marked to run do so, in order, with the files that their page shows."""

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
TIMES = ("ts_start", "ts_end", "process_time")


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
        """The files are written, the commands run, and their output holds the blocks after them."""
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        script = bin_folder / "tidemill"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tidemill "$@"\n')
        script.chmod(0o755)
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith("TIDEMILL__")},
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "PYTHONPATH": PYTHONPATH,
        }
        shown = list(blocks(page))
        folder = tmp_path if any(block.title for block in shown) else ROOT
        for number, block in enumerate(shown):
            if block.title:
                (folder / block.title).write_text(block.text, "utf-8")
            if block.check == "run":
                done = subprocess.run(
                    ["sh", "-ec", block.text],
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
