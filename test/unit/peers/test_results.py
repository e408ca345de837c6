"""Reading pytest's report, and the page that it becomes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from dev import ROOT
from dev.peers import page, results
from dev.peers.results import CANNOT, DIFFERS, FAILS, PASSES, Result
from dev.peers.suites import CHECKS, ENVIRONMENTS, SUITES

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import pytest

class TestOne:
    @pytest.mark.parametrize("n", [1])
    def test_passes(self, n): pass

@pytest.mark.skip(reason="no server")
def test_skipped(): pass

@pytest.mark.xfail(strict=True, reason="known")
def test_differs(): assert False

@pytest.mark.xfail(strict=True, reason="known")
def test_passes_after_all(): pass

def test_fails(): assert 1 == 2

@pytest.fixture
def broken(): raise OSError("no fixture")

def test_error(broken): pass
"""


class TestRead:
    def test_outcomes(self, tmp_path: Path) -> None:
        """Each outcome of a test is told apart; one that should fail and passes is a failure."""
        (tmp_path / "test_them.py").write_text(TESTS)
        report = tmp_path / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--junitxml={report}"]
        subprocess.run([*command, "test_them.py"], cwd=tmp_path, check=False, capture_output=True)
        found = {each.test: (each.outcome, each.reason) for each in results.read(report)}
        assert found["TestOne::test_passes[1]"] == (PASSES, "")
        assert found["test_skipped"] == (CANNOT, "no server")
        assert found["test_differs"] == (DIFFERS, "known")
        assert found["test_passes_after_all"] == (FAILS, "[XPASS(strict)] known")
        assert found["test_fails"] == (FAILS, "assert 1 == 2")
        assert found["test_error"][0] == FAILS
        assert len(found) == 6


class TestPage:
    def test_reasons(self) -> None:
        """The page counts outcomes, and names the tests with a reason, or says how many."""
        some = [
            Result("A::test_one[x]", DIFFERS, "it is so"),
            Result("A::test_one[y]", DIFFERS, "it is so"),
            *(Result(f"test_{n}", CANNOT, "no") for n in range(9)),
            Result("test_good", PASSES),
        ]
        written = page.page([(SUITES[0], some)])
        assert f"| {SUITES[0].title} | {SUITES[0].version} | 1 | 2 | 9 |" in written
        assert "- `test_one`: it is so." in written
        assert "- 9 tests: no." in written

    def test_current(self) -> None:
        """The committed page has all suites, with the versions that are pinned now."""
        written = (ROOT / "docs" / "peers.md").read_text("utf-8")
        for suite in SUITES:
            assert f"| {suite.title} | {suite.version} |" in written


class TestSuites:
    def test_files(self) -> None:
        """Each suite's environment is locked, and our tests exist."""
        for suite in SUITES:
            assert (ENVIRONMENTS / f"{suite.environment}.in").is_file()
            assert (ENVIRONMENTS / f"{suite.environment}.txt").is_file()
            assert suite.is_kserves or (CHECKS / suite.tests).is_file()
