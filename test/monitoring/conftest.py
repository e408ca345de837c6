"""Start a real Pushgateway or Prometheus for each test that needs one."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dev.monitoring.servers import Prometheus, Pushgateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect to this machine directly, even if a proxy is configured."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Pushgateway]:
    """A Pushgateway without TLS, which a test may kill and restart."""
    with Pushgateway(tmp_path / "pushgateway") as running:
        yield running


@pytest.fixture
def pushgateway(gateway: Pushgateway) -> str:
    """The URL of a Pushgateway."""
    return gateway.url


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    """Start a Prometheus: `prometheus(pushgateway)`, or `prometheus(config="...")`."""
    numbers = itertools.count()
    with ExitStack() as running:
        yield lambda *targets, config=None: running.enter_context(
            Prometheus(tmp_path / f"prometheus-{next(numbers)}", *targets, config=config)
        )
