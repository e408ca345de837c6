"""Development tools: a broker without Docker, the demo, and code that tests and bench share."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
# For processes that import `tidemill`, `dev`, `faults` or `bench`.
PYTHONPATH: Final = f"{ROOT / 'app'}{os.pathsep}{ROOT}"
