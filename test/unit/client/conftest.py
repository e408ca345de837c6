from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import server_process

from tidemill.client import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server_process import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server that the tests of a module share."""
    with server_process.running() as one:
        yield one


@pytest.fixture
def _avoided_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients avoid a server that failed for longer than a slow test takes."""
    monkeypatch.setattr(servers, "AVOID_S", servers.AVOID_LONGEST_S)
