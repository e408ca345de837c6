"""`python -m app`: the command line from a checkout, without an installation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tidemill.cli import main

main()
