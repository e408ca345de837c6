"""Search for a layout without a server, and draw each better one.

Run it from the repository's root: `python -m examples.shelf_layout.run [PARAMETERS [PICTURE]]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import ValidationError

from examples.shelf_layout.job import Drawn, ShelfLayout
from examples.shelf_layout.parameters import Parameters
from examples.shelf_layout.search import NoLayout

BAY = Path(__file__).with_name("bay.json")
PICTURE = Path("shelf_layout.svg")


def main(source: Path = BAY, target: Path = PICTURE) -> int:
    """Return 0 if there is a layout."""
    last = ""

    def report(progress: float, phrase: str, best: Drawn | None = None) -> None:
        nonlocal last
        if phrase != last:
            print(f"{progress:4.0%}  {phrase}", flush=True)
        last = phrase
        if best is not None:
            target.write_text(best.svg, "utf-8")

    try:
        result = ShelfLayout().run(read(source), report)
    except (NoLayout, OSError, ValidationError) as error:
        print("\n".join([f"failed: {error}", *getattr(error, "__notes__", ())]))
        return 1
    target.write_text(result.svg, "utf-8")
    print(f"The picture is {target}.")
    return 0


def read(source: Path) -> Parameters:
    """Return the parameters of a file.

    Raises:
        OSError: It cannot be read.
        ValidationError: They are not valid.

    """
    return Parameters.model_validate_json(source.read_bytes(), strict=True)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])))
