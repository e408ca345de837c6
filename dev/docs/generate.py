"""Write the files that come from the classes: the pages of settings and errors, and a JSON Schema.

Run it from the repository's root: `python -m dev.docs.generate`; `--check` only compares.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from dev import ROOT
from dev.docs import errors_page, models_schema, settings_page

if TYPE_CHECKING:
    from pathlib import Path

FILES: Final = {
    "docs/configuration.md": settings_page.page,
    "docs/errors.md": errors_page.page,
    "models.schema.json": models_schema.page,
    "app/tidemill/templates/models.schema.json": models_schema.page,  # for `tidemill init`
}


def stale(root: Path) -> dict[str, str]:
    """Return the text of each file that is missing below a folder, or differs from the classes."""
    files = {name: content() for name, content in FILES.items()}
    return {
        name: text
        for name, text in files.items()
        if not (root / name).is_file() or (root / name).read_text("utf-8") != text
    }


def main() -> int:
    """Write the files that differ; with --check only name them, and return 1 if there are any."""
    check = "--check" in sys.argv[1:]
    differing = stale(ROOT)
    for name, text in differing.items():
        print(f"{name}: {'not current, run make docs' if check else 'written'}")
        if not check:
            (ROOT / name).write_text(text, "utf-8")
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
