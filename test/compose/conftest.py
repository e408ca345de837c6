"""One stack of containers for all tests; without a Docker engine they are skipped."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from dev.containers.stack import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack in which nothing runs yet; everything is removed at the end."""
    engine = subprocess.run(
        ["sh", ROOT / "deploy/local/compose.sh", "engine"],
        capture_output=True,
        text=True,
        check=False,
    )
    if engine.returncode:
        pytest.skip(engine.stderr.strip())
    stack = Stack(tmp_path_factory.mktemp("checkout"))
    yield stack
    stack.make("down", WIPE="1")
    for image in stack.docker("image", "ls", "--quiet", stack.name).split():
        # Keep the layers below for the next build.
        stack.docker("image", "rm", "--no-prune", image)
