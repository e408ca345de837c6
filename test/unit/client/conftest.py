from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server_process import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server that the tests of a module share."""
    with server_process.running() as one:
        yield one
