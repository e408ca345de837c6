"""Draw a result: `tidemill task result RUN | python -m examples.shelf_layout.picture > bay.svg`."""

from __future__ import annotations

import sys

from examples.shelf_layout.drawing import render
from examples.shelf_layout.layout import Layout

if __name__ == "__main__":
    sys.stdout.write(render(Layout.model_validate_json(sys.stdin.read())))
