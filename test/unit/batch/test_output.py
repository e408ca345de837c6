from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidemill.batch.output import check_output
from tidemill.errors import OutputExists, OutputUnusable

if TYPE_CHECKING:
    from collections.abc import Callable


class TestCheckOutput:
    """An output that cannot be written is refused before the work begins."""

    @pytest.mark.parametrize("target", ["out", "file:", "link", ""])
    def test_exists(self, make: Callable[..., None], target: str, tmp_path: Path) -> None:
        """The path exists already, even as a dangling link."""
        make("in.jsonl", "out/x")
        Path("link").symlink_to("nowhere")
        given = f"file:{tmp_path}/out" if target == "file:" else target
        with pytest.raises(OutputExists):
            check_output("in.jsonl", given)

    @pytest.mark.parametrize("target", ["in/out", "in/a/../b/c", "link/out"])
    def test_within_the_input(self, make: Callable[..., None], target: str) -> None:
        """The next run would read the results as messages."""
        make("in/a.jsonl")
        Path("link").symlink_to("in")
        with pytest.raises(OutputUnusable, match="within the input"):
            check_output("in", target)

    def test_beside_the_input(self, make: Callable[..., None]) -> None:
        """A path beside the input is accepted, in new folders too and with a similar name."""
        make("in/a.jsonl")
        check_output("in/a.jsonl", "in/out")
        check_output("in", "in-out/a/b")

    def test_below_a_file(self, make: Callable[..., None]) -> None:
        """A file cannot contain the output."""
        make("in.jsonl")
        with pytest.raises(OutputUnusable, match=r"in.jsonl is not a folder"):
            check_output("in.jsonl", "in.jsonl/out")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
    def test_permission(self, make: Callable[..., None]) -> None:
        """The parent folder denies write access."""
        make("in.jsonl")
        Path("closed").mkdir(mode=0o500)
        with pytest.raises(OutputUnusable, match="no permission to write"):
            check_output("in.jsonl", "closed/a/b")

    def test_elsewhere(self) -> None:
        """An output on another file system is left to Spark."""
        check_output("in.jsonl", "s3a://bucket/out")
