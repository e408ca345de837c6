"""Environments of those contenders that our own cannot hold, made once in .tidemill/bench.

NAME.in says what each is for. NAME.txt, made from it as its first lines tell, is what is installed.
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
MADE: Final = ROOT / ".tidemill" / "bench"


class NotInstalled(TidemillError):
    """An environment cannot be made."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"the environment {name} cannot be made: {why}")


def python_of(name: str, lists: Path = LISTS, made: Path = MADE) -> Path:
    """Return an environment's Python; make the environment first where its list is new.

    Raises:
        NotInstalled: There is no such list, or what it names cannot be installed.

    """
    wanted = lists / f"{name}.txt"
    if not wanted.is_file():
        raise NotInstalled(name, f"there is no {wanted}")
    folder = made / name
    python, stamp = folder / "bin" / "python", folder / "installed"
    state = f"{sys.version} {ROOT} {hashlib.sha256(wanted.read_bytes()).hexdigest()}"
    if not stamp.is_file() or stamp.read_text("utf-8") != state:
        _uv(name, "venv", "--clear", "--python", sys.executable, str(folder))
        _uv(name, "pip", "install", "--python", str(python), "--requirements", str(wanted))
        # What is ours is found there as it is in our own environment.
        (site_packages,) = folder.glob("lib/python*/site-packages")
        (site_packages / "tidemill.pth").write_text(f"{ROOT / 'app'}\n{ROOT}\n", "utf-8")
        stamp.write_text(state, "utf-8")
    return python


def _uv(name: str, *arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(name, " ".join(done.stderr.split()))
