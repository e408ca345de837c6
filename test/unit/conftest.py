"""Isolate unit tests: no settings from the environment, no leftover logging."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest
import specs
import structlog
from clock import Clock

from tidemill.logs import QUIET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.inference.model import ModelSpec

# No deadline: a slow machine is not a failure.
hypothesis.settings.register_profile("unit", deadline=None, max_examples=60)
hypothesis.settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove Tidemill's variables from the environment."""
    for variable in list(os.environ):
        if variable.upper().startswith("TIDEMILL__"):
            monkeypatch.delenv(variable)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo a test's changes to logging."""
    names = (None, *QUIET, "tidemill.inference.traces")
    loggers = [logging.getLogger(name) for name in names]
    handlers, levels = list(loggers[0].handlers), [logger.level for logger in loggers]
    yield
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., ModelSpec]:
    """Return what makes a spec: `make_spec(name="a", match={"lang": "en"})`."""
    return specs.make_spec


@pytest.fixture
def clock() -> Clock:
    """Return a clock that a test moves."""
    return Clock()
