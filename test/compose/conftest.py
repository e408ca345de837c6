"""One stack of containers for all tests, where a Docker engine is there."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from dev.containers.stack import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with nothing running; what a test leaves of it is removed at the end."""
    asked = subprocess.run(
        ["sh", ROOT / "deploy/local/compose.sh", "engine"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        pytest.skip(asked.stderr.strip())
    made = Stack(tmp_path_factory.mktemp("checkout"))
    yield made
    made.make("down", WIPE="1")
    for image in made.docker("image", "ls", "--quiet", made.name).split():
        # The layers below stay, so that the next run builds nothing.
        made.docker("image", "rm", "--no-prune", image)
