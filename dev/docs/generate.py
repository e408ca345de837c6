"""Write the pages that come from the classes: settings and errors.

Run it from the repository's root: `python -m dev.docs.generate`; `--check` only compares.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from dev import ROOT
from dev.docs import errors_page, settings_page

if TYPE_CHECKING:
    from pathlib import Path

PAGES: Final = {"configuration.md": settings_page.page, "errors.md": errors_page.page}


def stale(folder: Path) -> dict[str, str]:
    """Return the text of each page that is missing in a folder, or differs from the classes."""
    pages = {folder / name: page() for name, page in PAGES.items()}
    return {
        file.name: text
        for file, text in pages.items()
        if not file.is_file() or file.read_text("utf-8") != text
    }


def main() -> int:
    """Write the pages that differ; with --check only name them, and return 1 if there are any."""
    docs, check = ROOT / "docs", "--check" in sys.argv[1:]
    differing = stale(docs)
    for name, text in differing.items():
        print(f"docs/{name}: {'not current, run make docs' if check else 'written'}")
        if not check:
            (docs / name).write_text(text, "utf-8")
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
