"""The package as an index would have it, and empty environments to install it into."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from dev import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

UV = ROOT / ".venv" / "bin" / "uv"
# These would lead a process back to the checkout, or to its settings.
PRIVATE = ("PYTHON", "PYSPARK", "SPARK", "TIDEMILL__", "VIRTUAL_ENV")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and the wheel from it; return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    build = "build", "--offline", "--no-build-isolation", "--python", sys.executable
    uv(*build, "--out-dir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    """Return the wheel."""
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Install the wheel with extras into an empty environment: `install("stream")`.

    The environment gets what the wheel's own metadata asks for, and nothing else, at the versions
    of the lock. The packages come from uv's cache, which dev/setup.sh has filled; only if the cache
    lacks one is it downloaded. (An offline resolver would need metadata that the cache lacks.)
    """

    def into_empty(*extras: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        python = folder / "bin" / "python"
        locked = folder / "requirements.txt"
        uv("venv", "--python", sys.executable, str(folder))
        locked.write_text("".join(lock_of(closure(wheel_requirements(wheel), extras))))
        sync = "pip", "sync", "--require-hashes", str(locked), "--python", str(python)
        try:
            uv(*sync, "--offline")
        except subprocess.CalledProcessError:
            uv(*sync)
        uv("pip", "install", "--offline", "--no-deps", str(wheel), "--python", str(python))
        uv("pip", "check", "--python", str(python))
        return folder

    return into_empty


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Return environment variables that do not lead to the checkout."""
    outside = [
        part for part in os.environ["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))
    ]
    kept = {name: text for name, text in os.environ.items() if not name.startswith(PRIVATE)}
    return {**kept, "PATH": os.pathsep.join(outside)}


def uv(*arguments: str) -> None:
    """Run uv; its errors are shown."""
    subprocess.run([UV, "--quiet", *arguments], check=True)


def wheel_requirements(wheel: Path) -> list[str]:
    """Return the requirements in a wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(archive.read(name).decode())
    return metadata.get_all("Requires-Dist") or []


def closure(requirements: Iterable[str], extras: Iterable[str]) -> set[str]:
    """Return the normalised names of all distributions that requirements lead to."""
    names: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(text, extra) for text in requirements for extra in ("", *extras)]
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        names.add(re.sub(r"[-_.]+", "-", requirement.name).lower())
        for wanted in {(requirement.name, extra) for extra in ("", *requirement.extras)} - seen:
            seen.add(wanted)
            further = distribution(requirement.name).requires or []
            waiting += [(text, wanted[1]) for text in further]
    return names


def lock_of(names: set[str]) -> Iterator[str]:
    """Yield the lock's entries for distributions: versions, markers and hashes."""
    text = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    entries = list(re.finditer(r"^([a-z\d-]+)==[^#]+", text, re.MULTILINE))
    assert names <= {entry[1] for entry in entries}
    yield from (entry[0] for entry in entries if entry[1] in names)
