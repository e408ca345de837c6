"""Development tools: a broker without Docker, the demo, what tests and benchmarks share."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
# What a process needs to import `tidemill`, and `dev`, `faults` and `bench`.
PYTHONPATH: Final = f"{ROOT / 'app'}{os.pathsep}{ROOT}"
