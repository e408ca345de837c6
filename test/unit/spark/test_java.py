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
    """Spark runs on the Java that is found here."""

    @pytest.mark.parametrize("version", ["17", "17.0.14", "21.0.6", "21-ea"])
    def test_java_home(self, make_java: Callable[..., Path], version: str) -> None:
        """JAVA_HOME comes first."""
        java = make_java(version)
        assert find_java() == str(java)

    def test_path(self, make_java: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it the path is searched."""
        java = make_java()
        monkeypatch.delenv("JAVA_HOME")
        monkeypatch.setenv("PATH", str(java.parent), prepend=os.pathsep)
        assert find_java() == str(java)

    @pytest.mark.parametrize(
        ("version", "said"), [("1.8.0_442", "8"), ("11.0.2", "11"), ("25", "25"), ("?", "unknown")]
    )
    def test_wrong_version(self, make_java: Callable[..., Path], version: str, said: str) -> None:
        """Another version is refused, with what to install."""
        java = make_java(version)
        with pytest.raises(JavaNotFound, match=f"17 or 21, {java} has version {said}: install"):
            find_java()

    def test_wrong_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A JAVA_HOME without Java is named, even where the path has one."""
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(JavaNotFound, match=f"JAVA_HOME={tmp_path}"):
            find_java()

    def test_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """None anywhere is a wrong configuration: a restart finds none either."""
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ConfigurationError, match="none was found"):
            find_java()


class TestJavaVersion:
    """A command is asked for its version once."""

    def test_no_java(self) -> None:
        """Something else has no version."""
        assert java_version("/bin/true") == "unknown"


class TestSparkHome:
    """Where Spark's own jars are."""

    def test_named(self, spark_jars: Path) -> None:
        """SPARK_HOME names the folder."""
        assert spark_home() == spark_jars.parent

    def test_pyspark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it the folder is pyspark's own."""
        monkeypatch.delenv("SPARK_HOME", raising=False)
        assert spark_home() == Path(pyspark.__file__).parent
