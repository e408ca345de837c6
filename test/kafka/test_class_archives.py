"""JVMs start from archives of classes, if there are any that fit."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from dev import class_archives
from dev.kafka.distribution import VERSION, fetch_kafka, java_command
from dev.pipeline.pipeline import GROUP_TOOL

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class TestArchive:
    """An archive belongs to certain jars and a certain Java."""

    def test_other_jars(self, tmp_path: Path) -> None:
        """A folder with another jar has another archive."""
        jar = tmp_path / "a.jar"
        jar.write_bytes(b"one")
        first = class_archives.archive(tmp_path)
        assert class_archives.archive(tmp_path) == first
        jar.write_bytes(b"three")
        assert class_archives.archive(tmp_path) != first

    def test_damaged(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With an archive that Java cannot use, it starts as usual and prints nothing of it."""
        monkeypatch.setattr(class_archives, "FOLDER", tmp_path)
        libs = fetch_kafka()
        command = java_command(libs, GROUP_TOOL)
        class_archives.archive(libs).write_bytes(b"damaged")
        with_archive = java_command(libs, GROUP_TOOL)
        assert len(with_archive) > len(command)
        done = subprocess.run(
            [*with_archive, "--version"], capture_output=True, text=True, check=True, timeout=300
        )
        assert (done.stdout.split()[0], done.stderr) == (VERSION, "")
