"""The distributions hold what a user needs, and nothing of the development tree."""

from __future__ import annotations

import email
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from dev import ROOT

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's metadata, which a package index shows."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_string(archive.read(name).decode())


class TestWheel:
    """The wheel installs one package, its licence and its description."""

    def test_one_package(self, wheel: Path) -> None:
        """Nothing but `tidemill` can collide with a user's own modules."""
        with zipfile.ZipFile(wheel) as archive:
            top = {name.partition("/")[0] for name in archive.namelist()}
        assert {name for name in top if not name.endswith(".dist-info")} == {"tidemill"}

    def test_every_file(self, wheel: Path) -> None:
        """Every module and data file of the package is there."""
        folder = ROOT / "app"
        expected = {
            str(file.relative_to(folder))
            for file in (folder / "tidemill").rglob("*")
            if file.suffix in {".css", ".html", ".js", ".properties", ".py", ".svg", ".typed"}
        }
        with zipfile.ZipFile(wheel) as archive:
            assert expected <= set(archive.namelist())
        page = {"tidemill/serving/page/index.html", "tidemill/serving/page/page.js"}
        others = {"tidemill/py.typed", "tidemill/spark/log4j2-json.properties"}
        assert page | others <= expected

    def test_licence(self, wheel: Path, metadata: Message) -> None:
        """Apache-2.0, with its text."""
        assert metadata["License-Expression"] == "Apache-2.0"
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
            assert b"Apache License" in archive.read(name)

    def test_description(self, metadata: Message) -> None:
        """The page of an index shows the README, and where the project lives."""
        assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
        assert metadata["Summary"]
        assert metadata["Keywords"]
        assert metadata["Author-email"]
        assert len(metadata.get_all("Project-URL") or []) >= 3


class TestSourceDistribution:
    """The source distribution is enough to build from and to read."""

    def test_files(self, built: Path) -> None:
        """The code and the documents, but neither tests nor tools."""
        (file,) = built.glob("*.tar.gz")
        with tarfile.open(file) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "app/run.py"} <= names
        assert {name.partition("/")[0] for name in names if "/" in name} == {"app"}
