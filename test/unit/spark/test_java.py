from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest

from tidemill.errors import ConfigurationError, JavaNotFound
from tidemill.spark.java import find_java, java_version, spark_home

if TYPE_CHECKING:
    from collections.abc import Callable


class TestFindJava:
    """Find the Java that Spark will run."""

    @pytest.mark.parametrize("version", ["17", "17.0.14", "21.0.6", "21-ea"])
    def test_java_home(self, make_java: Callable[..., Path], version: str) -> None:
        """JAVA_HOME takes precedence."""
        java = make_java(version)
        assert find_java() == str(java)

    def test_path(self, make_java: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        """Without JAVA_HOME, PATH is searched."""
        java = make_java()
        monkeypatch.delenv("JAVA_HOME")
        monkeypatch.setenv("PATH", str(java.parent), prepend=os.pathsep)
        assert find_java() == str(java)

    @pytest.mark.parametrize(
        ("version", "major"), [("1.8.0_442", "8"), ("11.0.2", "11"), ("25", "25"), ("?", "unknown")]
    )
    def test_wrong_version(self, make_java: Callable[..., Path], version: str, major: str) -> None:
        """An unsupported version is refused, and the error says what to install."""
        java = make_java(version)
        with pytest.raises(
            JavaNotFound, match=f"17 or 21, but {java} has version {major}\nhint: Install"
        ):
            find_java()

    def test_wrong_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A JAVA_HOME without Java is an error, even if PATH has a Java."""
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(JavaNotFound, match=f"JAVA_HOME={tmp_path}"):
            find_java()

    def test_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing Java is a configuration error, as a restart cannot help."""
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ConfigurationError, match="none was found"):
            find_java()


class TestJavaVersion:
    """The version comes from the command's output."""

    def test_no_java(self) -> None:
        """The version of another command is unknown."""
        assert java_version("/bin/true") == "unknown"


class TestSparkHome:
    """Find Spark's own jars."""

    def test_named(self, spark_jars: Path) -> None:
        """SPARK_HOME names the folder."""
        assert spark_home() == spark_jars.parent

    def test_pyspark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it the folder is pyspark's own."""
        monkeypatch.delenv("SPARK_HOME", raising=False)
        assert spark_home() == Path(pyspark.__file__).parent
