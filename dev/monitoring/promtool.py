"""Run promtool, which checks rules and configurations."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

MONITORING = Path(__file__).parents[2] / "deploy/monitoring"


def promtool(*arguments: object) -> None:
    """Run promtool, and fail with its output if it finds a problem."""
    assert shutil.which("promtool"), (
        "promtool is missing (Debian, Ubuntu: apt-get install prometheus)"
    )
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
