"""List the other faults: the tests in test/kafka/faults, by their docstrings."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dev import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "test" / "kafka" / "faults"


def scenarios(folder: Path = FOLDER) -> str:
    """Return Markdown: a heading for each file, and a line for each of its tests."""
    return "\n\n".join(_file(file) for file in sorted(folder.glob("test_*.py")))


def _file(file: Path) -> str:
    module = ast.parse(file.read_text("utf-8"))
    shown = [
        f"- {ast.get_docstring(node)}"
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    about = " ".join((ast.get_docstring(module) or "").split())
    return "\n".join([f"**{about}** (`{file.name}`)", "", *shown])
