from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill.spark.ivy import MARKER
from tidemill.spark.jars import CONNECTOR, connector_jars, maven_modules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestConnectorJars:
    """The connector's jars come from Spark's own folder or from the user's cache."""

    def test_spark_has_it(self, spark_jars: Path) -> None:
        """If Spark's own folder has the connector, nothing else is needed, not even Java."""
        (spark_jars / "spark-sql-kafka-0-10_2.13-4.2.0.jar").touch()
        assert connector_jars() == []

    @pytest.mark.usefixtures("spark_jars")
    def test_cached(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A complete cache is used without a download."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        folder = tmp_path / "tidemill" / "jars" / CONNECTOR.split(":", 1)[1].replace(":", "-")
        folder.mkdir(parents=True)
        (folder / "a.jar").touch()
        (folder / MARKER).write_text(f"{CONNECTOR}\na.jar", "utf-8")
        assert connector_jars() == [folder / "a.jar"]

    def test_fetched(
        self,
        make_java: Callable[..., Path],
        spark_jars: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Modules that Spark already has are excluded from the download."""
        for name in ("ivy-2.5.3.jar", "lz4-java-1.11.0.jar"):
            (spark_jars / name).touch()
        make_java(script='touch jars/a.jar; cp ivy.xml "$here/ivy.xml"')
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        (jar,) = connector_jars()
        assert (tmp_path / "home" / ".cache" / "tidemill") in jar.parents
        module = (tmp_path / "jdk" / "bin" / "ivy.xml").read_text("utf-8")
        assert '<exclude module="lz4-java"/>' in module
        assert 'name="spark-sql-kafka-0-10_2.13"' in module


class TestMavenModules:
    """The name of a jar is its module and version."""

    @pytest.mark.parametrize(
        ("jar", "module"),
        [
            ("lz4-java-1.11.0.jar", "lz4-java"),
            ("spark-core_2.13-4.2.0.jar", "spark-core_2.13"),
            ("log4j-1.2-api-2.25.4.jar", "log4j-1.2-api"),
            ("hive-shims-0.23-2.3.10.jar", "hive-shims-0.23"),
            ("spark-sql-kafka-0-10_2.13-4.2.0.jar", "spark-sql-kafka-0-10_2.13"),
            ("zstd-jni-1.5.7-7.jar", "zstd-jni"),
            ("javax.jdo-3.2.0-m3.jar", "javax.jdo"),
            ("netty-transport-native-epoll-4.2.9.Final-linux-x86_64.jar",
             "netty-transport-native-epoll"),
        ],
    )  # fmt: skip
    def test_name(self, tmp_path: Path, jar: str, module: str) -> None:
        """A version may contain dashes, and a module digits."""
        (tmp_path / jar).touch()
        assert maven_modules(tmp_path) == [module]

    def test_other_files(self, tmp_path: Path) -> None:
        """Files that are not versioned jars are ignored."""
        for name in ("README", "a.jar", "b-1.0.txt"):
            (tmp_path / name).touch()
        assert maven_modules(tmp_path) == []
