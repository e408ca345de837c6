"""Collect the fenced code blocks of the README and the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dev import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK: Final = re.compile(
    r"(?:^ *<!-- test: (?P<check>[a-z]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)?(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page.

    Attributes:
        check: The word of the comment `<!-- test: … -->` before it, which readers do not see.
        title: The name of the file that the block shows.

    """

    page: Path
    line: int
    language: str
    text: str
    check: str = ""
    title: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return the READMEs and the pages of the documentation."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    examples = sorted((ROOT / "examples").rglob("*.md"))
    return [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *docs, *examples]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page, in order."""
    document = page.read_text("utf-8")
    for found in _BLOCK.finditer(document):
        text = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(
            page,
            document.count("\n", 0, found.start("language")) + 1,
            found["language"] or "",
            text,
            found["check"] or "",
            found["title"] or "",
        )


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def commands(block: Block) -> Iterator[str]:
    """Yield the commands of a shell block: without comments, continued lines as one."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        if command := re.sub(r"(^|\s)#.*", "", line).strip():
            yield command
