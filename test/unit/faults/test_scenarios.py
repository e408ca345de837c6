from __future__ import annotations

from typing import TYPE_CHECKING

from faults.scenarios import scenarios

if TYPE_CHECKING:
    from pathlib import Path

FILE = '''"""What
is broken."""

class TestIt:
    """A class."""

    def helper(self):
        """No test."""

    def test_that(self):
        """It goes on."""
'''


class TestScenarios:
    """Scenarios are listed by the docstrings of their tests."""

    def test_files_and_tests(self, tmp_path: Path) -> None:
        """Each file is a heading and each of its tests a line; nothing else is listed."""
        (tmp_path / "test_a.py").write_text(FILE)
        (tmp_path / "conftest.py").write_text(FILE)
        assert scenarios(tmp_path) == "**What is broken.** (`test_a.py`)\n\n- It goes on."
