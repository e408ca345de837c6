"""Create environments, in .tidemill/bench, for contenders that conflict with our packages.

NAME.in lists the requirements of each. NAME.txt locks them, and its first lines show how to update
it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from uv import find_uv_bin

from tidemill.errors import TidemillError

LISTS: Final = Path(__file__).parent
ROOT: Final = LISTS.parents[1]
FOLDER: Final = ROOT / ".tidemill" / "bench"


class NotInstalled(TidemillError):
    """An environment cannot be created."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot create the environment {name}: {reason}")


def python_of(name: str, lists: Path = LISTS, folder: Path = FOLDER) -> Path:
    """Return an environment's Python; create the environment if its list is new or changed.

    Raises:
        NotInstalled: There is no such list, or a package cannot be installed.

    """
    requirements = lists / f"{name}.txt"
    if not requirements.is_file():
        raise NotInstalled(name, f"there is no {requirements}")
    environment = folder / name
    python, stamp = environment / "bin" / "python", environment / "installed"
    state = f"{sys.version} {ROOT} {hashlib.sha256(requirements.read_bytes()).hexdigest()}"
    if not stamp.is_file() or stamp.read_text("utf-8") != state:
        _uv(name, "venv", "--clear", "--python", sys.executable, str(environment))
        _uv(name, "pip", "install", "--python", str(python), "--requirements", str(requirements))
        # Make our modules importable there.
        (site_packages,) = environment.glob("lib/python*/site-packages")
        (site_packages / "tidemill.pth").write_text(f"{ROOT / 'app'}\n{ROOT}\n", "utf-8")
        stamp.write_text(state, "utf-8")
    return python


def _uv(name: str, *arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(name, " ".join(done.stderr.split()))
