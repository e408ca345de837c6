"""A fake Java, and an empty Spark folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JAVA = """#!/bin/sh
here=$(dirname "$0")
if [ "$1" = -version ]; then
    echo 'openjdk version "{version}" 2026-01-20' >&2
    exit 0
fi
echo run >> "$here/runs"
{script}
"""


@pytest.fixture
def make_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Create a java command in JAVA_HOME: `make_java("17.0.1", script="exit 1")`."""

    def make(version: str = "17.0.14", script: str = "exit 0") -> Path:
        java = tmp_path / "jdk" / "bin" / "java"
        java.parent.mkdir(parents=True, exist_ok=True)
        java.write_text(JAVA.format(version=version, script=script), "utf-8")
        java.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
        return java

    return make


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], int]:
    """Count the runs of the java command of `make_java`, except for `-version`."""

    def count() -> int:
        path = tmp_path / "jdk" / "bin" / "runs"
        return len(path.read_text("utf-8").splitlines()) if path.exists() else 0

    return count


@pytest.fixture
def spark_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder `jars` of a SPARK_HOME."""
    jars = tmp_path / "spark" / "jars"
    jars.mkdir(parents=True)
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    return jars
